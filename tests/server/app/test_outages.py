"""Redis is away, in every way that it can be: who speaks with voices in memory does not notice, and no voice is lost."""

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest
import redis
import redis.asyncio

from benchmarks.steady_load import Http, SteadyLoad
from examples.local_server import LocalServer
from tests.fault_proxy import BLACK_HOLE, PASS, REFUSE, RESET, Fault, FaultProxy, cut_after, slow
from tests.quality import recordings
from tests.redis_server import RedisServer, free_port
from tests.redis_topologies import RedisSentinelServers
from timbre_contract import metrics
from timbre_contract.api import METRICS_PATH, SPEECH_PATH, VOICES_PATH
from timbre_contract.keys import ServiceKeys
from timbre_server.domain.voice import VoiceRecord
from timbre_server.errors import StoreUnavailable
from timbre_server.settings import RedisSettings
from timbre_server.store.link import RedisLink
from timbre_server.store.redis_voices import RedisVoiceStore

STUB = {"ENGINE__NAME": "stub", "ENGINE__OPTIONS": '{"fixed_seconds": 0.002, "per_job_seconds": 0.0005}'}
HIS, HER = "librivox-male", "allison-female"
PATIENCE = {
    "REDIS__CONNECT_TIMEOUT_SECONDS": "0.3",
    "REDIS__READ_TIMEOUT_SECONDS": "0.3",
    "REDIS__REQUEST_BUDGET_SECONDS": "0.6",
}
"""More than by default: a loaded machine must not look like a fault.  What the defaults are worth is measured by
``benchmarks/outage_row.py``."""
WELL = {metrics.REDIS_BREAKER_OPEN.name: 0.0, metrics.CHANGE_LOG_HEALTHY.name: 1.0, metrics.REGISTRY_DEGRADED.name: 0.0}


@dataclass
class Pod:
    """A server process and its two ports."""

    api: Http
    admin: Http
    server: LocalServer

    async def enrol(self, recording: str) -> str:
        audio = recordings.path(recording).read_bytes()
        answer = await self.api.upload("POST", VOICES_PATH, "audio_sample", audio, name=recording)
        assert answer.status == 200, answer.body
        return str(json.loads(answer.body)["id"])

    async def delete(self, voice: str) -> int:
        return (await self.api.ask("DELETE", f"{VOICES_PATH}/{voice}")).status

    async def speak(self, voice: str) -> int:
        body = {"model": "tts-1", "voice": voice, "input": "Hello.", "response_format": "wav"}
        return (await self.api.ask("POST", SPEECH_PATH, json.dumps(body).encode())).status

    async def says(self) -> dict[str, float]:
        """Its gauges of Redis and the log."""
        lines = (await self.admin.ask("GET", METRICS_PATH)).body.decode().splitlines()
        values = dict(line.rsplit(" ", 1) for line in lines if line.startswith(tuple(WELL)))
        return {name: float(values[name]) for name in WELL}

    async def is_well(self) -> bool:
        return await self.says() == WELL

    async def breaker_is_open(self) -> bool:
        return (await self.says())[metrics.REDIS_BREAKER_OPEN.name] == 1.0


@asynccontextmanager
async def pod_of(server: LocalServer) -> AsyncIterator[Pod]:
    async with Http(server.url) as api, Http(server.admin_url) as admin:
        yield Pod(api, admin, server)


@asynccontextmanager
async def started(url: str, scope: str, **more: str) -> AsyncIterator[Pod]:
    """A server of its own; it starts in a thread, because a proxy or a load may be at work meanwhile."""
    server = LocalServer(variables(url, scope, **more))
    await asyncio.to_thread(server.__enter__)
    try:
        async with pod_of(server) as pod:
            yield pod
    finally:
        await asyncio.to_thread(server.stop)


def variables(url: str, scope: str, **more: str) -> dict[str, str]:
    return {**STUB, **PATIENCE, "LOG__ACCESS": "false", "REDIS__URL": url, "SCOPE": scope, **more}


async def until(claim: Callable[[], Awaitable[bool]], load: SteadyLoad | None = None) -> None:
    """Returns when another process has brought it about; the load goes on meanwhile."""
    async with asyncio.timeout(20):
        while not await claim():
            if load is not None:
                await load.more(1)


def failures(load: SteadyLoad) -> list[int]:
    return [answer.status for answer in load.answered if answer.status != 200]


@pytest.fixture(scope="module")
def behind_proxy(redis_server: RedisServer) -> Iterator[tuple[FaultProxy, LocalServer]]:
    """One server for all faults: each of them has to end as if nothing had been."""
    with (
        FaultProxy(redis_server.port) as proxy,
        LocalServer(variables(proxy.url, f"outages-{os.getpid()}")) as server,
    ):
        yield proxy, server


@pytest.fixture
def own_redis(request: pytest.FixtureRequest, redis_server: RedisServer) -> Iterator[RedisServer]:
    """One that may be killed; its options by parametrization."""
    server = RedisServer(*getattr(request, "param", ()), port=free_port())
    yield server
    server.close()


@pytest.mark.parametrize(
    "fault", [REFUSE, BLACK_HOLE, slow(0.5), RESET], ids=["refused", "black-holed", "slow", "reset"]
)
async def test_voices_in_memory_are_spoken_while_redis_is_away(
    behind_proxy: tuple[FaultProxy, LocalServer], fault: Fault
) -> None:
    proxy, server = behind_proxy
    async with pod_of(server) as pod:
        await until(pod.is_well)
        kept, deleted = await pod.enrol(HIS), await pod.enrol(HER)
        async with SteadyLoad(server.url, [kept]) as load:
            await load.more(10)
            proxy.become(fault)
            await until(pod.breaker_is_open, load)
            await load.more(25)
            refused = await pod.api.ask("DELETE", f"{VOICES_PATH}/{deleted}")
            assert (refused.status, json.loads(refused.body)["error"]["code"]) == (503, "store_unavailable")
            assert await pod.speak("voice_nobody_has") == 503  # nobody knows, which is not the same as no
            proxy.become(PASS)
            await until(pod.is_well, load)
            assert await pod.delete(deleted) == 200
            assert await pod.speak("voice_nobody_has") == 404
            await load.more(10)
    assert failures(load) == []


async def test_replies_that_break_off_harm_nobody(behind_proxy: tuple[FaultProxy, LocalServer]) -> None:
    proxy, server = behind_proxy
    async with pod_of(server) as pod:
        await until(pod.is_well)
        async with SteadyLoad(server.url, [await pod.enrol(HIS)]) as load:
            for size in (0, 1, 20, 100):
                proxy.become(cut_after(size))
                await load.more(20)
            proxy.become(PASS)
            await until(pod.is_well, load)
            await load.more(10)
    assert failures(load) == []
    assert [line for line in server.lines if line.get("level") == "error" or "exception" in line] == []


async def test_a_server_starts_without_its_redis_and_finds_it_later(redis_server: RedisServer, scope: str) -> None:
    with FaultProxy(redis_server.port) as proxy:
        async with started(redis_server.url, scope) as other:
            voice = await other.enrol(HIS)
        proxy.become(REFUSE)
        async with started(proxy.url, scope) as pod:
            assert (await pod.speak("alloy"), await pod.speak(voice)) == (200, 503)
            proxy.become(PASS)
            await until(pod.is_well)
            assert await pod.speak(voice) == 200


async def test_an_emptied_redis_is_filled_again_by_the_pods_and_nothing_is_taken_for_deleted(
    own_redis: RedisServer, scope: str
) -> None:
    keys, url = ServiceKeys(scope), own_redis.url
    async with started(url, scope) as a, started(url, scope) as b:
        his, hers = await a.enrol(HIS), await b.enrol(HER)
        for pod in (a, b):
            assert (await pod.speak(his), await pod.speak(hers)) == (200, 200)

        async def kept() -> dict[str, dict[bytes, bytes]]:
            async with redis.asyncio.Redis(port=own_redis.port) as client:
                return {voice: await client.hgetall(keys.voice("default", voice)) for voice in (his, hers)}

        async def restored() -> bool:
            return await kept() == was

        was = await kept()
        async with SteadyLoad(a.server.url, [his, hers]) as at_a, SteadyLoad(b.server.url, [his, hers]) as at_b:
            await at_a.more(10)
            own_redis.kill()
            await until(a.breaker_is_open, at_a)
            own_redis.start()
            await until(restored, at_a)
            await until(a.is_well, at_a)
            await until(b.is_well, at_b)
            await at_b.more(10)
        assert failures(at_a) + failures(at_b) == []


@pytest.mark.parametrize("own_redis", [("--appendonly", "yes", "--appendfsync", "always")], indirect=True)
async def test_a_redis_that_comes_back_with_its_file_has_every_voice_and_nothing_is_published_again(
    own_redis: RedisServer, scope: str
) -> None:
    keys = ServiceKeys(scope)

    async def told() -> list[object]:
        async with redis.asyncio.Redis(port=own_redis.port) as client:
            entries: list[tuple[bytes, dict[bytes, bytes]]] = await client.xrange(keys.changes())
            changes = [entry for entry in entries if entry[1][b"kind"] != b"heartbeat"]
            return [await client.get(keys.epoch()), changes]

    async with started(own_redis.url, scope) as pod:
        voice = await pod.enrol(HIS)
        before = await told()
        async with SteadyLoad(pod.server.url, [voice]) as load:
            await load.more(10)
            own_redis.kill()
            await until(pod.breaker_is_open, load)
            own_redis.start()
            await until(pod.is_well, load)
            await load.more(10)
        assert failures(load) == []
        assert await told() == before
    async with started(own_redis.url, scope) as fresh:
        assert await fresh.speak(voice) == 200


@pytest.mark.usefixtures("redis_server")  # which is skipped where there is none
async def test_a_failover_by_sentinel_is_followed(scope: str) -> None:
    servers = await asyncio.to_thread(RedisSentinelServers)
    try:
        chosen = {"REDIS__MODE": "sentinel", "REDIS__WAIT_REPLICAS": "1"}
        async with started(servers.settings.url, scope, **chosen) as pod:
            kept, deleted = await pod.enrol(HIS), await pod.enrol(HER)
            old = servers.master_port()

            async def moved() -> bool:
                return await asyncio.to_thread(servers.master_port) != old

            async def gone() -> bool:
                return await pod.speak(deleted) == 404

            async with SteadyLoad(pod.server.url, [kept]) as load:
                await load.more(10)
                servers.lose_master()
                await until(moved, load)
                await until(pod.is_well, load)
                # The new master has no replica yet: the deletion happens and is not confirmed, and the answer says so.
                assert await pod.delete(deleted) == 503
                await until(gone, load)
                await load.more(10)
            assert failures(load) == []
        async with redis.asyncio.Redis(port=servers.master_port()) as master:
            assert await master.exists(ServiceKeys(scope).voice("default", kept)) == 1
    finally:
        servers.close()


@pytest.mark.parametrize("own_redis", [("--appendonly", "yes", "--appendfsync", "always")], indirect=True)
async def test_no_acknowledged_voice_is_lost_to_sigkill_with_appendfsync_always(
    own_redis: RedisServer, scope: str
) -> None:
    """200 enrolments by eight writers at once; Redis is killed ten times, whenever so many more are acknowledged."""
    chance = random.Random(4)
    link = RedisLink(RedisSettings(url=own_redis.url, read_timeout_seconds=1.0, breaker_probe_seconds=0.02))
    store = RedisVoiceStore(link, ServiceKeys(scope))
    flac, wanted = random.Random(5).randbytes(50_000), 200
    acknowledged: list[VoiceRecord] = []
    news = asyncio.Event()
    numbers = iter(range(10**6))

    async def write() -> None:
        while len(acknowledged) < wanted:
            number = next(numbers)
            voice = VoiceRecord(f"voice_{number}", "default", "V", 1, f"{number:064x}", number, number)
            with suppress(StoreUnavailable):
                acknowledged.append(await store.add_voice(voice, flac))
                news.set()
            await asyncio.sleep(0)  # no wait: with the breaker open, nothing else in here lets others run

    async def kill() -> None:
        for part in range(10):
            goal = wanted * part // 10 + chance.randrange(wanted // 10)
            while len(acknowledged) < goal:
                news.clear()
                await news.wait()
            own_redis.kill()  # with eight writes under way
            await asyncio.to_thread(own_redis.start)

    try:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(kill())
            for _ in range(8):
                group.create_task(write())
        for voice in acknowledged:
            assert await store.voice("default", voice.id) == voice
            assert await store.reference("default", voice.id, voice.digest) == flac
        listed, more = await store.voices("default", after=None, limit=1000)
        assert not more
        # What was under way may have been stored too, but whole: it is listed, and has its recording.
        assert {voice.id for voice in acknowledged} <= {voice.id for voice in listed}
        for voice in listed:
            assert await store.reference("default", voice.id, voice.digest) == flac
    finally:
        await link.close()
