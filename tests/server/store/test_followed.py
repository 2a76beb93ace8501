"""What does a pod hold of the voices that it uses, and when does it ask?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from tests.redis_server import RedisServer
from tests.server.store.pods import ADA, GRACE, Pod, a_voice, by_hand, elsewhere, running
from tests.server.store.registries import a_consent
from timbre_server.domain.voice import VoiceRecord
from timbre_server.errors import ConsentNotFound, InvalidValue, StoreUnavailable, VoiceNotFound
from timbre_server.ports import VoiceName
from timbre_server.settings import FreshnessSettings
from timbre_server.store.followed import FollowedVoiceStore
from timbre_server.store.holdings import Holdings
from timbre_server.store.reconciliation import Reconciliation
from timbre_server.store.redis_voices import RedisVoiceStore, Versions


async def test_an_unknown_voice_is_not_found(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope)
    async with running(pod):
        with pytest.raises(VoiceNotFound):
            await pod.store.voice(*ADA)


async def test_a_pod_knows_its_own_writes_at_once(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope)
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"old")
        after = (await pod.store.replace_voice(a_voice(digest="second"), b"new")).after
        assert await pod.store.voice(*ADA) == after
        assert await pod.store.reference(*ADA, "second") == b"new"
        await pod.store.delete_voice(*ADA)
        with pytest.raises(VoiceNotFound):
            await pod.store.voice(*ADA)
        with pytest.raises(VoiceNotFound):
            await pod.store.reference(*ADA, "second")


async def test_a_record_in_doubt_is_asked_about_before_it_is_used(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope)
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"old")
        await pod.store.replace_voice(a_voice(digest="second"), b"new")
        with by_hand(redis_server) as client:
            client.hset(pod.keys.voice(*ADA), mapping={"generation": 3, "digest": "third"})
            fields = {"kind": "enrolled", "tenant": ADA.tenant, "voice": ADA.voice_id, "previous": ""}
            client.xadd(pod.keys.changes(), {**fields, "generation": 1, "digest": "first"})
        added_at = time.monotonic()
        await pod.until(lambda: pod.follower.known_up_to > added_at)
        assert (await pod.store.voice(*ADA)).digest == "third"


async def test_of_racing_writers_all_pods_end_with_what_the_registry_has(redis_server: RedisServer, scope: str) -> None:
    pods = [Pod(redis_server, scope, name) for name in ("a", "b", "c")]
    async with running(*pods):
        await pods[0].store.add_voice(a_voice(), b"flac")

        async def write(pod: Pod) -> None:
            for number in range(20):
                await pod.store.replace_voice(a_voice(digest=f"{pod.name}-{number}"), b"flac")
                await pod.store.voice(*ADA)

        await asyncio.gather(*(write(pod) for pod in pods))
        truth = elsewhere(redis_server, scope, lambda store: store.voice(*ADA))
        assert truth.generation == 61
        for pod in pods:
            known = time.monotonic()
            await pod.until(lambda pod=pod, known=known: pod.follower.known_up_to > known)
            assert await pod.store.voice(*ADA) == truth


class SleptOver(RedisVoiceStore):
    """A registry whose first answer is read long after it came, when another pod has replaced the voice."""

    now = 100.0
    slept = False

    async def _sleep(self) -> None:
        if not self.slept:
            self.slept = True
            self.now += 5.0
            await self.replace_voice(a_voice(digest="second"), b"new")

    async def voices_named(self, names: Sequence[VoiceName]) -> Sequence[VoiceRecord | None]:
        answer = await super().voices_named(names)
        await self._sleep()
        return answer

    async def versions(self, names: Sequence[VoiceName]) -> Versions:
        answer = await super().versions(names)
        await self._sleep()
        return answer


@pytest.mark.parametrize("held_before", [False, True])
async def test_an_answer_that_was_slept_over_is_asked_for_again(
    redis_server: RedisServer, scope: str, *, held_before: bool
) -> None:
    pod = Pod(redis_server, scope)
    registry, holdings = SleptOver(pod.link, pod.keys), Holdings(max_recording_bytes=0)
    store = FollowedVoiceStore(
        registry,
        holdings,
        pod.follower,  # not started, so not healthy: each use asks
        Reconciliation(registry, holdings, tell=lambda _: None),
        pod.registry.checker,
        freshness=FreshnessSettings(),
        clock=lambda: registry.now,
        unchecked_use=pod.metrics.unchecked_use,
    )
    await registry.add_voice(a_voice(), b"old")
    if held_before:
        with holdings.flight(ADA) as flight:
            holdings.keep(flight, a_voice())
    assert (await store.voice(*ADA)).digest == "second"
    await pod.link.close()


async def test_records_named_in_a_row_are_held(own_redis: RedisServer) -> None:
    pod = Pod(own_redis, "row")
    elsewhere(own_redis, "row", lambda store: store.add_voice(a_voice(), b"flac"))
    async with running(pod):
        assert await pod.store.voices_named([GRACE, ADA]) == [None, a_voice()]
        own_redis.kill()
        assert await pod.store.voice(*ADA) == a_voice()
        with pytest.raises(StoreUnavailable):
            await pod.store.voice(*GRACE)
        own_redis.start()


async def test_a_used_voice_can_be_extracted_again_while_redis_is_away(own_redis: RedisServer) -> None:
    pod = Pod(own_redis, "away")
    elsewhere(own_redis, "away", lambda store: store.add_voice(a_voice(), b"flac"))
    async with running(pod):
        await pod.knows(ADA)
        own_redis.kill()
        assert await pod.store.reference(*ADA, "first") == b"flac"
        own_redis.start()


async def test_a_recording_is_fetched_once_after_the_first_use(redis_server: RedisServer, scope: str) -> None:
    elsewhere(redis_server, scope, lambda store: store.add_voice(a_voice(), b"flac"))
    pod = Pod(redis_server, scope)
    async with running(pod):
        await pod.knows(ADA)
        await pod.registry.checker.checked()
        with by_hand(redis_server) as client:
            client.config_resetstat()
            await pod.knows(ADA, ADA)
            assert "cmdstat_hmget" not in client.info("commandstats")


async def test_what_the_store_lists_and_keeps_besides_goes_through(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope)
    async with running(pod):
        added = await pod.store.add_voice(a_voice(), b"flac")
        with pytest.raises(InvalidValue):
            await pod.store.add_voice(a_voice(), b"flac")
        assert await pod.store.voices("default", after=None, limit=10) == ([added], False)
        assert not await pod.store.restore_voice(added, b"flac")
        await pod.store.add_consent(a_consent())
        assert (await pod.store.consents("default", after=None, limit=10))[0] == [a_consent()]
        assert (await pod.store.rename_consent("default", "cons_1", "Grace")).name == "Grace"
        assert (await pod.store.consent("default", "cons_1")).name == "Grace"
        await pod.store.delete_consent("default", "cons_1")
        with pytest.raises(ConsentNotFound):
            await pod.store.consent("default", "cons_1")


async def test_a_recording_that_is_not_there_any_more_puts_its_record_in_doubt(
    redis_server: RedisServer, scope: str
) -> None:
    pod = Pod(redis_server, scope)
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"x" * (pod.max_recording_bytes + 1))  # too large to be held
        with by_hand(redis_server) as client:  # the registry has changed, and the log has not told yet
            client.hset(pod.keys.voice(*ADA), mapping={"generation": 2, "digest": "second", "reference": b"new"})
        assert (await pod.store.voice(*ADA)).digest == "first"
        with pytest.raises(VoiceNotFound):
            await pod.store.reference(*ADA, "first")
        assert (await pod.store.voice(*ADA)).digest == "second"
