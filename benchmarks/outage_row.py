"""What do clients notice while Redis is refused, black-holed or slow, and how soon is all well after it is back?

Beside it, an equal server under the same load whose Redis is well, so that what the machine does to both is not taken for
the fault's; and what one GET costs through redis-py as it comes, in the same faults.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import redis
import redis.asyncio
import redis.exceptions

from benchmarks.measuring import Bar, Chart, Result, median, quantile
from benchmarks.server_rows import VOICE
from benchmarks.steady_load import Http, SteadyLoad
from examples.local_redis import RedisServer
from examples.local_server import LocalServer
from tests.fault_proxy import BLACK_HOLE, PASS, REFUSE, Fault, FaultProxy, slow
from timbre_contract import metrics
from timbre_contract.api import CONSENTS_PATH, METRICS_PATH, VOICES_PATH

FAULTS = {"refused": REFUSE, "black-holed": BLACK_HOLE, "200 ms slow": slow(0.2)}
VOICES = 4
HEALTHY_SECONDS = 1.0
FIRST_SECONDS = 1.5
"""The log of changes is known as healthy for 0.5 s after its last entry, then each use asks Redis, until the breaker opens:
what is slow at all is slow in here."""
OPEN_SECONDS = 4.0
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
class Phase:
    """Seconds of the requests that were due in one stretch of time."""

    ours: list[float]
    well: list[float]
    """Of the server whose Redis is well."""

    def added_ms(self, share: float) -> float:
        """How much later that share of requests was answered than by the other server in the same time."""
        return (quantile(self.ours, share) - quantile(self.well, share)) * 1000


@dataclass(frozen=True)
class Outage:
    """What one fault did."""

    failed: int
    """Answers other than 200."""
    requests: int
    before: Phase
    first: Phase
    then: Phase
    breaker_opened: bool
    recovery_seconds: float


@dataclass(frozen=True)
class Scene:
    """What is needed to watch a fault."""

    proxy: FaultProxy
    load: SteadyLoad
    control: SteadyLoad
    api: Http
    admin: Http
    consent: str
    """Id of a consent that can be renamed: the cheapest write."""

    def phase(self, begin: float, end: float) -> Phase:
        """What was due between these times."""
        ours, well = self.load.between(begin, end), self.control.between(begin, end)
        return Phase([answer.seconds for answer in ours], [answer.seconds for answer in well])


async def enrolled(http: Http) -> list[str]:
    """Ids of new voices that this server holds in memory."""
    voices = []
    for number in range(VOICES):
        answer = await http.upload("POST", VOICES_PATH, "audio_sample", VOICE.read_bytes(), name=f"Voice {number}")
        voices.append(str(json.loads(answer.body)["id"]))
    return voices


async def said(admin: Http) -> dict[str, float]:
    """What the server says of Redis and of the log of changes."""
    lines = (await admin.ask("GET", METRICS_PATH)).body.decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if line.startswith(tuple(WELL)))
    return {name: float(values[name]) for name in WELL}


async def recovered(scene: Scene) -> float:
    """Seconds until a write works, the breaker is closed and the log is followed; infinite after ``GIVE_UP_SECONDS``."""
    clock = asyncio.get_running_loop().time
    began, body = clock(), json.dumps({"name": "Renamed"}).encode()
    while clock() - began < GIVE_UP_SECONDS:
        written = await scene.api.ask("POST", f"{CONSENTS_PATH}/{scene.consent}", body)
        if written.status == 200 and await said(scene.admin) == WELL:
            return clock() - began
        await asyncio.sleep(0.01)
    return float("inf")


async def suffered(fault: Fault, scene: Scene) -> Outage:
    """One fault, from the quiet before it to the recovery after it."""
    clock = asyncio.get_running_loop().time
    began = clock()
    await asyncio.sleep(HEALTHY_SECONDS)
    failing = clock()
    await asyncio.to_thread(scene.proxy.become, fault)
    await asyncio.sleep(FIRST_SECONDS)
    then = clock()
    await asyncio.sleep(OPEN_SECONDS)
    ended = clock()
    breaker_opened = (await said(scene.admin))[metrics.REDIS_BREAKER_OPEN.name] == 1.0
    await asyncio.to_thread(scene.proxy.become, PASS)
    recovery = await recovered(scene)
    await asyncio.sleep(0.2)  # what was due is answered
    every = scene.load.between(began, clock() - 0.1)
    return Outage(
        failed=sum(answer.status != 200 for answer in every),
        requests=len(every),
        before=scene.phase(began, failing),
        first=scene.phase(failing, then),
        then=scene.phase(then, ended),
        breaker_opened=breaker_opened,
        recovery_seconds=recovery,
    )


@asynccontextmanager
async def prepared(port: int) -> AsyncIterator[Scene]:
    """Two servers with their voices under load: one behind the proxy, one that reaches the same Redis directly."""
    async with AsyncExitStack() as stack:
        proxy = stack.enter_context(FaultProxy(port))
        server = stack.enter_context(LocalServer({**SETTINGS, "REDIS__URL": proxy.url, "SCOPE": "outage"}))
        direct = {**SETTINGS, "REDIS__URL": f"redis://127.0.0.1:{port}/0", "SCOPE": "well"}
        well = stack.enter_context(LocalServer(direct))
        api = await stack.enter_async_context(Http(server.url))
        admin = await stack.enter_async_context(Http(server.admin_url))
        agreed = await api.upload(
            "POST", CONSENTS_PATH, "recording", VOICE.read_bytes(), name="Consent", language="en-US"
        )
        consent = str(json.loads(agreed.body)["id"])
        other = await stack.enter_async_context(Http(well.url))
        loads = [SteadyLoad(server.url, await enrolled(api)), SteadyLoad(well.url, await enrolled(other))]
        load, control = [await stack.enter_async_context(load) for load in loads]
        scene = Scene(proxy, load, control, api, admin, consent)
        await recovered(scene)
        yield scene


async def _ours() -> dict[str, Outage]:
    server_side = RedisServer()
    try:
        async with prepared(server_side.port) as scene:
            return {name: await suffered(fault, scene) for name, fault in FAULTS.items()}
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
        first, then = seen.first.added_ms(0.99), seen.then.added_ms(0.99)
        bars += [
            Bar(f"{name}: answers other than 200, of {seen.requests}", seen.failed, "requests", 0),
            Bar(f"{name}: added to the p99, first {FIRST_SECONDS:g} s", first, "ms", FIRST_BOUND_MS),
            Bar(f"{name}: added to the p99, next {OPEN_SECONDS:g} s", then, "ms", OPEN_BOUND_MS),
            Bar(f"{name}: recovery after its end", seen.recovery_seconds, "s", RECOVERY_BOUND_SECONDS),
        ]
        # A logarithmic axis has no zero, and what is below 0.1 ms is noise.
        waits = {"timbre, a request's p99": max(first, 0.1), "redis-py's defaults, a GET": peers[name] * 1000}
        charts.append(Chart(f"Redis {name}: what its first callers wait for it", "ms", waits, FIRST_BOUND_MS))
    figures = {name: {**_figures(seen), "peer_get_seconds": peers[name]} for name, seen in ours.items()}
    workload = (
        f"stub engine, {VOICES} voices in memory, 50 requests/s; added = beside an equal server whose Redis is well;"
        f" the peer is cut off after {PEER_SECONDS:g} s"
    )
    return Result("outage", workload, bars, figures, charts)


def _figures(seen: Outage) -> dict[str, object]:
    return {
        "requests": seen.requests,
        "failed": seen.failed,
        "well_p50_ms": median(seen.then.well) * 1000,
        "well_p99_ms": quantile(seen.then.well, 0.99) * 1000,
        "added_before_p99_ms": seen.before.added_ms(0.99),
        "added_first_p50_ms": seen.first.added_ms(0.5),
        "added_first_p99_ms": seen.first.added_ms(0.99),
        "added_then_p50_ms": seen.then.added_ms(0.5),
        "added_then_p99_ms": seen.then.added_ms(0.99),
        "breaker_opened": seen.breaker_opened,
        "recovery_seconds": seen.recovery_seconds,
    }
