"""What do clients notice while Redis is refused, black-holed or slow, and how soon is all well after it is back?

Beside it, what one GET costs through redis-py as it comes, in the same faults.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

import redis
import redis.asyncio
import redis.exceptions

from benchmarks.measuring import Bar, Chart, Result, median, quantile
from benchmarks.server_rows import VOICE
from benchmarks.steady_load import Answered, Http, SteadyLoad
from examples.local_redis import RedisServer
from examples.local_server import LocalServer
from tests.fault_proxy import BLACK_HOLE, PASS, REFUSE, Fault, FaultProxy, slow
from timbre_contract import metrics
from timbre_contract.api import CONSENTS_PATH, METRICS_PATH, VOICES_PATH

FAULTS = {"refused": REFUSE, "black-holed": BLACK_HOLE, "200 ms slow": slow(0.2)}
VOICES = 4
HEALTHY_SECONDS = 2.5
FIRST_SECONDS = 1.5
"""The log of changes is known as healthy for 0.5 s after its last entry, then each use asks Redis, until the breaker opens:
what is slow at all is slow in here."""
OPEN_SECONDS = 3.0
GIVE_UP_SECONDS = 5.0
FIRST_BOUND_MS, OPEN_BOUND_MS, RECOVERY_BOUND_SECONDS = 60.0, 2.0, 1.0
PEER_SECONDS = 6.0
"""After this the peer's call is cut off: black-holed, it would take about a minute."""
SETTINGS = {
    "ENGINE__NAME": "stub",
    "ENGINE__OPTIONS": json.dumps({"fixed_seconds": 0.005, "per_job_seconds": 0.001}),
    "LOG__ACCESS": "false",
}
WELL = {metrics.REDIS_BREAKER_OPEN.name: 0.0, metrics.CHANGE_LOG_HEALTHY.name: 1.0}


@dataclass(frozen=True)
class Outage:
    """What one fault did."""

    failed: int
    """Answers other than 200."""
    requests: int
    healthy: list[float]
    """Seconds of each request, as in the next two."""
    first: list[float]
    opened: list[float]
    breaker_opened: bool
    recovery_seconds: float

    def added_ms(self, phase: list[float], share: float) -> float:
        """How much later that share of the phase's requests was answered than of those before the fault."""
        return (quantile(phase, share) - quantile(self.healthy, share)) * 1000


async def enrolled(http: Http, count: int) -> list[str]:
    """Ids of new voices that this server holds in memory."""
    voices = []
    for number in range(count):
        answer = await http.upload("POST", VOICES_PATH, "audio_sample", VOICE.read_bytes(), name=f"Voice {number}")
        voices.append(str(json.loads(answer.body)["id"]))
    return voices


async def said(admin: Http) -> dict[str, float]:
    """What the server says of Redis and of the log of changes."""
    lines = (await admin.ask("GET", METRICS_PATH)).body.decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if line.startswith(tuple(WELL)))
    return {name: float(values[name]) for name in WELL}


async def recovered(api: Http, admin: Http, consent: str) -> float:
    """Seconds until a write works, the breaker is closed and the log is followed; infinite after ``GIVE_UP_SECONDS``."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while clock() - began < GIVE_UP_SECONDS:
        written = await api.ask("POST", f"{CONSENTS_PATH}/{consent}", json.dumps({"name": "Renamed"}).encode())
        if written.status == 200 and await said(admin) == WELL:
            return clock() - began
        await asyncio.sleep(0.01)
    return float("inf")


async def suffered(fault: Fault, proxy: FaultProxy, load: SteadyLoad, waiting: tuple[Http, Http, str]) -> Outage:
    """One fault, from the quiet before it to the recovery after it."""
    clock = asyncio.get_running_loop().time
    began = clock()
    await asyncio.sleep(HEALTHY_SECONDS)
    failing = clock()
    await asyncio.to_thread(proxy.become, fault)
    await asyncio.sleep(FIRST_SECONDS)
    open_since = clock()
    await asyncio.sleep(OPEN_SECONDS)
    ended = clock()
    breaker_opened = (await said(waiting[1]))[metrics.REDIS_BREAKER_OPEN.name] == 1.0
    await asyncio.to_thread(proxy.become, PASS)
    recovery = await recovered(*waiting)
    await asyncio.sleep(0.2)  # what was due is answered
    every = load.between(began, clock() - 0.1)
    return Outage(
        failed=sum(answer.status != 200 for answer in every),
        requests=len(every),
        healthy=_seconds(load.between(began, failing)),
        first=_seconds(load.between(failing, open_since)),
        opened=_seconds(load.between(open_since, ended)),
        breaker_opened=breaker_opened,
        recovery_seconds=recovery,
    )


def _seconds(answers: list[Answered]) -> list[float]:
    return [answer.seconds for answer in answers]


async def _ours() -> dict[str, Outage]:
    server_side = RedisServer()
    try:
        with (
            FaultProxy(server_side.port) as proxy,
            LocalServer({**SETTINGS, "REDIS__URL": proxy.url, "SCOPE": "outage"}) as server,
        ):
            async with Http(server.url) as api, Http(server.admin_url) as admin:
                voices = await enrolled(api, VOICES)
                agreed = await api.upload(
                    "POST", CONSENTS_PATH, "recording", VOICE.read_bytes(), name="Consent", language="en-US"
                )
                waiting = (api, admin, str(json.loads(agreed.body)["id"]))
                await recovered(*waiting)
                async with SteadyLoad(server.url, voices) as load:
                    return {name: await suffered(fault, proxy, load, waiting) for name, fault in FAULTS.items()}
    finally:
        server_side.close()


async def _peer(fault: Fault) -> float:
    """Seconds of one GET through redis-py's defaults, cut off after ``PEER_SECONDS``."""
    server_side = RedisServer()
    try:
        with FaultProxy(server_side.port) as proxy:
            client = redis.asyncio.Redis(port=proxy.port)  # from_url leaves out the retries of the constructor
            await client.get("voice")
            await asyncio.to_thread(proxy.become, fault)
            began = time.perf_counter()
            try:
                async with asyncio.timeout(PEER_SECONDS):
                    await client.get("voice")
            except (redis.exceptions.RedisError, TimeoutError):
                pass
            seconds = time.perf_counter() - began
            await client.connection_pool.disconnect()
            return seconds
    finally:
        server_side.close()


async def _measure() -> tuple[dict[str, Outage], dict[str, float]]:
    ours = await _ours()
    peers = await asyncio.gather(*(_peer(fault) for fault in FAULTS.values()))
    return ours, dict(zip(FAULTS, peers, strict=True))


def outage() -> Result:
    """Four voices in memory, 50 requests a second, three faults one after the other."""
    ours, peers = asyncio.run(_measure())
    bars, charts = [], []
    for name, seen in ours.items():
        first, opened = seen.added_ms(seen.first, 0.99), seen.added_ms(seen.opened, 0.99)
        bars += [
            Bar(f"{name}: answers other than 200, of {seen.requests}", seen.failed, "requests", 0),
            Bar(f"{name}: added to the p99, first {FIRST_SECONDS:g} s", first, "ms", FIRST_BOUND_MS),
            Bar(f"{name}: added to the p99, after that", opened, "ms", OPEN_BOUND_MS),
            Bar(f"{name}: recovery after its end", seen.recovery_seconds, "s", RECOVERY_BOUND_SECONDS),
        ]
        waits = {"timbre, a request": max(first, 0.01), "redis-py's defaults, a GET": peers[name] * 1000}
        charts.append(Chart(f"Redis {name}: what its first callers wait for it", "ms", waits, FIRST_BOUND_MS))
    figures = {
        name: {
            "requests": seen.requests,
            "failed": seen.failed,
            "healthy_p50_ms": median(seen.healthy) * 1000,
            "healthy_p99_ms": quantile(seen.healthy, 0.99) * 1000,
            "added_first_p50_ms": seen.added_ms(seen.first, 0.5),
            "added_first_max_ms": (max(seen.first) - median(seen.healthy)) * 1000,
            "added_open_p50_ms": seen.added_ms(seen.opened, 0.5),
            "breaker_opened": seen.breaker_opened,
            "recovery_seconds": seen.recovery_seconds,
            "peer_get_seconds": peers[name],
            "peer_was_cut_off": peers[name] >= PEER_SECONDS,
        }
        for name, seen in ours.items()
    }
    return Result(
        "outage", "stub engine, 4 voices in memory, 50 requests/s, Redis behind a proxy", bars, figures, charts
    )
