"""How long do twenty requests wait that switch to a voice which only the shared tier has?  Beside ours: twenty loads of pickle
in base64 at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from benchmarks.measuring import Bar, Chart, Result, median, quantile
from benchmarks.shared_voices import SharedVoices, load_nothing, on_the_servers_loop, shared_voices
from tests.redis_server import RedisServer
from timbre_server.voicecache import TieredFeatureCache

SIZE = "130 KiB"
SWITCHES = 20
ROUNDS = 100
DIGESTS = [f"{number:064}" for number in range(SWITCHES)]


async def _waits(asks: list[Callable[[], Awaitable[object]]]) -> list[float]:
    """How long each of those who ask at once waits, in ms."""
    began = time.perf_counter()

    async def waited(ask: Callable[[], Awaitable[object]]) -> float:
        await ask()
        return 1000 * (time.perf_counter() - began)

    return list(await asyncio.gather(*map(waited, asks)))


def _switch(voices: SharedVoices, cache: TieredFeatureCache, digest: str) -> Callable[[], Awaitable[object]]:
    return lambda: cache.features(voices.name(digest), load_nothing)


async def _measure(server: RedisServer) -> tuple[dict[str, list[float]], list[int]]:
    times: dict[str, list[float]] = {
        kind: [] for kind in ("timbre, distinct", "timbre, same", "pickle, distinct", "pickle, same")
    }
    gets = []
    async with shared_voices(server, SIZE) as voices:
        for digest in DIGESTS:
            await voices.stored(digest)
        await _waits([_switch(voices, voices.cache(), digest) for digest in DIGESTS])  # connects
        for _ in range(ROUNDS):
            cache = voices.cache()
            times["timbre, distinct"] += await _waits([_switch(voices, cache, digest) for digest in DIGESTS])
            cache, before = voices.cache(), await voices.gets()
            times["timbre, same"] += await _waits([_switch(voices, cache, DIGESTS[0])] * SWITCHES)
            gets.append(await voices.gets() - before)
        for _ in range(ROUNDS // 10):
            times["pickle, distinct"] += await _waits([lambda d=digest: voices.by_articles(d) for digest in DIGESTS])
            times["pickle, same"] += await _waits([lambda: voices.by_articles(DIGESTS[0])] * SWITCHES)
    return times, gets


def switches() -> Result:
    """Each round begins with an empty memory."""
    times, gets = on_the_servers_loop(_measure)
    p99 = {kind: quantile(values, 0.99) for kind, values in times.items()}
    bars = [
        Bar("20 distinct voices at once, p99", p99["timbre, distinct"], "ms", 8.0),
        Bar("the same voice 20 times at once: most GETs of a round", max(gets), "GETs", 1.0),
        Bar(
            "20 distinct: pickle's p99 beside ours",
            p99["pickle, distinct"] / p99["timbre, distinct"],
            "x",
            1.0,
            at_most=False,
        ),
    ]
    figures = {
        kind: {"median_ms": median(values), "p99_ms": p99[kind], "max_ms": max(values)}
        for kind, values in times.items()
    }
    charts = [
        Chart(
            f"{SWITCHES} switches at once to {which}, {SIZE} each, p99",
            "ms",
            {"timbre": p99[f"timbre, {kind}"], "pickle and base64": p99[f"pickle, {kind}"]},
            limit=8.0 if kind == "distinct" else None,
        )
        for kind, which in (("distinct", "distinct voices"), ("same", "the same voice"))
    ]
    return Result("switches", f"{SWITCHES} requests at once, voices of {SIZE} in Redis only", bars, figures, charts)
