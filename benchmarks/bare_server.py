"""The least that an HTTP server in Python can add: uvicorn, one thread that waits as the stub engine does, no framework."""

from __future__ import annotations

import asyncio
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import uvicorn
from starlette.types import Receive, Scope, Send

_ENGINE = ThreadPoolExecutor(1)


def application(engine_seconds: float, body_bytes: int) -> object:
    """An ASGI application that answers anything with so many bytes after so long."""
    body = bytes(body_bytes)
    headers = [(b"content-length", str(body_bytes).encode())]

    async def answer(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.get_running_loop().run_in_executor(_ENGINE, time.sleep, engine_seconds)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


if __name__ == "__main__":
    port, seconds, size = sys.argv[1:]
    uvicorn.run(
        application(float(seconds), int(size)),  # type: ignore[arg-type]
        port=int(port),
        http="httptools",
        loop="uvloop",
        lifespan="off",
        log_level="error",
    )
