"""How long does a pod take to load its hottest voices?  Beside ours, in one pipeline: one load of pickle in base64 after the
other."""

from __future__ import annotations

import gc
import time

from benchmarks.measuring import Bar, Chart, Result, median
from benchmarks.shared_voices import on_the_servers_loop, shared_voices
from tests.redis_server import RedisServer

SIZE = "130 KiB"
VOICES = 16
ROUNDS = 60
DIGESTS = [f"{number:064}" for number in range(VOICES)]


async def _measure(server: RedisServer) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {"timbre, one pipeline": [], "pickle and base64, one by one": []}
    async with shared_voices(server, SIZE) as voices:
        for digest in DIGESTS:
            await voices.stored(digest)
        cache = voices.cache()
        for _ in range(ROUNDS):
            began = time.perf_counter()
            loaded = await cache.prefetch([voices.name(digest) for digest in DIGESTS])
            times["timbre, one pipeline"].append(1000 * (time.perf_counter() - began))
            assert loaded == VOICES
            for digest in DIGESTS:
                cache.forget(digest)
            gc.collect()
            began = time.perf_counter()
            kept = [await voices.by_articles(digest) for digest in DIGESTS]
            times["pickle and base64, one by one"].append(1000 * (time.perf_counter() - began))
            del kept
    return times


def warmup() -> Result:
    """Each round begins without a voice, in a process that has memory from the rounds before, for both alike.

    The first round has none yet, and is told apart.
    """
    times = on_the_servers_loop(_measure)
    millis = {way: median(values) for way, values in times.items()}
    ours, peer = millis.values()
    bars = [Bar(f"{VOICES} voices of {SIZE}: pickle one by one beside ours", peer / ours, "x", 8.0, at_most=False)]
    figures = {"median_ms": millis, "first_ms": {way: values[0] for way, values in times.items()}}
    charts = [Chart(f"{VOICES} voices of {SIZE} into memory, median", "ms", millis, limit=peer / 8)]
    return Result("warmup", f"{VOICES} voices of {SIZE} from Redis on loopback", bars, figures, charts)
