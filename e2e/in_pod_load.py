"""How does a service do under load?  Runs in a pod that has aiohttp; ends at SIGTERM or in time, and prints JSON.

Open loop: requests leave at their times however long others take, as people do who don't know each other.  The argument is
JSON: url, bodies (sent in turn), rate (requests a second), seconds (at most), kept (connections are kept and used again),
retries (of a request that fails, as openai's client does, whose max_retries is 2).  In a body's input {n} becomes the
request's number; its reference_audio "one-off" becomes a recording that nobody sent before.
"""

import asyncio
import base64
import io
import itertools
import json
import signal
import sys
import time
import wave
from typing import Any

import aiohttp

TIMEOUT_SECONDS = 60.0
RETRIED = {None, 408, 409, 429, 500, 502, 503, 504}
"""What openai's client sends again; None is a broken connection."""
FIRST_PAUSE_SECONDS = 0.5
ONE_OFF_SECONDS = 4
STEP_SECONDS = 0.02


def one_off(number: int) -> str:
    """Some seconds of /load/speech.wav as WAV, in base64; another part of it for each number."""
    with wave.open("/load/speech.wav", "rb") as source:
        room = source.getnframes() - ONE_OFF_SECONDS * source.getframerate()
        source.setpos(int(number * STEP_SECONDS * source.getframerate()) % room)
        part = source.readframes(ONE_OFF_SECONDS * source.getframerate())
        file = io.BytesIO()
        with wave.open(file, "wb") as wav:
            wav.setparams(source.getparams())
            wav.writeframes(part)
    return base64.b64encode(file.getvalue()).decode()


def numbered(body: dict[str, Any], number: int) -> dict[str, Any]:
    """The body of one request."""
    made = body | {"input": body["input"].replace("{n}", str(number))}
    if made.get("reference_audio") == "one-off":
        made["reference_audio"] = one_off(number)
    return made


async def request(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> dict[str, Any]:
    """What became of one try: status or error, and what the caches said."""
    try:
        async with session.post(url, json=body) as answer:
            await answer.read()
            return {
                "status": answer.status,
                "voice": answer.headers.get("x-voice-cache", ""),
                "cache": answer.headers.get("x-cache", ""),
            }
    except (TimeoutError, aiohttp.ClientError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


async def wish(
    session: aiohttp.ClientSession, url: str, body: dict[str, Any], began: float, retries: int
) -> dict[str, Any]:
    """What became of one request, its last try; its moment and how long it took in all."""
    sent = time.monotonic()
    for attempt in range(retries + 1):
        if attempt:
            await asyncio.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        record = await request(session, url, body)
        if record.get("status") not in RETRIED:
            break
    return {
        "at": round(sent - began, 3),
        "seconds": round(time.monotonic() - sent, 4),
        "text": body["input"][:16],
        "tries": attempt + 1,
        **record,
    }


async def run(
    url: str, bodies: list[dict[str, Any]], rate: float, seconds: float, *, kept: bool, retries: int
) -> list[dict[str, Any]]:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    connector = aiohttp.TCPConnector(limit=0, force_close=not kept)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    running: list[asyncio.Task[dict[str, Any]]] = []
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        began = time.monotonic()
        print("begun", file=sys.stderr, flush=True)
        for number, body in enumerate(itertools.cycle(bodies)):
            due = began + number / rate
            if due - began > seconds:
                break
            try:
                await asyncio.wait_for(stop.wait(), max(0.0, due - time.monotonic()))
                break
            except TimeoutError:
                running.append(asyncio.create_task(wish(session, url, numbered(body, number), began, retries)))
        return list(await asyncio.gather(*running))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(**json.loads(sys.argv[1])))))
