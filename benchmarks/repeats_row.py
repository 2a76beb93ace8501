"""60 % of all requests were made before: how much more is served, and how often is the engine asked?"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import urllib.request
from collections.abc import Callable, Sequence

from benchmarks.measuring import Bar, Chart, Result, median
from benchmarks.results_row import PATH, STUB, plain_server
from benchmarks.steady_load import Http
from examples.local_redis import RedisServer
from examples.local_server import LocalServer

REQUESTS = 2_500
REPEATED = 0.6
IN_FLIGHT = 50
ROUNDS = 3
RECENT = 100
"""A repeat is of one of so many sentences before it: what is popular is asked for by many in the same moments."""
FIXED_SECONDS, PER_JOB_SECONDS = 0.020, 0.002


def _requests(round_number: int) -> list[str]:
    """Texts in the order in which they are asked for; of 10, 6 were asked for before."""
    dice = random.Random(round_number)
    fresh = [True] * round(REQUESTS * (1 - REPEATED)) + [False] * round(REQUESTS * REPEATED)
    rest = fresh[1:]
    dice.shuffle(rest)
    texts: list[str] = []
    for number, is_fresh in enumerate([True, *rest]):
        texts.append(f"Round {round_number}, {number}." if is_fresh else dice.choice(texts[-RECENT:]))
    return texts


async def _seconds(url: str, texts: Sequence[str], cache_control: str) -> float:
    """How long all of them take, so many in flight at a time."""
    waiting = iter(texts)
    clock = asyncio.get_running_loop().time
    async with Http(url, cache_control) as http:

        async def client() -> None:
            for text in waiting:
                body = {"model": "tts-1", "voice": "alloy", "input": text, "response_format": "wav"}
                answer = await http.ask("POST", PATH, json.dumps(body).encode())
                if answer.status != 200:
                    raise RuntimeError(f"status {answer.status}: {answer.body[:200]!r}")

        began = clock()
        await asyncio.gather(*(client() for _ in range(IN_FLIGHT)))
        return clock() - began


def _spoken(admin_url: str) -> int:
    """Sentences that Timbre's engine has taken."""
    with urllib.request.urlopen(f"{admin_url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return round(float(next(line for line in lines if line.startswith("timbre_batch_size_sum ")).split()[1]))


def _calls(url: str) -> int:
    with urllib.request.urlopen(f"{url}/calls") as answer:
        return int(json.load(answer)["calls"])


def repeats() -> Result:
    """The same requests in the same order, through no cache, a plain one, and ours."""
    per_second: dict[str, list[float]] = {}
    calls: dict[str, list[float]] = {}
    options = json.dumps({"fixed_seconds": FIXED_SECONDS, "per_job_seconds": PER_JOB_SECONDS})
    with contextlib.ExitStack() as stack:
        redis = RedisServer("--maxmemory", "1gb", "--maxmemory-policy", "volatile-lru")
        stack.callback(redis.close)
        settings = {**STUB, "ENGINE__OPTIONS": options, "REDIS__URL": redis.url, "BATCHING__MAX_PENDING_SECONDS": "600"}
        server = stack.enter_context(LocalServer(settings))
        plain = stack.enter_context(plain_server(redis.url)).url
        ways: dict[str, tuple[str, str, Callable[[], int]]] = {
            "no cache": (server.url, "no-store", lambda: _spoken(server.admin_url)),
            "a plain cache": (plain, "", lambda: _calls(plain)),
            "timbre": (server.url, "max-age=86400", lambda: _spoken(server.admin_url)),
        }
        for round_number in range(ROUNDS):
            texts = _requests(round_number)
            for name, (url, cache_control, count) in ways.items():
                before = count()
                seconds = asyncio.run(_seconds(url, texts, cache_control))
                per_second.setdefault(name, []).append(len(texts) / seconds)
                calls.setdefault(name, []).append((count() - before) / len(set(texts)))
    return _result({name: median(values) for name, values in per_second.items()}, calls)


def _result(per_second: dict[str, float], calls: dict[str, list[float]]) -> Result:
    bound = 1 / (1 - REPEATED)
    gain = {name: value / per_second["no cache"] for name, value in per_second.items()}
    worst = max(calls["timbre"], key=lambda value: abs(value - 1))
    bars = [
        Bar(
            f"throughput beside no cache, of the bound {bound:g}", gain["timbre"] / bound, "share", 0.96, at_most=False
        ),
        Bar("engine calls for each distinct sentence, the worst round", worst, "calls", 1.0),
        Bar("the same, as a lower bound", worst, "calls", 1.0, at_most=False),
    ]
    charts = [
        Chart(
            f"Throughput beside no cache (at most {bound:g})", "x", gain, limit=0.96 * bound, at_most=False, ours=["timbre"]
        ),
        Chart(
            "Engine calls for each distinct sentence", "calls",
            {name: max(values) for name, values in calls.items()}, limit=1.0, ours=["timbre"],
        ),
    ]  # fmt: skip
    figures: dict[str, object] = {
        "requests_per_second": per_second,
        "gain": gain,
        "calls_for_each_distinct": calls,
    }
    workload = f"{REQUESTS} requests, {REPEATED:.0%} repeated, {IN_FLIGHT} in flight, S(n) = 20 + 2n ms"
    return Result("repeats", workload, bars, figures, charts)
