"""Who says that a deletion has reached it, and who is waited for?"""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.redis_server import RedisServer
from tests.server.store.pods import ADA, GRACE, Pod, a_voice, by_hand, running
from timbre_server.errors import EngineStopped
from timbre_server.ports import Acknowledgements, ChangeKind, VoiceChange
from timbre_server.store.fleet import PRESENT_MILLISECONDS, UNKNOWN_PODS


class Gate:
    """A listener that acts when it is let."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.begun: list[VoiceChange] = []
        self.ended: list[VoiceChange] = []

    async def __call__(self, change: VoiceChange) -> None:
        self.begun.append(change)
        if change.kind is ChangeKind.DELETED:
            await self.opened.wait()
        self.ended.append(change)


def a_phantom(server: RedisServer, pod: Pod, name: str, *, seen_seconds_ago: float) -> None:
    """A pod that was there and does nothing any more."""
    with by_hand(server) as client:
        seconds, microseconds = client.time()
        now = seconds * 1000 + microseconds // 1000
        client.zadd(pod.keys.pods(), {name: now - seen_seconds_ago * 1000})


async def test_every_living_pod_acknowledges_a_deletion(redis_server: RedisServer, scope: str) -> None:
    pods = [Pod(redis_server, scope, name) for name in ("a", "b", "c")]
    async with running(*pods):
        await pods[0].store.add_voice(a_voice(), b"flac")
        deletion = await pods[0].store.delete_voice(*ADA)
        for pod in pods:
            answers = await pod.fleet.acknowledged(deletion.entry, timeout_seconds=5)
            assert answers == Acknowledgements(acknowledged=("a", "b", "c"))


async def test_a_full_redis_still_takes_acknowledgements(own_redis: RedisServer) -> None:
    pods = [Pod(own_redis, "full", name) for name in ("a", "b")]
    async with running(*pods):
        await pods[0].store.add_voice(a_voice(), b"flac")
        with by_hand(own_redis) as client:
            client.config_set("maxmemory", 1)
        deletion = await pods[0].store.delete_voice(*ADA)
        answers = await pods[0].fleet.acknowledged(deletion.entry, timeout_seconds=5)
        assert answers == Acknowledgements(acknowledged=("a", "b"))


async def test_a_pod_acknowledges_after_its_listeners_and_goes_on_following_meanwhile(
    redis_server: RedisServer, scope: str
) -> None:
    pod, gate = Pod(redis_server, scope, "busy"), Gate()
    pod.fleet.listen(gate)
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        await pod.store.add_voice(a_voice(GRACE), b"flac")
        deletion = await pod.store.delete_voice(*ADA)
        answers = await pod.fleet.acknowledged(deletion.entry, timeout_seconds=0.3)
        assert answers == Acknowledgements(unconfirmed=("busy",))
        await pod.store.replace_voice(a_voice(GRACE, "second"), b"flac")
        await pod.until(lambda: gate.ended[-1].digest == "second")
        gate.opened.set()
        answers = await pod.fleet.acknowledged(deletion.entry, timeout_seconds=5)
        assert answers == Acknowledgements(acknowledged=("busy",))


async def test_changes_of_one_voice_are_acted_on_one_after_another(redis_server: RedisServer, scope: str) -> None:
    pod, gate = Pod(redis_server, scope), Gate()
    pod.fleet.listen(gate)
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        await pod.store.delete_voice(*ADA)
        await pod.store.add_voice(a_voice(digest="second"), b"flac")
        await pod.until(lambda: len(gate.begun) == 2)
        read_up_to = time.monotonic()
        await pod.until(lambda: pod.follower.known_up_to > read_up_to)
        assert [change.generation for change in gate.begun] == [1, 1]  # the third waits for the second
        gate.opened.set()
        await pod.until(lambda: len(gate.ended) == 3)
        assert [change.generation for change in gate.ended] == [1, 1, 2]


async def test_a_pod_that_died_is_named_as_expired_once_it_is_missed(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope, "alive")
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        deletion = await pod.store.delete_voice(*ADA)
        a_phantom(redis_server, pod, "dead", seen_seconds_ago=PRESENT_MILLISECONDS / 1000 - 0.3)
        answers = await pod.fleet.acknowledged(deletion.entry, timeout_seconds=5)
        assert answers == Acknowledgements(acknowledged=("alive",), expired=("dead",))


async def test_a_pod_that_died_long_before_the_deletion_is_not_waited_for(
    redis_server: RedisServer, scope: str
) -> None:
    pod = Pod(redis_server, scope, "alive")
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        a_phantom(redis_server, pod, "dead", seen_seconds_ago=PRESENT_MILLISECONDS / 1000 + 1)
        deletion = await pod.store.delete_voice(*ADA)
        answers = await pod.fleet.acknowledged(deletion.entry, timeout_seconds=5)
        assert answers == Acknowledgements(acknowledged=("alive",))


async def test_pods_are_waited_for_after_redis_clock_was_set_back(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope, "a")
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        with by_hand(redis_server) as client:  # a log of which the last id is an hour ahead of the clock
            client.xadd(pod.keys.changes(), {"kind": "heartbeat"}, id=f"{int(time.time() + 3600) * 1000}-0")
        a_phantom(redis_server, pod, "silent", seen_seconds_ago=-1)
        a_phantom(redis_server, pod, "dead", seen_seconds_ago=-3600)
        deletion = await pod.store.delete_voice(*ADA)
        answers = await pod.fleet.acknowledged(deletion.entry, timeout_seconds=0.3)
        assert answers == Acknowledgements(acknowledged=("a",), expired=("dead",), unconfirmed=("silent",))


async def test_a_pod_that_lives_and_is_silent_is_named_as_unconfirmed(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope, "alive")
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        deletion = await pod.store.delete_voice(*ADA)
        a_phantom(redis_server, pod, "silent", seen_seconds_ago=-1)
        answers = await pod.fleet.acknowledged(deletion.entry, timeout_seconds=0.3)
        assert answers == Acknowledgements(acknowledged=("alive",), unconfirmed=("silent",))


async def test_a_pod_that_leaves_in_order_is_not_waited_for(redis_server: RedisServer, scope: str) -> None:
    staying, leaving = Pod(redis_server, scope, "staying"), Pod(redis_server, scope, "leaving")
    async with running(staying, leaving):
        await staying.store.add_voice(a_voice(), b"flac")
        await leaving.registry.stop()
        deletion = await staying.store.delete_voice(*ADA)
        answers = await staying.fleet.acknowledged(deletion.entry, timeout_seconds=5)
        assert answers == Acknowledgements(acknowledged=("staying",))


async def test_a_pod_that_starts_just_after_a_deletion_acknowledges_it_too(
    redis_server: RedisServer, scope: str
) -> None:
    old, new = Pod(redis_server, scope, "old"), Pod(redis_server, scope, "new")
    async with running(old):
        await old.store.add_voice(a_voice(), b"flac")
        deletion = await old.store.delete_voice(*ADA)
        async with running(new):
            answers = await old.fleet.acknowledged(deletion.entry, timeout_seconds=5)
            assert answers == Acknowledgements(acknowledged=("new", "old"))


async def test_a_listener_that_fails_leaves_the_deletion_unconfirmed_and_the_next_change_heard(
    redis_server: RedisServer, scope: str
) -> None:
    pod = Pod(redis_server, scope, "failing")
    heard: list[ChangeKind] = []

    async def failing(change: VoiceChange) -> None:
        heard.append(change.kind)
        if change.kind is ChangeKind.DELETED:
            raise EngineStopped("it is gone")

    pod.fleet.listen(failing)
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        deletion = await pod.store.delete_voice(*ADA)
        await pod.store.add_voice(a_voice(), b"flac")
        await pod.until(lambda: len(heard) == 3)
        answers = await pod.fleet.acknowledged(deletion.entry, timeout_seconds=0.3)
        assert answers == Acknowledgements(unconfirmed=("failing",))


async def test_with_redis_away_the_receipt_says_that_pods_are_unknown(own_redis: RedisServer) -> None:
    pod = Pod(own_redis, "away", "alone")
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        deletion = await pod.store.delete_voice(*ADA)
        assert (await pod.fleet.acknowledged(deletion.entry, timeout_seconds=5)).acknowledged == ("alone",)
        own_redis.kill()
        answers = await pod.fleet.acknowledged(deletion.entry, timeout_seconds=0.3)
        assert answers == Acknowledgements(acknowledged=("alone",), unconfirmed=(UNKNOWN_PODS,))
        own_redis.start()


@pytest.mark.parametrize("kind", [ChangeKind.ENROLLED, ChangeKind.REPLACED])
async def test_only_deletions_are_acknowledged_in_the_log(
    redis_server: RedisServer, scope: str, kind: ChangeKind
) -> None:
    pod, gate = Pod(redis_server, scope), Gate()
    pod.fleet.listen(gate)
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        if kind is ChangeKind.REPLACED:
            await pod.store.replace_voice(a_voice(digest="second"), b"flac")
        await pod.until(lambda: bool(gate.ended) and gate.ended[-1].kind is kind)
        with by_hand(redis_server) as client:
            kinds = {fields[b"kind"] for _, fields in client.xrange(pod.keys.changes())}
        assert b"acknowledged" not in kinds
