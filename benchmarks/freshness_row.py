"""Is a voice that was replaced ever used more than a second after the acknowledgement, when connections keep breaking?

One writer, and two readers that use voices all the time: a pod of ours, and the peer that articles describe, a cache that
forgets a voice when a message on a pub/sub channel says so.  All four are processes, with Redis between them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import redis
import redis.asyncio
import uvloop

from benchmarks.measuring import Bar, Result, median, quantile
from examples.local_redis import RedisServer
from timbre_contract.keys import ServiceKeys
from timbre_server.domain.voice import VoiceRecord
from timbre_server.errors import StoreUnavailable
from timbre_server.ports import VoiceChange
from timbre_server.settings import RedisSettings, Settings
from timbre_server.store.link import RedisLink
from timbre_server.store.redis_voices import RedisVoiceStore
from timbre_server.store.registry import RedisRegistry
from timbre_server.telemetry.metrics import Metrics

SECONDS = 30.0
"""Of the storm."""
QUIET_SECONDS = 2.0
QUIET_RATE, STORM_RATE = 100, 1000
"""Replacements per second."""
VOICES = 2500
"""So that each is replaced every 2.5 seconds: long enough to be heard stale for more than one of them."""
QUIET_USES, STORM_USES = 200, 2000
"""Uses per second."""
KILLS_EVERY_SECONDS = 2.0
BOUND_SECONDS = 1.0
CHANNEL = "voice_updates"
KEYS = ServiceKeys("benchmark")
TENANT = "default"
WRITERS = 8


def _voice(number: int, digest: str) -> VoiceRecord:
    return VoiceRecord(f"voice_{number}", TENANT, "Ada", 1, digest, created_at=1, updated_at=1)


async def _write(url: str) -> dict[str, Any]:
    """Replaces voices at a steady rate; when each replacement was sent and acknowledged, by voice and generation."""
    link = RedisLink(RedisSettings(url=url))
    await link.start()
    store, channel = RedisVoiceStore(link, KEYS), redis.asyncio.Redis.from_url(url)
    written: list[tuple[int, int, float, float, bool]] = []
    unsure = 0

    async def replace(number: int, *, storm: bool) -> None:
        nonlocal unsure
        sent = time.monotonic()
        try:
            after = (await store.replace_voice(_voice(number, f"{random.getrandbits(64):x}"), b"flac")).after
        except StoreUnavailable:
            unsure += 1
            return
        written.append((number, after.generation, sent, time.monotonic(), storm))
        await channel.publish(CHANNEL, f"{number} {time.monotonic()}")

    async def write_share(share: int, rate: float, seconds: float, *, storm: bool) -> None:
        begin = time.monotonic()
        for turn in range(int(rate * seconds / WRITERS)):
            due = begin + (turn * WRITERS + share) / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await replace(random.randrange(VOICES), storm=storm)

    for first in range(0, VOICES, 100):
        await asyncio.gather(*(store.add_voice(_voice(n, "0"), b"flac") for n in range(first, first + 100)))
    await _meet()
    for rate, seconds, storm in ((QUIET_RATE, QUIET_SECONDS, False), (STORM_RATE, SECONDS, True)):
        began = time.monotonic()
        await asyncio.gather(*(write_share(share, rate, seconds, storm=storm) for share in range(WRITERS)))
        took = time.monotonic() - began
    await channel.aclose()
    await link.close()
    return {"written": written, "unsure": unsure, "storm_seconds": took}


def _settings(url: str) -> RedisSettings:
    return RedisSettings(url=url)  # the default time limits


async def _told() -> None:
    """Returns when the row says that the next phase begins."""
    await asyncio.to_thread(sys.stdin.readline)


async def _meet() -> None:
    """Says that this process is ready, and waits until all are."""
    print("ready", flush=True)
    await _told()


async def _use(generation: Callable[[int], Awaitable[int]]) -> dict[str, Any]:
    """Uses voices until told to end; when each use began, of which voice, and which generation it got."""
    used: list[tuple[float, int, int]] = []
    refused = 0
    await _meet()
    cpu = 0.0
    for rate in (QUIET_USES, STORM_USES):
        ending, due, cpu = asyncio.create_task(_told()), time.monotonic(), time.process_time()
        while not ending.done():
            due = max(due + 10 / rate, time.monotonic() - 0.1)
            for _ in range(10):
                number, began = random.randrange(VOICES), time.monotonic()
                try:
                    used.append((began, number, await generation(number)))
                except (StoreUnavailable, redis.exceptions.RedisError):
                    refused += 1
            await asyncio.sleep(max(0.0, due - time.monotonic()))
    return {"used": used, "refused": refused, "storm_cpu_seconds": time.process_time() - cpu}


async def _ours(url: str) -> dict[str, Any]:
    link = RedisLink(_settings(url))
    await link.start()
    metrics = Metrics()
    registry = RedisRegistry(link, KEYS, pod="benchmark", settings=Settings(redis=_settings(url)), metrics=metrics)
    applied: dict[str, float] = {}

    def note(entry: object) -> None:
        if isinstance(entry, VoiceChange):
            applied[f"{entry.name.voice_id} {entry.generation}"] = time.monotonic()

    registry.follower.on_entry(note)  # comes behind the store, for which the entry has taken effect by then
    await registry.start()
    unhealthy = 0

    async def generation(number: int) -> int:
        nonlocal unhealthy
        unhealthy += not registry.healthy
        return (await registry.store.voice(TENANT, f"voice_{number}")).generation

    result = await _use(generation)
    await registry.stop()
    await link.close()
    counted = metrics.registry.get_sample_value
    return {
        **result,
        "applied": applied,
        "connects": registry.follower.connects,
        "asked_because_unhealthy": unhealthy,
        "stale_by_its_own_checker": counted("timbre_voice_stale_reads_total"),
        "unchecked": counted("timbre_voice_unchecked_uses_total"),
    }


async def _peer(url: str) -> dict[str, Any]:
    client = redis.asyncio.Redis.from_url(url)
    cache: dict[int, int] = {}
    lags: list[float] = []

    async def listen() -> None:
        while True:  # the library subscribes anew by itself, as a rule
            with contextlib.suppress(redis.exceptions.ConnectionError):
                await hear()

    async def hear() -> None:
        subscription = client.pubsub()
        await subscription.subscribe(CHANNEL)
        async for message in subscription.listen():
            if message["type"] == "message":
                number, sent = message["data"].split()
                cache.pop(int(number), None)
                lags.append(time.monotonic() - float(sent))

    async def generation(number: int) -> int:
        if number not in cache:
            cache[number] = int(await client.hget(KEYS.voice(TENANT, f"voice_{number}"), "generation") or 0)
        return cache[number]

    listening = asyncio.create_task(listen())
    result = await _use(generation)
    listening.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listening
    await client.aclose()
    return {**result, "lags": lags[: int(QUIET_RATE * QUIET_SECONDS)]}


class _Part:
    """A process of the row."""

    def __init__(self, role: str, url: str, folder: Path) -> None:
        self._result = folder / f"{role}.json"
        command = [sys.executable, "-m", "benchmarks.freshness_row", role, url, str(self._result)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ready(self) -> None:
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError("a part of the row failed to start")

    def tell(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def result(self) -> dict[str, Any]:
        if self._process.wait(timeout=30):
            raise RuntimeError("a part of the row failed")
        result: dict[str, Any] = json.loads(self._result.read_text("utf-8"))
        return result


def _kill_connections(client: redis.Redis) -> None:
    client.client_kill_filter(_type="pubsub")
    for connection in client.client_list():
        if connection["cmd"] == "xread":
            client.client_kill_filter(_id=connection["id"])


def freshness() -> Result:
    """A quiet phase for the propagation, then the storm."""
    server = RedisServer()
    try:
        with TemporaryDirectory() as folder:
            writer, *readers = [_Part(role, server.url, Path(folder)) for role in ("writer", "ours", "peer")]
            for part in (writer, *readers):
                part.ready()
            for part in (*readers, writer):
                part.tell()
            time.sleep(QUIET_SECONDS + 0.5)
            for part in readers:
                part.tell()
            kills = 0
            with redis.Redis(port=server.port) as client:
                while writer.running:
                    _kill_connections(client)
                    kills += 1
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        writer._process.wait(KILLS_EVERY_SECONDS)  # noqa: SLF001 - one of our own
            for part in readers:
                part.tell()
            written, ours, peer = (part.result() for part in (writer, *readers))
    finally:
        server.close()
    return _judged(written, ours, peer, kills)


def _stale(written: dict[str, Any], reader: dict[str, Any]) -> list[float]:
    """How late, in seconds, each use was that got a generation more than the bound after its end."""
    ended = {(number, generation - 1): acknowledged for number, generation, _, acknowledged, _ in written["written"]}
    late = (began - ended.get((number, generation), began) for began, number, generation in reader["used"])
    return [seconds for seconds in late if seconds > BOUND_SECONDS]


def _judged(written: dict[str, Any], ours: dict[str, Any], peer: dict[str, Any], kills: int) -> Result:
    since_sent, since_acknowledged = [], []
    for number, generation, sent, acknowledged, storm in written["written"]:
        if not storm and (at := ours["applied"].get(f"voice_{number} {generation}")) is not None:
            since_sent.append((at - sent) * 1e6)
            since_acknowledged.append(max(0.0, at - acknowledged) * 1e6)
    rate = sum(storm for *_, storm in written["written"]) / written["storm_seconds"]
    stale_ours, stale_peer = _stale(written, ours), _stale(written, peer)
    bars = [
        Bar("uses later than 1 s after the acknowledgement", len(stale_ours), "uses", 0),
        Bar("propagation after the acknowledgement, median", median(since_acknowledged), "us", 300),
    ]
    figures: dict[str, Any] = {
        "replacements_per_second": rate,
        "replacements_unsure": written["unsure"],
        "kills": kills,
        "peer_uses_later_than_1_s": len(stale_peer),
        "peer_latest_use_seconds": max(stale_peer, default=0.0),
        "propagation_us": {
            "after_acknowledgement_p99": quantile(since_acknowledged, 0.99),
            "after_sending_median": median(since_sent),
            "after_sending_p99": quantile(since_sent, 0.99),
            "peer_after_publishing_median": median(peer["lags"]) * 1e6,
            "peer_after_publishing_p99": quantile(peer["lags"], 0.99) * 1e6,
        },
        "ours": {
            name: ours[name]
            for name in ("connects", "asked_because_unhealthy", "stale_by_its_own_checker", "unchecked")
        },
        "uses": {"ours": len(ours["used"]), "peer": len(peer["used"])},
        "refused": {"ours": ours["refused"], "peer": peer["refused"]},
        "storm_cpu_seconds": {"ours": ours["storm_cpu_seconds"], "peer": peer["storm_cpu_seconds"]},
    }
    workload = (
        f"{rate:.0f} replacements/s for {SECONDS:.0f} s over {VOICES} voices, connections killed {kills} times; "
        f"pub/sub only: {len(stale_peer)} uses later than 1 s, the latest {max(stale_peer, default=0.0):.1f} s"
    )
    return Result("freshness", workload, bars, figures)


def main() -> None:
    """A part of the row in a process of its own."""
    role, url, result = sys.argv[1:]
    parts: dict[str, Callable[[str], Awaitable[dict[str, Any]]]] = {"writer": _write, "ours": _ours, "peer": _peer}

    async def run() -> dict[str, Any]:
        return await parts[role](url)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the server runs
        Path(result).write_text(json.dumps(runner.run(run())), "utf-8")


if __name__ == "__main__":
    main()
