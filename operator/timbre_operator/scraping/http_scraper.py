"""``ports.PodScraper`` over HTTP: one session for all pods, and bounds on everything that a pod decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import aiohttp

from timbre_contract.api import CACHE_PATH, METRICS_PATH
from timbre_operator.observed import PodSample
from timbre_operator.scraping.exposition import samples_in
from timbre_operator.scraping.holdings import Holdings, holdings_in

MAX_BYTES: Final = 1 << 20
"""Of one answer: a server exports 30 KB; what is larger is none of ours."""
TIMEOUT_SECONDS: Final = 3.0
"""For both answers together: within the 5 s until the next look, and 100 times what a pod takes."""
SCRAPES: Final = 512
"""At once: pods that hang keep nobody else waiting until there are as many of them."""
HOLDINGS_SECONDS: Final = 30.0
"""How often a pod is asked what it holds: pods are not put into another order more often than that."""


class HttpScraper:
    """Asks admin ports; an async context manager that lives on one event loop."""

    def __init__(self, *, timeout_seconds: float = TIMEOUT_SECONDS, told: Callable[[str], None] | None = None) -> None:
        """``told`` hears of each scrape whether it was ``ok`` or ``failed``."""
        self._timeout_seconds = timeout_seconds
        self._told = told or (lambda _result: None)
        self._places = asyncio.Semaphore(SCRAPES)
        self._holdings: dict[str, tuple[float, Holdings]] = {}
        """By address, and until when they are good."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity", "User-Agent": "timbre-operator"},
            auto_decompress=False,
            read_bufsize=MAX_BYTES,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def scrape(self, address: str) -> PodSample | None:
        sample = None
        try:
            async with self._places, asyncio.timeout(self._timeout_seconds):
                sample = await self._sample(address)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            pass  # it is away, or it is none of ours: both mean that nothing is known of it
        self._told("failed" if sample is None else "ok")
        return sample

    async def _sample(self, address: str) -> PodSample | None:
        text = await self._get(address, METRICS_PATH)
        holdings = await self._held(address)
        if text is None or holdings is None:
            return None
        return PodSample(
            counters=samples_in(text), held=holdings.hottest, warm=holdings.warm, refused_voices=holdings.refused
        )

    async def _held(self, address: str) -> Holdings | None:
        now = asyncio.get_running_loop().time()
        good_until, holdings = self._holdings.get(address, (now, Holdings()))
        if now < good_until:
            return holdings
        self._holdings = {place: known for place, known in self._holdings.items() if known[0] > now}
        text = await self._get(address, CACHE_PATH)
        holdings_now = None if text is None else holdings_in(text)
        if holdings_now is not None:
            self._holdings[address] = now + HOLDINGS_SECONDS, holdings_now
        return holdings_now

    async def _get(self, address: str, path: str) -> bytes | None:
        """None where the answer is no success, or too long."""
        async with self._session.get(f"http://{address}{path}", allow_redirects=False) as response:
            if response.status != 200:
                return None
            body = bytearray()
            async for part in response.content.iter_any():
                body += part
                if len(body) > MAX_BYTES:
                    response.close()
                    return None
            return bytes(body)
