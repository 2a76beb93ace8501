"""What does the registry's answer mean for a record that is held?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from tests.full_disk import fill_disk, make_room
from tests.redis_server import RedisServer
from tests.server.store.pods import ADA, GRACE, PATIENCE_SECONDS, Pod, a_voice, by_hand, elsewhere, running
from tests.server.store.registries import linked, unhurried
from timbre_contract.keys import ServiceKeys
from timbre_server.domain.voice import VoiceRecord
from timbre_server.errors import VoiceNotFound
from timbre_server.ports import VoiceChange, VoiceName
from timbre_server.store import reconciliation as reconciliation_module
from timbre_server.store.holdings import Holdings
from timbre_server.store.link import RedisLink
from timbre_server.store.reconciliation import Reconciliation, Verdict, verdict
from timbre_server.store.redis_voices import GONE, RedisVoiceStore, Version, Versions, VoiceVersion

HELD = replace(a_voice(digest="held"), generation=5)


@pytest.mark.parametrize(
    ("known", "while_followed", "after_it_was_emptied"),
    [
        (VoiceVersion(5, "held"), Verdict.CURRENT, Verdict.CURRENT),
        (VoiceVersion(6, "newer"), Verdict.OVERTAKEN, Verdict.OVERTAKEN),
        (VoiceVersion(5, "other"), Verdict.OVERTAKEN, Verdict.OVERTAKEN),
        (VoiceVersion(4, "older"), Verdict.OVERTAKEN, Verdict.LOST),
        (GONE, Verdict.OVERTAKEN, Verdict.OVERTAKEN),
        (None, Verdict.LOST, Verdict.LOST),
    ],
)
def test_freshness_is_equality_unless_redis_was_emptied(
    known: Version, while_followed: Verdict, after_it_was_emptied: Verdict
) -> None:
    assert verdict(HELD, known, emptied=False) is while_followed
    assert verdict(HELD, known, emptied=True) is after_it_was_emptied


class LateAnswers(RedisVoiceStore):
    """A registry whose answers arrive after something else has happened."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def versions(self, names: Sequence[VoiceName]) -> Versions:
        seen = await super().versions(names)
        if self.meanwhile is not None:
            await self.meanwhile()
        return seen


@pytest.mark.parametrize("question", ["all that is held", "one voice"])
async def test_an_answer_older_than_what_is_held_buries_nothing(
    redis_server: RedisServer, scope: str, question: str
) -> None:
    told: list[VoiceChange] = []
    async with linked(unhurried(redis_server)) as link:
        store, holdings = LateAnswers(link, ServiceKeys(scope)), Holdings(max_recording_bytes=0)
        reconciliation = Reconciliation(store, holdings, tell=told.append)

        async def enrol() -> None:
            with holdings.flight(ADA) as flight:
                holdings.drop_unless(ADA, GONE)
                holdings.keep(flight, await store.add_voice(a_voice(), b"flac"))

        await enrol()
        await reconciliation.compare()
        await store.delete_voice(*ADA)
        store.meanwhile = enrol  # declared voices keep their id
        if question == "one voice":
            assert await reconciliation.check(ADA) is None
        else:
            await reconciliation.compare()
        assert told == []
        assert holdings.look(ADA) == replace(a_voice(), generation=2)


class Counting(RedisVoiceStore):
    """A registry that counts what it was asked to restore, up to the fifth time."""

    restorations = 0

    def __init__(self, link: RedisLink, keys: ServiceKeys) -> None:
        super().__init__(link, keys)
        self.fifth = asyncio.Event()

    async def restore_voice(self, voice: VoiceRecord, reference_flac: bytes | None) -> bool:
        self.restorations += 1
        if self.restorations == 5:
            self.fifth.set()
        return await super().restore_voice(voice, reference_flac)


@pytest.mark.parametrize("lacking", ["memory", "disk"])
async def test_of_a_redis_that_is_empty_and_full_one_line_tells(
    writing_redis: RedisServer, lacking: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reconciliation_module, "_RETRY_SECONDS", 0.01)
    async with linked(unhurried(writing_redis)) as link, asyncio.timeout(PATIENCE_SECONDS):
        store, holdings = Counting(link, ServiceKeys("full")), Holdings(max_recording_bytes=100)
        reconciliation = Reconciliation(store, holdings, tell=lambda _: None, grace_seconds=0.0)
        with holdings.flight(ADA) as flight:
            holdings.keep(flight, await store.add_voice(a_voice(), b"flac"))
        await reconciliation.compare()
        with by_hand(writing_redis) as client:
            client.flushall()
            if lacking == "disk":
                fill_disk(writing_redis.folder, client)
            else:
                client.config_set("maxmemory", 1)
            await reconciliation.compare()
            await store.fifth.wait()
            assert reconciliation.degraded
            if lacking == "disk":
                make_room(client)
            else:
                client.config_set("maxmemory", 0)
        await reconciliation.settled()
        assert not reconciliation.degraded
    assert caplog.text.count("could not be published again yet") == 1


async def test_what_was_asked_before_everything_was_compared_is_not_kept(redis_server: RedisServer, scope: str) -> None:
    async with linked(unhurried(redis_server)) as link:
        holdings = Holdings(max_recording_bytes=0)
        store = RedisVoiceStore(link, ServiceKeys(scope))
        with holdings.flight(ADA) as look:
            await Reconciliation(store, holdings, tell=lambda _: None).compare()
            assert not holdings.keep(look, a_voice()), "the log may have lost what happened since it was asked"


async def test_a_sweep_finds_what_the_log_never_told(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope, sweep_seconds=0.1)
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        with by_hand(redis_server) as client:
            client.hset(pod.keys.voice(*ADA), "digest", "changed behind our back")
        assert (await pod.store.voice(*ADA)).digest == "first"  # nobody could know
        records = [await pod.store.voice(*ADA)]

        async with pod.patience():
            while records[-1].digest == "first":
                await pod.follower.turn()
                records.append(await pod.store.voice(*ADA))
        assert records[-1].digest == "changed behind our back"


async def test_voices_without_their_recordings_are_published_again_too(own_redis: RedisServer) -> None:
    pod = Pod(own_redis, "bare")
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        with by_hand(own_redis) as client:
            await pod.store.add_voice(a_voice(GRACE), b"x" * (pod.max_recording_bytes + 1))
            client.flushall()
            await pod.until(lambda: pod.registry.degraded)
            await pod.until(lambda: not pod.registry.degraded)
            assert client.hmget(pod.keys.voice(*ADA), "digest", "reference") == [b"first", b"flac"]
            assert client.hmget(pod.keys.voice(*GRACE), "digest", "reference") == [b"first", None]


async def test_a_pod_that_missed_a_deletion_cannot_bring_the_voice_back_into_an_emptied_redis(
    own_redis: RedisServer,
) -> None:
    pod = Pod(own_redis, "grave")
    async with running(pod):
        for name in (ADA, GRACE):
            await pod.store.add_voice(a_voice(name), b"flac")
            deletion = await pod.store.delete_voice(*name)
            await pod.fleet.acknowledged(deletion.entry, timeout_seconds=5)
        with by_hand(own_redis) as client:
            client.flushall()
            # One that slept publishes again what it holds: before this pod has noticed, and after.
            elsewhere(own_redis, "grave", lambda store: store.restore_voice(a_voice(), b"flac"))
            await pod.until(lambda: pod.registry.degraded)
            await pod.until(lambda: not pod.registry.degraded)
            assert not elsewhere(own_redis, "grave", lambda store: store.restore_voice(a_voice(GRACE), b"flac"))
            assert not client.exists(pod.keys.voice(*ADA), pod.keys.voice(*GRACE), pod.keys.voices("default"))
            assert client.hgetall(pod.keys.tombstones("default")) == {b"voice_ada": b"1", b"voice_grace": b"1"}
            kinds = [fields[b"kind"] for _, fields in client.xrange(pod.keys.changes())]
            assert kinds.count(b"deleted") == 1  # so that whoever holds it drops it


async def test_a_voice_that_was_enrolled_again_after_its_deletion_is_not_buried(own_redis: RedisServer) -> None:
    pod = Pod(own_redis, "again")
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        await pod.store.delete_voice(*ADA)
        again = await pod.store.add_voice(a_voice(digest="second"), b"flac")
        await pod.knows(ADA)
        with by_hand(own_redis) as client:
            client.flushall()
            # Another pod is quicker: what is buried then is a former life.
            elsewhere(own_redis, "again", lambda store: store.restore_voice(again, b"flac"))
            await pod.until(lambda: pod.registry.degraded)
            await pod.until(lambda: not pod.registry.degraded)
            assert client.hget(pod.keys.voice(*ADA), "generation") == str(again.generation).encode()
        assert await pod.store.voice(*ADA) == again


async def test_a_record_that_the_registry_does_not_take_back_is_asked_about_at_its_next_use(
    redis_server: RedisServer, scope: str
) -> None:
    pod = Pod(redis_server, scope)
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        with by_hand(redis_server) as client:  # buried by another pod, which found nothing to tell of
            client.delete(pod.keys.voice(*ADA))
            client.hset(pod.keys.tombstones("default"), ADA.voice_id, 1)
        assert await pod.store.voice(*ADA) == a_voice()
        pod.registry._reconciliation._lost[ADA] = None
        pod.registry._reconciliation._restore()
        await pod.registry._reconciliation.settled()
        with pytest.raises(VoiceNotFound):
            await pod.store.voice(*ADA)


async def test_a_redis_that_is_full_is_filled_as_soon_as_it_has_room(own_redis: RedisServer) -> None:
    pod = Pod(own_redis, "full")
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        with by_hand(own_redis) as client:
            client.flushall()
            client.config_set("maxmemory", 1)
            await pod.until(lambda: pod.registry.degraded)
            assert await pod.store.voice(*ADA) == a_voice()
            client.config_set("maxmemory", 0)
            await pod.until(lambda: not pod.registry.degraded)
            assert client.hget(pod.keys.voice(*ADA), "reference") == b"flac"
