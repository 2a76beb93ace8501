"""Is a voice that was replaced or deleted anywhere never spoken again here, whatever happens to Redis?"""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from tests.redis_server import RedisServer
from tests.server.store.pods import ADA, GRACE, Pod, a_voice, by_hand, cut_followers, elsewhere, running
from tests.server.store.registries import redis_settings
from timbre_server.errors import StoreUnavailable, VoiceNotFound
from timbre_server.ports import ChangeKind, VoiceChange
from timbre_server.settings import FreshnessSettings
from timbre_server.store.health import HEALTHY_SECONDS


async def test_a_voice_enrolled_at_one_pod_speaks_at_another(redis_server: RedisServer, scope: str) -> None:
    here, there = Pod(redis_server, scope, "here"), Pod(redis_server, scope, "there")
    async with running(here, there):
        await here.store.add_voice(a_voice(), b"flac")
        assert await there.store.voice(*ADA) == a_voice()
        assert await there.store.reference(*ADA, "first") == b"flac"


async def test_a_replaced_voice_is_the_new_one_everywhere_once_the_log_was_read(
    redis_server: RedisServer, scope: str
) -> None:
    here, there = Pod(redis_server, scope, "here"), Pod(redis_server, scope, "there")
    async with running(here, there):
        await here.store.add_voice(a_voice(), b"old")
        await there.knows(ADA)
        replaced_at = time.monotonic()
        await here.store.replace_voice(a_voice(digest="second"), b"new")
        assert (await here.store.voice(*ADA)).digest == "second"
        await there.until(lambda: there.follower.known_up_to >= replaced_at)
        assert (await there.store.voice(*ADA)).digest == "second"
        assert await there.store.reference(*ADA, "second") == b"new"
        assert there.counted("timbre_voice_invalidation_lag_seconds_count") >= 1


@pytest.mark.parametrize("topology", ["cluster", "sentinel", "tls"])
async def test_pods_hear_of_each_other_however_redis_stands_there(
    request: pytest.FixtureRequest, scope: str, topology: str
) -> None:
    settings = redis_settings(topology, request)
    here, there = Pod(settings, scope, "here"), Pod(settings, scope, "there")
    news: asyncio.Queue[str] = asyncio.Queue()
    there.registry.on_whisper("change", news.put_nowait)
    async with running(here, there):
        await there.registry.whispering()
        await here.store.add_voice(a_voice(), b"old")
        await there.knows(ADA)
        replaced_at = time.monotonic()
        await here.store.replace_voice(a_voice(digest="second"), b"new")
        await there.until(lambda: there.follower.known_up_to >= replaced_at)
        assert (await there.store.voice(*ADA)).digest == "second"
        deletion = await here.store.delete_voice(*ADA)
        answers = await here.fleet.acknowledged(deletion.entry, timeout_seconds=10)
        assert answers.acknowledged == ("here", "there")
        async with there.patience():
            while await news.get() != deletion.entry:
                pass


async def test_a_healthy_pod_answers_from_memory_and_asks_nothing(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope)
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        await pod.knows(ADA)
        await pod.registry.checker.checked()
        with by_hand(redis_server) as client:
            client.config_resetstat()
            for _ in range(10):  # far less than a second: the checker has had its sample
                assert await pod.store.voice(*ADA) == a_voice()
                assert await pod.store.reference(*ADA, "first") == b"flac"
            assert "cmdstat_hmget" not in client.info("commandstats")


async def test_a_strict_pod_asks_each_time(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope, freshness=FreshnessSettings(mode="strict"))
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        await pod.knows(ADA)
        await pod.registry.checker.checked()
        with by_hand(redis_server) as client:
            client.config_resetstat()
            for _ in range(10):
                await pod.store.voice(*ADA)
            assert client.info("commandstats")["cmdstat_hmget"]["calls"] == 10


async def test_a_strict_pod_knows_at_once(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope, freshness=FreshnessSettings(mode="strict"))
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"old")
        elsewhere(redis_server, scope, lambda store: store.replace_voice(a_voice(digest="second"), b"new"))
        assert (await pod.store.voice(*ADA)).digest == "second"
        elsewhere(redis_server, scope, lambda store: store.delete_voice(*ADA))
        with pytest.raises(VoiceNotFound):
            await pod.store.voice(*ADA)


async def test_changes_made_while_both_connections_were_cut_are_replayed(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope)
    told: list[VoiceChange] = []

    async def listener(change: VoiceChange) -> None:
        told.append(change)

    pod.fleet.listen(listener)
    async with running(pod):
        for name in (ADA, GRACE):
            await pod.store.add_voice(a_voice(name), b"old")
        connects = pod.follower.connects
        with by_hand(redis_server) as client:
            assert cut_followers(client) >= 2
        elsewhere(redis_server, scope, lambda store: store.replace_voice(a_voice(digest="second"), b"new"))
        elsewhere(redis_server, scope, lambda store: store.delete_voice(*GRACE))
        await pod.until(lambda: pod.follower.connects > connects and pod.registry.healthy)
        assert (await pod.store.voice(*ADA)).digest == "second"
        with pytest.raises(VoiceNotFound):
            await pod.store.voice(*GRACE)
        seen = [(change.kind, change.name, change.previous_digest) for change in told if change.entry]
        assert seen[-2:] == [(ChangeKind.REPLACED, ADA, "first"), (ChangeKind.DELETED, GRACE, "")]


@pytest.mark.parametrize("left", [0, 1])
async def test_what_a_trimmed_log_does_not_tell_any_more_is_found_by_comparing(
    redis_server: RedisServer, scope: str, left: int
) -> None:
    pod = Pod(redis_server, scope)
    told: list[VoiceChange] = []

    async def listener(change: VoiceChange) -> None:
        told.append(change)

    pod.fleet.listen(listener)
    async with running(pod):
        for name in (ADA, GRACE):
            await pod.store.add_voice(a_voice(name), b"old")
        connects = pod.follower.connects
        with by_hand(redis_server) as client:
            cut_followers(client)
            elsewhere(redis_server, scope, lambda store: store.replace_voice(a_voice(digest="second"), b"new"))
            elsewhere(redis_server, scope, lambda store: store.delete_voice(*GRACE))
            client.xadd(pod.keys.changes(), {"kind": "heartbeat"})
            client.xtrim(pod.keys.changes(), maxlen=left, approximate=False)
        await pod.until(lambda: pod.follower.connects > connects and pod.registry.healthy)
        assert (await pod.store.voice(*ADA)).digest == "second"
        with pytest.raises(VoiceNotFound):
            await pod.store.voice(*GRACE)
        assert [(change.kind, change.previous_digest or change.digest) for change in told if not change.entry] == [
            (ChangeKind.REPLACED, "first"),
            (ChangeKind.DELETED, "first"),
        ]


async def test_a_generation_that_a_failover_took_back_is_noticed(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope)
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"old")
        await pod.store.replace_voice(a_voice(digest="second"), b"new")
        connects = pod.follower.connects
        with by_hand(redis_server) as client:
            client.hset(pod.keys.voice(*ADA), mapping={"generation": 1, "digest": "first"})
            cut_followers(client)
        await pod.until(lambda: pod.follower.connects > connects and pod.registry.healthy)
        record = await pod.store.voice(*ADA)
        assert (record.generation, record.digest) == (1, "first")


async def test_a_log_that_went_back_under_a_living_connection_is_noticed(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope)
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"old")
        connects = pod.follower.connects
        with by_hand(redis_server) as client:
            client.hset(pod.keys.voice(*ADA), mapping={"generation": 7, "digest": "elsewhere"})
            client.delete(pod.keys.changes())
            client.xadd(pod.keys.changes(), {"kind": "heartbeat"}, id="5-0")
        await pod.until(lambda: pod.follower.connects > connects and pod.registry.healthy)
        assert (await pod.store.voice(*ADA)).digest == "elsewhere"


async def test_an_entry_of_an_unknown_kind_makes_the_pod_compare(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope)
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"old")
        connects = pod.follower.connects
        with by_hand(redis_server) as client:
            client.hset(pod.keys.voice(*ADA), "digest", "renamed")
            client.xadd(pod.keys.changes(), {"kind": "of a later version"})
        await pod.until(lambda: pod.follower.connects > connects and pod.registry.healthy)
        assert (await pod.store.voice(*ADA)).digest == "renamed"


async def test_a_black_hole_is_unhealthy_within_half_a_second_and_known_voices_go_on(own_redis: RedisServer) -> None:
    pod = Pod(own_redis, "hole", hurried=True)
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        own_redis.signal(signal.SIGSTOP)
        stopped_at = time.monotonic()
        try:
            await pod.until(lambda: not pod.registry.healthy)
            assert pod.follower.known_up_to <= stopped_at
            assert await pod.store.voice(*ADA) == a_voice()
            assert await pod.store.reference(*ADA, "first") == b"flac"
            assert pod.counted("timbre_voice_unchecked_uses_total") == 1
        finally:
            own_redis.signal(signal.SIGCONT)
        await pod.healthy()
        assert await pod.store.voice(*ADA) == a_voice()
        assert pod.counted("timbre_voice_unchecked_uses_total") == 1


async def test_without_an_offline_allowance_a_voice_waits_for_redis(own_redis: RedisServer) -> None:
    pod = Pod(own_redis, "strict", freshness=FreshnessSettings(max_offline_seconds=0))
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        own_redis.kill()
        await pod.until(lambda: not pod.registry.healthy)
        with pytest.raises(StoreUnavailable):
            await pod.store.voice(*ADA)
        own_redis.start()


@pytest.mark.parametrize("how", ["restarted empty", "flushed under living connections"])
async def test_an_emptied_redis_is_filled_again_by_the_pods(own_redis: RedisServer, how: str) -> None:
    first, second = Pod(own_redis, "emptied", "first"), Pod(own_redis, "emptied", "second")
    async with running(first, second):
        await first.store.add_voice(a_voice(), b"old")
        await first.store.replace_voice(a_voice(digest="second"), b"ada")
        await second.store.add_voice(a_voice(GRACE), b"grace")
        await second.knows(ADA)
        if how == "restarted empty":
            own_redis.kill()
            own_redis.start()
        else:
            with by_hand(own_redis) as client:
                client.flushall()
        await first.until(lambda: first.registry.degraded)
        assert (await first.store.voice(*ADA)).generation == 2  # nothing is taken for deleted
        await first.until(lambda: not first.registry.degraded and first.registry.healthy)
        await second.until(lambda: not second.registry.degraded and second.registry.healthy)
        restored = elsewhere(own_redis, "emptied", lambda store: store.voices_named([ADA, GRACE]))
        assert [(record.generation, record.digest) for record in restored if record] == [(2, "second"), (1, "first")]
        assert elsewhere(own_redis, "emptied", lambda store: store.reference(*ADA, "second")) == b"ada"
        assert (await first.store.voice(*GRACE)).digest == "first"


async def test_two_pods_that_fill_an_emptied_redis_end_with_the_highest_generation(own_redis: RedisServer) -> None:
    late, recent = Pod(own_redis, "two", "late"), Pod(own_redis, "two", "recent")
    async with running(late, recent):
        await recent.store.add_voice(a_voice(), b"old")
        await late.knows(ADA)
        # The one misses a replacement that the other makes, as it is cut off before and Redis is emptied after.
        await late.follower.stop()
        await recent.store.replace_voice(a_voice(digest="second"), b"new")
        with by_hand(own_redis) as client:
            client.flushall()
        await late.follower.start()
        for pod in (late, recent):
            await pod.until(lambda pod=pod: not pod.registry.degraded and pod.registry.healthy)
        assert (await late.store.voice(*ADA)).digest == "second"
        assert elsewhere(own_redis, "two", lambda store: store.reference(*ADA, "second")) == b"new"


async def test_a_voice_that_the_registry_lost_is_served_and_published_again(
    redis_server: RedisServer, scope: str
) -> None:
    pod = Pod(redis_server, scope, freshness=FreshnessSettings(mode="strict"))
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        with by_hand(redis_server) as client:
            client.delete(pod.keys.voice(*ADA))
            assert await pod.store.voice(*ADA) == a_voice()
            await pod.until(lambda: client.hget(pod.keys.voice(*ADA), "reference") == b"flac")
        assert not pod.registry.degraded


async def test_while_an_emptied_redis_is_filled_a_missing_voice_is_not_called_unknown(own_redis: RedisServer) -> None:
    holder, other = Pod(own_redis, "filling", "holder"), Pod(own_redis, "filling", "other")
    async with running(holder, other):
        await holder.store.add_voice(a_voice(), b"flac")
        await holder.follower.stop()
        with by_hand(own_redis) as client:
            client.flushall()
        await other.until(lambda: other.registry.degraded)
        with pytest.raises(StoreUnavailable):
            await other.store.voice(*ADA)
        await holder.follower.start()
        await holder.until(lambda: not holder.registry.degraded and holder.registry.healthy)
        assert await other.store.voice(*ADA) == a_voice()


async def test_a_server_that_starts_without_redis_follows_as_soon_as_it_comes(own_redis: RedisServer) -> None:
    own_redis.kill()
    pod = Pod(own_redis, "later", hurried=True)
    await pod.link.start()
    await pod.registry.start()
    try:
        await pod.follower.turn()
        assert not pod.registry.healthy
        own_redis.start()
        came_at = time.monotonic()
        await pod.healthy()
        assert time.monotonic() - came_at < 1.0 + HEALTHY_SECONDS
    finally:
        await pod.registry.stop()
        await pod.link.close()


async def test_work_in_the_background_that_fails_is_told_and_harms_nobody(
    redis_server: RedisServer, scope: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pod = Pod(redis_server, scope)

    async def failing() -> None:
        raise ValueError("a registry that nobody can read")

    monkeypatch.setattr(pod.registry.checker, "run", failing)
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        assert await pod.store.voice(*ADA) == a_voice()
    assert "check-uses has ended" in caplog.text


async def test_a_stopped_pod_says_goodbye_and_leaves_no_task(redis_server: RedisServer, scope: str) -> None:
    before = asyncio.all_tasks()
    pod = Pod(redis_server, scope)
    async with running(pod):
        with by_hand(redis_server) as client:
            assert client.zrange(pod.keys.pods(), 0, -1) == [b"pod-1"]
    with by_hand(redis_server) as client:
        assert client.zcard(pod.keys.pods()) == 0
    assert asyncio.all_tasks() == before
