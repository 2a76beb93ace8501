"""Several pods over one real Redis: one extraction for all of them, whoever dies, and nothing of what was erased."""

import asyncio
import itertools
import sys
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest

from tests.fault_proxy import PASS, FaultProxy, cut_after
from tests.redis_server import RedisServer
from tests.server.voicecache.pods import Fleet, Pod, a_fleet, a_pod, features_of, key_of
from timbre_server.domain.voice import Features
from timbre_server.errors import AudioTooShort, EngineError, ExtractionFailed, Overloaded, StoreUnavailable
from timbre_server.ports import Failed, FeatureName, Granted
from timbre_server.store.features import RedisSharedFeatures
from timbre_server.voicecache import extraction_lease, shared_tier
from timbre_server.voicecache.codec import encode
from timbre_server.voicecache.economy import ENOUGH

SHORT_LEASE_SECONDS = 0.15
"""Renewed every 50 ms, and over soon enough for a test that waits for its end."""


@pytest.fixture
async def fleet(redis_server: RedisServer, scope: str) -> AsyncIterator[Fleet]:
    async with a_fleet(redis_server.url, scope) as fleet:
        yield fleet


@pytest.fixture
def no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits is woken by a whisper or not at all."""
    monkeypatch.setattr(shared_tier, "POLL_SECONDS", 1000.0)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def redis_seconds(fleet: Fleet) -> float:
    seconds, microseconds = await fleet.link.read(lambda client: client.time())
    return float(seconds + microseconds / 1e6)


async def passes(fleet: Fleet, seconds: float) -> None:
    """Returns when so much of Redis' time has passed, in which everybody may do what they do."""
    until = await redis_seconds(fleet) + seconds
    while await redis_seconds(fleet) < until:
        pass


async def begun(pod: Pod, digest: str) -> asyncio.Task[str]:
    """A look-up whose extraction waits at the gate, with the lease."""
    pod.engine.gate.clear()
    asking = asyncio.create_task(pod.ask(digest))
    await pod.engine.started.wait()
    return asking


@pytest.mark.usefixtures("no_polling")
async def test_fifty_callers_on_two_pods_cause_one_extraction(fleet: Fleet) -> None:
    pods = [fleet.pod(), fleet.pod()]
    sources = await asyncio.gather(*(pods[number % 2].ask("a") for number in range(50)))
    assert sorted(pod.engine.extracted for pod in pods) == [[], ["a"]]
    assert sorted(sources) == ["extracted"] * 25 + ["redis"] * 25


async def test_what_one_pod_extracted_the_next_one_fetches_once(fleet: Fleet) -> None:
    one, other = fleet.pod(), fleet.pod()
    await one.ask("a")
    await fleet.published("a")
    assert [await other.ask("a"), await other.ask("a")] == ["redis", "host"]
    assert (one.recorder.looked_up("redis"), other.recorder.looked_up("redis")) == ((0, 1), (1, 0))
    assert other.engine.extracted == []


@pytest.mark.usefixtures("no_polling")
async def test_who_waits_is_woken_by_the_value(fleet: Fleet) -> None:
    holder, waiter = fleet.pod(), fleet.pod()
    extracting = await begun(holder, "a")
    waiting = asyncio.create_task(waiter.ask("a"))
    await passes(fleet, 0.02)
    holder.engine.gate.set()
    assert [await extracting, await waiting] == ["extracted", "redis"]


async def test_who_waits_finds_the_value_though_the_whisper_was_lost(fleet: Fleet) -> None:
    holder, waiter = fleet.pod(), a_pod(shared=fleet.shared())  # a pod that hears nothing
    extracting = await begun(holder, "a")
    waiting = asyncio.create_task(waiter.ask("a"))
    await passes(fleet, 0.02)
    holder.engine.gate.set()
    assert [await extracting, await waiting] == ["extracted", "redis"]


async def test_a_lease_lasts_as_long_as_its_extraction(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction_lease, "RENEWALS_PER_LEASE", 250)  # long beside what a busy machine sleeps
    holder, waiter = fleet.pod(lease_seconds=5.0), fleet.pod(lease_seconds=5.0)
    extracting = await begun(holder, "a")
    waiting = asyncio.create_task(waiter.ask("a"))
    await fleet.renewed("a", times=3)
    holder.engine.gate.set()
    assert [await extracting, await waiting] == ["extracted", "redis"]
    assert waiter.engine.extracted == []


async def test_a_killed_pod_hangs_the_others_no_longer_than_its_lease(
    fleet: Fleet, redis_server: RedisServer, scope: str
) -> None:
    lease_seconds = 0.5
    command = (sys.executable, "-m", "tests.server.voicecache.doomed_pod", redis_server.url, scope, str(lease_seconds))
    doomed = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert doomed.stdout is not None
    assert await doomed.stdout.readline() == b"extracting\n"
    pod = fleet.pod(lease_seconds=lease_seconds)
    waiting = asyncio.create_task(pod.ask("a"))
    await passes(fleet, 2 * lease_seconds)
    assert pod.engine.extracted == []  # the lease is renewed as long as its holder lives
    doomed.kill()
    await doomed.wait()
    killed_at = await redis_seconds(fleet)
    assert await waiting == "extracted"
    assert await redis_seconds(fleet) - killed_at < lease_seconds + 2  # 2 s: a busy machine
    await fleet.published("a")


async def test_a_pod_that_lost_its_lease_cannot_publish(fleet: Fleet) -> None:
    slow = fleet.shared(lease_seconds=SHORT_LEASE_SECONDS)
    granted = await slow.claim("a", key_of("a"))
    assert isinstance(granted, Granted)
    assert await fleet.pod().ask("a") == "extracted"
    assert not await slow.publish("a", key_of("a"), b"late", granted.token)


@pytest.mark.usefixtures("no_polling")
async def test_a_pod_that_leaves_hands_its_lease_to_the_next(fleet: Fleet) -> None:
    leaver, next_one = fleet.pod(), fleet.pod()
    extracting = await begun(leaver, "a")
    waiting = asyncio.create_task(next_one.ask("a"))
    await passes(fleet, 0.02)
    await leaver.cache.close()
    assert await waiting == "extracted"
    await asyncio.wait({extracting})
    assert extracting.cancelled()


async def test_a_pod_that_leaves_publishes_what_it_has_extracted(fleet: Fleet) -> None:
    leaver = fleet.pod()
    await leaver.ask("a")
    await leaver.cache.close()
    assert await fleet.blobs("a") == 1
    await asyncio.sleep(0)
    assert not any(task.get_name().startswith("lease-") for task in asyncio.all_tasks())
    assert await fleet.pod().ask("a") == "redis"


async def test_closing_waits_for_what_is_being_published(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def slow(features: Features, *, key: str, float16: bool) -> bytes:
        go_on.wait(20)
        return encode(features, key=key, float16=float16)

    monkeypatch.setattr(shared_tier, "encode", slow)
    pod = fleet.pod()
    await pod.ask("a")
    closing = asyncio.create_task(pod.cache.close())
    await turns()
    assert not closing.done()
    go_on.set()
    await closing
    assert await fleet.blobs("a") == 1


@pytest.mark.usefixtures("no_polling")
async def test_a_recording_that_is_no_voice_is_refused_by_all_pods_after_one_try(fleet: Fleet) -> None:
    one, other = fleet.pod(), fleet.pod()
    one.engine.failures = [AudioTooShort("less than 3 s of speech")]
    extracting = await begun(one, "a")
    waiting = asyncio.create_task(other.ask("a"))
    await passes(fleet, 0.02)
    one.engine.gate.set()
    for asking in (extracting, waiting, fleet.pod().ask("a")):
        with pytest.raises(AudioTooShort, match="less than 3 s of speech"):
            await asking
    assert other.engine.extracted == []


async def test_a_failure_of_an_unknown_kind_is_an_extraction_that_failed(fleet: Fleet) -> None:
    shared = fleet.shared()
    granted = await shared.claim("a", key_of("a"))
    assert isinstance(granted, Granted)
    await shared.fail("a", key_of("a"), Failed("of_a_later_version", "sorry"), granted.token)
    with pytest.raises(ExtractionFailed, match="sorry"):
        await fleet.pod().ask("a")


@pytest.mark.parametrize("error", [EngineError("broken"), Overloaded("full")])
async def test_what_ails_one_pod_only_is_not_told_to_the_others(fleet: Fleet, error: Exception) -> None:
    one, other = fleet.pod(), fleet.pod()
    one.engine.failures = [error]
    with pytest.raises(type(error)):
        await one.ask("a")
    assert await other.ask("a") == "extracted"


async def test_a_voice_erased_in_mid_extraction_is_neither_kept_nor_published(fleet: Fleet) -> None:
    pod = fleet.pod()
    extracting = await begun(pod, "a")
    assert await pod.cache.erase("a") == 0
    pod.engine.gate.set()
    assert await extracting == "extracted"
    await pod.cache.close()
    assert (await fleet.blobs("a"), pod.host.held_bytes) == (0, 0)


async def test_a_voice_that_another_pod_erased_in_mid_extraction_is_not_published(fleet: Fleet) -> None:
    extractor, eraser = fleet.pod(), fleet.pod()
    extracting = await begun(extractor, "a")
    await eraser.cache.erase("a")
    extractor.engine.gate.set()
    assert await extracting == "extracted"  # its own word of the erasure is still on its way
    await extractor.cache.close()
    assert await fleet.blobs("a") == 0


async def test_forgetting_here_keeps_what_the_others_share(fleet: Fleet) -> None:
    pod = fleet.pod()
    await pod.ask("a")
    await fleet.published("a")
    pod.cache.forget("a")
    assert await pod.ask("a") == "redis"
    assert await pod.cache.erase("a") == 1
    assert await pod.ask("a") == "extracted"


async def test_a_forgotten_extraction_frees_its_lease(fleet: Fleet) -> None:
    pod = fleet.pod()
    extracting = await begun(pod, "a")
    pod.cache.forget("a")
    pod.engine.gate.set()
    await extracting
    await fleet.unleased("a")
    assert await fleet.blobs("a") == 0


async def stored(fleet: Fleet, digest: str, blob: bytes) -> None:
    await fleet.link.write(lambda client: client.hset(fleet.keys.features(digest), key_of(digest), blob))


@pytest.mark.parametrize(
    "blob",
    [b"", b"no features at all", encode(features_of("b"), key=key_of("b")), encode({}, key=key_of("a"))],
    ids=["empty", "noise", "another voice's", "of no arrays"],
)
async def test_what_is_not_this_voice_is_a_miss_and_goes(fleet: Fleet, blob: bytes) -> None:
    await stored(fleet, "a", blob)
    pod = fleet.pod()
    assert await pod.ask("a") == "extracted"
    await pod.cache.close()
    assert await fleet.pod().ask("a") == "redis"
    assert pod.recorder.looked_up("redis") == (0, 1)


async def test_one_flipped_bit_is_noticed(fleet: Fleet) -> None:
    blob = bytearray(encode(features_of("a"), key=key_of("a")))
    blob[-1] ^= 1
    await stored(fleet, "a", bytes(blob))
    assert await fleet.pod().ask("a") == "extracted"


class Haunted(RedisSharedFeatures):
    """Whatever is erased here is rubbish again at once."""

    async def erase(self, digest: str) -> int:
        erased = await super().erase(digest)
        await self._link.write(lambda client: client.hset(self._keys.features(digest), key_of(digest), b"rubbish"))
        return erased


async def test_rubbish_that_keeps_coming_costs_a_bounded_number_of_tries(fleet: Fleet) -> None:
    haunted = Haunted(fleet.link, fleet.keys, ttl_seconds=1000, lease_seconds=30, failure_ttl_seconds=30)
    fleet.tiers.append(haunted)
    await stored(fleet, "a", b"rubbish")
    pod = a_pod(shared=haunted)
    assert [await pod.ask("a"), await pod.ask("a")] == ["extracted", "host"]


async def test_a_one_off_recording_is_never_shared(fleet: Fleet) -> None:
    pod = fleet.pod()
    assert [await pod.ask("a", one_off=True), await pod.ask("a", one_off=True)] == ["extracted", "host"]
    await pod.cache.close()
    assert await fleet.blobs("a") == 0


async def test_a_one_off_recording_of_a_known_voice_is_fetched(fleet: Fleet) -> None:
    one, other = fleet.pod(), fleet.pod()
    await one.ask("a")
    await fleet.published("a")
    assert await other.ask("a", one_off=True) == "redis"


async def test_a_network_that_is_slower_than_the_engine_is_not_asked(fleet: Fleet) -> None:
    one, other = fleet.pod(), fleet.pod()
    await one.ask("a")
    await fleet.published("a")
    economy = other.cache._shared.economy  # type: ignore[union-attr]
    for _ in range(ENOUGH):
        economy.fetched(1024, 10.0)
        economy.extracted(1.0, 1024, 0.01)
    assert await other.ask("a") == "extracted"
    assert other.recorder.looked_up("redis") == (0, 0)


async def test_the_costs_of_both_ways_are_measured(fleet: Fleet) -> None:
    one, other = fleet.pod(), fleet.pod()
    await one.ask("a")
    await fleet.published("a")
    await other.ask("a")
    assert one.cache._shared.economy.extraction_seconds_per_second > 0  # type: ignore[union-attr]
    assert other.cache._shared.economy.fetch_seconds_per_byte > 0  # type: ignore[union-attr]


async def test_patience_with_a_pod_that_never_ends_is_bounded(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_tier, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(shared_tier, "POLL_SECONDS", 0.01)
    extracting = await begun(fleet.pod(), "a")
    assert await fleet.pod().ask("a") == "extracted"
    extracting.cancel()


async def test_every_voice_comes_whole_and_its_own_while_many_are_asked_for(fleet: Fleet) -> None:
    pods = [fleet.pod(host_entries=3) for _ in range(3)]
    rng = np.random.default_rng(1)
    asked = [(pods[rng.integers(3)], f"voice {rng.integers(12)}") for _ in range(400)]
    await asyncio.gather(*(pod.ask(digest) for pod, digest in asked))  # ``ask`` compares the features
    assert sum(len(pod.engine.extracted) for pod in pods) == len({digest for _, digest in asked})


async def answering(fleet: Fleet) -> None:
    """Returns once a probe has found Redis again."""
    async with asyncio.timeout(20):
        for _ in itertools.count():
            if not fleet.link.breaker_open:
                return
            await asyncio.sleep(0)


class TestWithoutRedis:
    async def test_a_redis_that_is_away_costs_no_request(self, scope: str) -> None:
        server = RedisServer()
        async with a_fleet(server.url, scope) as fleet:
            pod = fleet.pod()
            server.kill()
            assert [await pod.ask("a"), await pod.ask("a")] == ["extracted", "host"]
            assert await pod.cache.prefetch([FeatureName("b")]) == 0
            with pytest.raises(StoreUnavailable):
                await pod.cache.erase("a")
            assert await pod.ask("a") == "extracted"  # our own copies went nevertheless
        server.close()

    async def test_a_redis_killed_in_mid_extraction_costs_no_request(self, scope: str) -> None:
        server = RedisServer()
        async with a_fleet(server.url, scope) as fleet:
            holder, waiter = fleet.pod(), fleet.pod()
            extracting = await begun(holder, "a")
            waiting = asyncio.create_task(waiter.ask("a"))
            await passes(fleet, 0.02)
            server.kill()
            fleet.heard("a")
            assert await waiting == "extracted"
            holder.engine.gate.set()
            assert await extracting == "extracted"
            await holder.cache.close()
            server.start()
            assert [await holder.ask("a"), await waiter.ask("a")] == ["host", "host"]
        server.close()

    async def test_a_reply_that_breaks_off_is_a_miss(self, redis_server: RedisServer, scope: str) -> None:
        async with a_fleet(redis_server.url, scope) as fleet:
            await stored(fleet, "a", encode(features_of("a"), key=key_of("a")))
            await stored(fleet, "b", encode(features_of("b"), key=key_of("b")))
        with FaultProxy(redis_server.port) as proxy:
            async with a_fleet(proxy.url, scope) as fleet:
                pod = fleet.pod()
                assert await pod.ask("b") == "redis"
                proxy.become(cut_after(500))
                assert await pod.ask("a") == "extracted"
                proxy.become(PASS)
                await answering(fleet)
                assert [await pod.ask("a"), await fleet.pod().ask("a")] == ["host", "redis"]
