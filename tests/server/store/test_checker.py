"""Are stale uses found, and only those?"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.redis_server import RedisServer
from tests.server.store.pods import ADA, GRACE, Pod, a_voice, by_hand, running
from timbre_server.domain.voice import VoiceRecord
from timbre_server.ports import VoiceName
from timbre_server.store.checker import BOUND_SECONDS, Checker, Sampler, Use
from timbre_server.store.heartbeat import Heart
from timbre_server.store.holdings import version_of
from timbre_server.store.redis_voices import RedisVoiceStore

LATER_SECONDS = BOUND_SECONDS + 5.0
"""A use so long after now: what changes now has long changed by then."""


@asynccontextmanager
async def checking(server: RedisServer, scope: str) -> AsyncIterator[tuple[Pod, RedisVoiceStore, Checker]]:
    """A registry that nobody follows, and its checker."""
    pod = Pod(server, scope)
    heart = Heart(pod.link, pod.keys, pod=pod.name, clock=time.monotonic)
    await heart.beat()
    store = RedisVoiceStore(pod.link, pod.keys)
    checker = Checker(
        pod.link, pod.keys, store, redis_clock=heart.redis_clock, clock=time.monotonic, metrics=pod.metrics
    )
    try:
        yield pod, store, checker
    finally:
        await pod.link.close()


def a_use(record: VoiceRecord, *, in_seconds: float = 0.0) -> Use:
    return Use(VoiceName(record.tenant, record.id), version_of(record), time.monotonic() + in_seconds)


async def test_a_use_long_after_a_replacement_is_stale(redis_server: RedisServer, scope: str) -> None:
    async with checking(redis_server, scope) as (pod, store, checker):
        old = await store.add_voice(a_voice(), b"flac")
        await store.replace_voice(a_voice(digest="second"), b"flac")
        assert await checker.check(a_use(old, in_seconds=LATER_SECONDS))
        assert pod.counted("timbre_voice_stale_reads_total") == 1


async def test_a_use_long_after_a_deletion_is_stale(redis_server: RedisServer, scope: str) -> None:
    async with checking(redis_server, scope) as (_, store, checker):
        old = await store.add_voice(a_voice(), b"flac")
        await store.delete_voice(*ADA)
        assert await checker.check(a_use(old, in_seconds=LATER_SECONDS))


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_use_just_after_a_change_is_within_the_bound(
    redis_server: RedisServer, scope: str, *, deleted: bool
) -> None:
    async with checking(redis_server, scope) as (pod, store, checker):
        old = await store.add_voice(a_voice(), b"flac")
        await (store.delete_voice(*ADA) if deleted else store.replace_voice(a_voice(digest="second"), b"flac"))
        assert not await checker.check(a_use(old))
        assert pod.counted("timbre_voice_stale_reads_total") == 0


async def test_a_use_before_later_changes_is_not_stale(redis_server: RedisServer, scope: str) -> None:
    async with checking(redis_server, scope) as (_, store, checker):
        old = await store.add_voice(a_voice(), b"flac")
        use = a_use(old)
        for number in range(3):
            await store.replace_voice(a_voice(digest=f"digest-{number}"), b"flac")
        assert not await checker.check(use)


@pytest.mark.parametrize(("kind", "name"), [("replaced", GRACE), ("deleted", ADA)])
async def test_neither_other_voices_nor_the_end_of_the_successor_excuse_a_use(
    redis_server: RedisServer, scope: str, kind: str, name: VoiceName
) -> None:
    async with checking(redis_server, scope) as (pod, store, checker):
        old = await store.add_voice(a_voice(), b"flac")
        await store.replace_voice(a_voice(digest="second"), b"flac")
        with by_hand(redis_server) as client:  # in the time that counts
            seconds, _ = client.time()
            later = int(seconds + LATER_SECONDS) * 1000
            fields = {"kind": kind, "tenant": name.tenant, "voice": name.voice_id}
            client.xadd(
                pod.keys.changes(), {**fields, "generation": 2, "digest": "x", "previous": "y"}, id=f"{later}-0"
            )
        assert await checker.check(a_use(old, in_seconds=LATER_SECONDS))


async def test_the_search_turns_pages(redis_server: RedisServer, scope: str) -> None:
    async with checking(redis_server, scope) as (pod, store, checker):
        old = await store.add_voice(a_voice(), b"flac")
        await store.replace_voice(a_voice(digest="second"), b"flac")
        with by_hand(redis_server) as client, client.pipeline() as pipeline:
            for _ in range(2500):
                pipeline.xadd(pod.keys.changes(), {"kind": "heartbeat"})
            pipeline.execute()
        assert not await checker.check(a_use(old))


async def test_a_current_or_a_lost_voice_is_not_stale(redis_server: RedisServer, scope: str) -> None:
    async with checking(redis_server, scope) as (_, store, checker):
        current = await store.add_voice(a_voice(), b"flac")
        assert not await checker.check(a_use(current, in_seconds=LATER_SECONDS))
        assert not await checker.check(a_use(a_voice(GRACE), in_seconds=LATER_SECONDS))


async def test_a_running_pod_checks_what_it_speaks(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope)
    async with running(pod):
        added = await pod.store.add_voice(a_voice(), b"flac")
        await pod.registry.checker.checked()
        await pod.until(lambda: pod.registry.follower.healthy)
        stale = replace(added, digest="never heard of", generation=0)
        with by_hand(redis_server) as client:
            client.xtrim(pod.keys.changes(), maxlen=0, approximate=False)
        pod.registry.checker.used(stale)
        await pod.registry.checker.checked()
        assert pod.counted("timbre_voice_stale_reads_total") == 1


def test_one_use_in_a_hundred_is_sampled_and_one_per_second_at_least() -> None:
    busy, idle = Sampler(), Sampler()
    assert sum(busy.chosen(number / 10_000) for number in range(10_000)) in {100, 101}
    assert all(idle.chosen(second * 1.5) for second in range(10))
