"""How long until features that another pod extracted are usable arrays?  Beside ours: pickle in base64 as in the articles
(repaired), and a value read by hand, which is the least that Redis can cost."""

from __future__ import annotations

import time

from benchmarks.codec_row import SHAPES
from benchmarks.measuring import Bar, Chart, Result, median, quantile
from benchmarks.shared_voices import HandReader, on_the_servers_loop, shared_voices
from tests.redis_server import RedisServer
from timbre_contract.keys import ServiceKeys

ROUNDS = {"130 KiB": 60, "1 MiB": 30, "4 MiB": 12}
BLOCK = 10
"""Reads in a row before the next way has its turn: all see the same machine, each with its memory warm."""
DIGEST = "d" * 64


async def _measure(server: RedisServer, size: str) -> dict[str, list[float]]:
    async with shared_voices(server, size) as voices:
        await voices.stored(DIGEST)
        tier, key, hand = voices.tier(), voices.key(DIGEST), HandReader(server)
        place = ServiceKeys(f"bench-{size.split(maxsplit=1)[0]}").features(DIGEST)
        times: dict[str, list[float]] = {"timbre": [], "pickle and base64": [], "read by hand": []}
        for _ in range(ROUNDS[size]):
            for _ in range(BLOCK):
                began = time.perf_counter()
                features = await tier.fetch(DIGEST, key)
                times["timbre"].append(time.perf_counter() - began)
                assert features is not None
            for _ in range(max(2, BLOCK // 5)):
                began = time.perf_counter()
                await voices.by_articles(DIGEST)
                times["pickle and base64"].append(time.perf_counter() - began)
            for _ in range(BLOCK):
                began = time.perf_counter()
                hand.read(place, key)
                times["read by hand"].append(time.perf_counter() - began)
        hand.close()
    return times


async def _all(server: RedisServer) -> dict[str, dict[str, list[float]]]:
    return {size: await _measure(server, size) for size in SHAPES}


def shared_tier() -> Result:
    """Medians on loopback, for the three sizes."""
    times = on_the_servers_loop(_all)
    bars, charts, figures = [], [], {}
    for size, ways in times.items():
        micros = {way: 1e6 * median(values) for way, values in ways.items()}
        peer, floor = micros["pickle and base64"] / micros["timbre"], micros["timbre"] / micros["read by hand"]
        bars.append(Bar(f"{size}: pickle and base64 beside ours", peer, "x", 4.0, at_most=False))
        bars.append(Bar(f"{size}: ours beside a read by hand (stretch: 2.5)", floor, "x", 4.5))
        charts.append(Chart(f"Shared tier to usable arrays, {size}, median", "us", micros))
        figures[size] = {
            way: {"median_us": micros[way], "p99_us": 1e6 * quantile(values, 0.99)} for way, values in ways.items()
        }
    workload = "features from Redis on loopback to arrays, checksum included; medians"
    return Result("shared-tier", workload, bars, figures, charts)
