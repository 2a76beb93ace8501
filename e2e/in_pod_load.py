"""How does a service do under load?  Runs in a pod that has aiohttp; ends at SIGTERM or in time, and prints JSON.

Open loop: requests leave at their times however long others take, as people do who don't know each other.  The argument is
JSON: url, bodies (sent in turn), rate (requests a second), seconds (at most), kept (connections are kept and used again).
"""

import asyncio
import itertools
import json
import signal
import sys
import time
from typing import Any

import aiohttp

TIMEOUT_SECONDS = 60.0


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
                # {n} makes a text that nobody has said before.
                text = body.get("input", "").replace("{n}", str(number))
                running.append(asyncio.create_task(request(session, url, body | {"input": text}, began)))
        return list(await asyncio.gather(*running))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(**json.loads(sys.argv[1])))))
