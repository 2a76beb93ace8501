"""An admin port that answers as a test wants it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

METRICS = b"timbre_queued_requests 3.0\n"
CACHE = b'{"hottest": [{"digest": "d1", "heat": 2.5}], "warm_up": "completed"}'


@dataclass
class AdminPort:
    """What it answers, and what it was asked."""

    metrics: bytes = METRICS
    cache: bytes = CACHE
    status: int = 200
    hangs: bool = False
    location: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    connections: set[object] = field(default_factory=set)
    address: str = ""
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.path] += 1
        self.connections.add(request.transport)
        if self.hangs:
            await self.closing.wait()
        if self.location:
            raise web.HTTPFound(self.location)
        return web.Response(body=self.metrics if request.path == "/metrics" else self.cache, status=self.status)


@asynccontextmanager
async def an_admin_port(**answers: object) -> AsyncIterator[AdminPort]:
    """Listening on a free port of this machine."""
    port = AdminPort(**answers)  # type: ignore[arg-type]
    application = web.Application()
    application.router.add_get("/{path:.*}", port.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port.address = "{}:{}".format(*runner.addresses[0][:2])
    try:
        yield port
    finally:
        port.closing.set()
        await runner.cleanup()
