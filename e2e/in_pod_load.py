"""How does a service do under load?  Runs in a pod that has aiohttp; ends at SIGTERM or in time, and prints JSON.

Open loop: requests leave at their times however long others take, as people do who don't know each other.  The argument is
JSON: url, bodies (sent in turn), rate (requests a second), seconds (at most), kept (connections are kept and used again).
In a body's input {n} becomes the request's number; its reference_audio "one-off" becomes a recording that nobody sent before.
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


async def request(session: aiohttp.ClientSession, url: str, body: dict[str, Any], began: float) -> dict[str, Any]:
    """What became of one: its moment, duration, status or error, and what the caches said."""
    sent = time.monotonic()
    record: dict[str, Any] = {"at": round(sent - began, 3), "text": body.get("input", "")[:16]}
    try:
        async with session.post(url, json=body) as answer:
            await answer.read()
            record["status"] = answer.status
            record["voice"] = answer.headers.get("x-voice-cache", "")
            record["cache"] = answer.headers.get("x-cache", "")
    except (TimeoutError, aiohttp.ClientError) as error:
        record["error"] = f"{type(error).__name__}: {error}"
    record["seconds"] = round(time.monotonic() - sent, 4)
    return record


async def run(
    url: str, bodies: list[dict[str, Any]], rate: float, seconds: float, *, kept: bool
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
                running.append(asyncio.create_task(request(session, url, numbered(body, number), began)))
        return list(await asyncio.gather(*running))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(**json.loads(sys.argv[1])))))
