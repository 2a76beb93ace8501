"""Prefetching: the hottest voices come from the shared tier while there is room, and nothing that was erased meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

import pytest

from tests.redis_server import RedisServer
from tests.server.voicecache.pods import Fleet, a_fleet, features_of, forget_then_put, key_of
from timbre_server.ports import Blob, FeatureName, Room
from timbre_server.voicecache.codec import encode
from timbre_server.voicecache.prefetch import VOICES_AT_ONCE


@pytest.fixture
async def fleet(redis_server: RedisServer, scope: str) -> AsyncIterator[Fleet]:
    async with a_fleet(redis_server.url, scope) as fleet:
        yield fleet


async def stored(fleet: Fleet, digest: str, blob: bytes) -> None:
    await fleet.link.write(lambda client: client.hset(fleet.keys.features(digest), key_of(digest), blob))


async def test_what_the_others_have_is_in_memory_afterwards(fleet: Fleet) -> None:
    one, other = fleet.pod(), fleet.pod(host_entries=30)
    digests = [f"voice {number}" for number in range(20)]
    await asyncio.gather(*(one.ask(digest) for digest in digests))
    await one.cache.close()
    names = [FeatureName(digest) for digest in ["unknown", *digests]]
    assert await other.cache.prefetch(names) == 20
    assert {await other.ask(digest) for digest in digests} == {"host"}
    assert await other.cache.prefetch(names) == 0


async def test_the_first_ones_are_loaded_until_nothing_more_fits(fleet: Fleet) -> None:
    one, other = fleet.pod(), fleet.pod(host_entries=2)
    for digest in "abc":
        await one.ask(digest)
    await one.cache.close()
    assert await other.cache.prefetch([FeatureName(digest) for digest in "abc"]) == 2
    assert [await other.ask(digest) for digest in "ab"] == ["host", "host"]


async def test_a_device_gets_the_first_ones_and_the_host_more(fleet: Fleet) -> None:
    one, other = fleet.pod(), fleet.pod(host_entries=2, device_entries=1)
    for digest in "abc":
        await one.ask(digest)
    await one.cache.close()
    assert await other.cache.prefetch([FeatureName(digest) for digest in "abc"]) == 2
    assert [await other.ask(digest) for digest in "ab"] == ["device", "host"]


async def test_a_broken_blob_is_passed_over(fleet: Fleet) -> None:
    pod = fleet.pod()
    await stored(fleet, "a", b"rubbish")
    await stored(fleet, "b", encode(features_of("b"), key=key_of("b")))
    assert await pod.cache.prefetch([FeatureName("a"), FeatureName("b")]) == 1


async def test_a_voice_that_is_erased_on_its_way_is_not_kept(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    for digest in "ab":
        await stored(fleet, digest, encode(features_of(digest), key=key_of(digest)))
    pod = fleet.pod()
    assert pod.shared is not None
    get_many = pod.shared.get_many

    async def late(
        wanted: Iterable[tuple[str, str]], *, arrived: Callable[[int, Blob], None], room: Room | None
    ) -> Sequence[Blob | None]:
        def erased_first(place: int, blob: Blob) -> None:
            pod.cache.forget("a")
            arrived(place, blob)

        return await get_many(wanted, arrived=erased_first, room=room)

    monkeypatch.setattr(pod.shared, "get_many", late)
    assert await pod.cache.prefetch([FeatureName("a"), FeatureName("b")]) == 1
    assert not pod.host.holds(key_of("a"))


async def test_a_voice_that_is_erased_on_its_way_to_the_device_is_not_kept(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored(fleet, "a", encode(features_of("a"), key=key_of("a")))
    pod = fleet.pod(device_entries=1)
    forget_then_put(pod, monkeypatch)
    assert await pod.cache.prefetch([FeatureName("a")]) == 0
    assert pod.device is not None
    assert (pod.device.held_bytes, pod.host.held_bytes) == (0, 0)


async def test_nothing_hangs_on_what_was_not_waited_for(fleet: Fleet) -> None:
    digests = [f"voice {number}" for number in range(12)]
    for digest in digests:
        await stored(fleet, digest, encode(features_of(digest), key=key_of(digest)))
    pod = fleet.pod(host_entries=2)
    assert await pod.cache.prefetch([FeatureName(digest) for digest in digests]) == 2
    assert await pod.ask("voice 11") == "redis"


async def test_voices_that_nobody_has_do_not_end_the_asking(fleet: Fleet) -> None:
    await stored(fleet, "last", encode(features_of("last"), key=key_of("last")))
    pod, told = fleet.pod(), list[int]()
    names = [FeatureName(f"unknown {number}") for number in range(2 * VOICES_AT_ONCE)]
    assert await pod.cache.prefetch([*names, FeatureName("last")], told=told.append) == 1
    assert told == [0, 0, 1]


async def test_a_full_memory_ends_the_asking(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = [f"voice {number}" for number in range(2 * VOICES_AT_ONCE)]
    for digest in digests:
        await stored(fleet, digest, encode(features_of(digest), key=key_of(digest)))
    pod = fleet.pod(host_entries=2)
    assert pod.shared is not None
    get_many, asked = pod.shared.get_many, list[str]()

    async def noted(
        wanted: Iterable[tuple[str, str]], *, arrived: Callable[[int, Blob], None], room: Room | None
    ) -> Sequence[Blob | None]:
        pairs = list(wanted)
        asked.extend(digest for digest, _ in pairs)
        return await get_many(pairs, arrived=arrived, room=room)

    monkeypatch.setattr(pod.shared, "get_many", noted)
    assert await pod.cache.prefetch([FeatureName(digest) for digest in digests]) == 2
    assert asked == digests[:VOICES_AT_ONCE]
