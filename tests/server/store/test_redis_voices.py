"""What the Redis store promises beyond the port: the log, the epoch, versions, memory, and life times of keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
import redis.asyncio

from tests.redis_server import RedisServer
from tests.server.store.registries import TOPOLOGIES, a_consent, a_voice, linked, opened, unhurried
from timbre_contract.keys import VERSION_PREFIX, ServiceKeys
from timbre_server.errors import InvalidValue, RegistryFull, StoreUnavailable, VoiceNotFound
from timbre_server.ports import ChangeKind, VoiceChange, VoiceName
from timbre_server.store import redis_voices, voice_fields
from timbre_server.store.log_format import MAX_ENTRIES, from_fields
from timbre_server.store.redis_voices import GONE, RedisVoiceStore, Versions, VoiceVersion

NAME = VoiceName("default", "voice_1")


@pytest.fixture(params=TOPOLOGIES)
async def store(request: pytest.FixtureRequest, scope: str) -> AsyncIterator[RedisVoiceStore]:
    async with opened(request.param, request, scope) as opened_store:
        assert isinstance(opened_store, RedisVoiceStore)
        yield opened_store


async def _log(store: RedisVoiceStore, keys: ServiceKeys) -> list[object]:
    entries = await store._link.read(lambda client: client.xrange(keys.changes()))
    return [from_fields(entry, fields) for entry, fields in entries]


async def test_every_change_is_in_the_log_as_it_happened(store: RedisVoiceStore, keys: ServiceKeys) -> None:
    await store.add_voice(a_voice(digest="d1"), b"1")
    await store.replace_voice(a_voice(digest="d2"), b"2")
    deletion = await store.delete_voice(*NAME)
    await store.restore_voice(a_voice(digest="d9", generation=9), b"9")
    log = await _log(store, keys)
    assert all(isinstance(change, VoiceChange) for change in log)
    assert [replace(change, entry="") for change in log if isinstance(change, VoiceChange)] == [
        VoiceChange(ChangeKind.ENROLLED, NAME, 1, "d1", ""),
        VoiceChange(ChangeKind.REPLACED, NAME, 2, "d2", "", previous_digest="d1"),
        VoiceChange(ChangeKind.DELETED, NAME, 2, "d2", ""),
        VoiceChange(ChangeKind.ENROLLED, NAME, 9, "d9", ""),
    ]
    assert log[2] == VoiceChange(ChangeKind.DELETED, NAME, 2, "d2", deletion.entry)


async def test_what_was_refused_is_not_in_the_log(store: RedisVoiceStore, keys: ServiceKeys) -> None:
    await store.add_voice(a_voice(), b"1")
    with pytest.raises(InvalidValue):
        await store.add_voice(a_voice(), b"1")
    assert await store.restore_voice(a_voice(), b"1") is False
    with pytest.raises(VoiceNotFound):
        await store.delete_voice("default", "voice_2")
    with pytest.raises(VoiceNotFound):
        await store.replace_voice(a_voice("voice_2"), b"2")
    assert len(await _log(store, keys)) == 1


async def test_a_change_is_whispered_with_the_id_of_its_entry(store: RedisVoiceStore, keys: ServiceKeys) -> None:
    client = store._link.dedicated(read_timeout_seconds=10.0, key=keys.whisper())
    channel = client.pubsub()
    await channel.subscribe(keys.whisper())
    assert (await channel.get_message(timeout=10.0))["type"] == "subscribe"
    await store.add_voice(a_voice(), b"1")
    message = await channel.get_message(timeout=10.0)
    change = (await _log(store, keys))[0]
    assert isinstance(change, VoiceChange)
    assert message["data"] == f"change {change.entry}".encode()
    await channel.aclose()
    await client.aclose()


async def test_the_log_stays_short(redis_server: RedisServer, scope: str, keys: ServiceKeys) -> None:
    with redis.Redis.from_url(redis_server.url) as plain:
        pipeline = plain.pipeline(transaction=False)
        for _ in range(MAX_ENTRIES + 500):
            pipeline.xadd(keys.changes(), {"kind": "heartbeat"})
        pipeline.execute()
        async with linked(unhurried(redis_server)) as link:
            await RedisVoiceStore(link, keys).add_voice(a_voice(), b"1")
        assert plain.xlen(keys.changes()) < MAX_ENTRIES + 200  # whole nodes of the stream go, of 100 entries each


async def test_versions_tell_the_living_the_deleted_and_the_unknown_apart(store: RedisVoiceStore) -> None:
    assert await store.versions([NAME]) == Versions(None, (None,))
    await store.add_voice(a_voice(), b"1")
    await store.add_voice(a_voice("voice_2", digest="d2"), b"2")
    await store.replace_voice(a_voice("voice_2", digest="d3"), b"3")
    await store.delete_voice(*NAME)
    names = [NAME, VoiceName("default", "voice_2"), VoiceName("default", "voice_3"), VoiceName("other", "voice_1")]
    seen = await store.versions(names)
    assert seen.of == (GONE, VoiceVersion(2, "d3"), None, None)
    assert seen.epoch == await store.epoch() is not None
    await store.add_voice(a_voice(digest="back"), b"1")
    assert (await store.versions([NAME])).of == (VoiceVersion(2, "back"),)


async def test_versions_of_a_thousand_voices_come_in_their_order(store: RedisVoiceStore) -> None:
    names = [VoiceName("default", f"voice_{number}") for number in range(1000)]
    await asyncio.gather(*(store.add_voice(a_voice(name.voice_id), b"1") for name in names[::3]))
    seen = await store.versions(names)
    expected = [VoiceVersion(1, f"digest-voice_{number}") if number % 3 == 0 else None for number in range(1000)]
    assert list(seen.of) == expected


async def test_a_voice_that_is_lost_after_it_was_put_back_is_not_taken_for_deleted(
    store: RedisVoiceStore, keys: ServiceKeys
) -> None:
    await store.add_voice(a_voice(), b"1")
    await store.delete_voice(*NAME)
    await store.add_voice(a_voice(), b"1")
    await store._link.write(lambda client: client.delete(keys.voice(*NAME)))
    assert (await store.versions([NAME])).of == (None,)


async def test_the_epoch_begins_once_and_outlives_every_voice(store: RedisVoiceStore) -> None:
    assert await store.epoch() is None
    words = await asyncio.gather(*(store.begin_epoch() for _ in range(5)))
    await store.add_voice(a_voice(), b"1")
    await store.delete_voice(*NAME)
    assert {*words, await store.epoch()} == {words[0]}


@pytest.mark.parametrize("write", ["add_voice", "restore_voice", "add_consent"])
async def test_a_write_begins_the_epoch(store: RedisVoiceStore, write: str) -> None:
    arguments = (a_consent(),) if write == "add_consent" else (a_voice(), b"1")
    await getattr(store, write)(*arguments)
    assert await store.epoch()


async def test_a_recording_that_is_missing_is_put_back_by_who_has_it(store: RedisVoiceStore) -> None:
    await store.restore_voice(a_voice(generation=3), None)
    assert await store.restore_voice(a_voice(digest="another", generation=3), b"another") is False
    assert await store.restore_voice(a_voice(generation=3), b"1") is True
    assert await store.reference(*NAME, a_voice().digest) == b"1"
    assert await store.restore_voice(a_voice(generation=3), b"2") is False
    assert await store.reference(*NAME, a_voice().digest) == b"1"


async def test_an_older_recording_is_not_left_under_a_newer_digest(store: RedisVoiceStore) -> None:
    await store.add_voice(a_voice(digest="old"), b"old")
    assert await store.restore_voice(a_voice(digest="new", generation=5), None) is True
    with pytest.raises(VoiceNotFound):
        await store.reference(*NAME, "new")


async def test_voices_that_are_put_back_are_listed_in_the_order_of_their_creation(store: RedisVoiceStore) -> None:
    for second in (30, 10, 20):
        await store.restore_voice(replace(a_voice(f"voice_{second}"), created_at=1_795_000_000 + second), b"1")
    page, _ = await store.voices("default", after=None, limit=10)
    assert [voice.id for voice in page] == ["voice_30", "voice_20", "voice_10"]


async def test_a_voice_that_went_back_a_generation_is_put_back_at_its_place(store: RedisVoiceStore) -> None:
    await store.add_voice(a_voice("voice_1"), b"1")
    await store.add_voice(a_voice("voice_2"), b"2")
    assert await store.restore_voice(a_voice("voice_1", generation=5), b"5") is True
    page, _ = await store.voices("default", after=None, limit=10)
    assert [(voice.id, voice.generation) for voice in page] == [("voice_2", 1), ("voice_1", 5)]


async def test_equal_services_in_two_scopes_never_meet(store: RedisVoiceStore, scope: str) -> None:
    other = RedisVoiceStore(store._link, ServiceKeys(f"{scope}-b"))
    await store.add_voice(a_voice(digest="ours"), b"1")
    await store.add_consent(a_consent())
    assert await other.voices("default", after=None, limit=5) == ([], False)
    assert await other.consents("default", after=None, limit=5) == ([], False)
    assert await other.epoch() is None
    assert (await other.versions([NAME])).of == (None,)
    await other.add_voice(a_voice(digest="theirs"), b"2")
    await other.delete_voice(*NAME)
    assert (await store.voice(*NAME)).digest == "ours"


async def test_no_key_of_the_registry_has_a_life_time(own_redis: RedisServer) -> None:
    async with linked(unhurried(own_redis)) as link:
        store = RedisVoiceStore(link, ServiceKeys("only"))
        await store.add_voice(a_voice(), b"1")
        await store.add_voice(a_voice("voice_2"), b"2")
        await store.replace_voice(a_voice(), b"3")
        await store.delete_voice("default", "voice_2")
        await store.restore_voice(a_voice("voice_3"), None)
        await store.add_consent(a_consent())
        await store.rename_consent("default", "cons_1", "Grace")
    with redis.Redis.from_url(own_redis.url) as plain:
        found = {key.decode(): plain.ttl(key) for key in plain.scan_iter()}
    assert len(found) == 9
    assert all(key.startswith(f"{VERSION_PREFIX}{{only}}:") for key in found)
    assert set(found.values()) == {-1}  # Redis' word for a key that never expires


async def test_a_full_redis_gives_up_its_cache_before_it_refuses_a_voice_and_never_a_voice(scope: str) -> None:
    server = RedisServer("--maxmemory", "4mb", "--maxmemory-policy", "volatile-lru")
    try:
        async with linked(unhurried(server)) as link:
            store = RedisVoiceStore(link, ServiceKeys(scope))
            with redis.Redis.from_url(server.url) as plain:
                for number in range(10):
                    plain.set(f"timbre:1:features:{number}", bytes(100_000), ex=3600)
                stored = await _fill(store)
                await _fill_with_lost_voices(store)
                assert plain.keys("timbre:1:features:*") == []
            page, _ = await store.voices("default", after=None, limit=100)
            assert [voice.id for voice in page if voice.id in stored] == stored[::-1]
            with redis.Redis.from_url(server.url) as plain:
                plain.config_set("maxmemory", "1mb")  # far less than it holds
            with pytest.raises(RegistryFull):
                await store.add_consent(a_consent())
            await store.delete_voice("default", stored[0])  # a deletion needs no room
            assert (await store.versions([VoiceName("default", stored[0])])).of == (GONE,)
    finally:
        server.close()


async def _fill_with_lost_voices(store: RedisVoiceStore) -> None:
    """Whatever room the first refusal has left (its own bytes were counted) is soon gone."""
    with pytest.raises(RegistryFull):  # noqa: PT012 - which of them is refused is Redis' to say
        for number in range(20):
            await store.restore_voice(a_voice(f"lost_{number}"), bytes(100_000))


async def _fill(store: RedisVoiceStore) -> list[str]:
    stored: list[str] = []
    while True:
        try:
            await store.add_voice(a_voice(f"voice_{len(stored)}"), bytes(100_000))
        except RegistryFull:
            return stored
        stored.append(f"voice_{len(stored)}")


async def test_a_writer_that_leaves_in_the_middle_leaves_all_or_nothing(
    store: RedisVoiceStore, keys: ServiceKeys
) -> None:
    await store.add_voice(a_voice(digest="1"), b"1" * 100_000)

    seen_at_once = """
        local log = redis.call('XRANGE', KEYS[1], '-', '+')
        local last = log[#log][2]
        return {#log, last[6], last[8], last[10], unpack(redis.call('HMGET', KEYS[2], 'generation', 'digest', 'reference'))}
    """

    for turns in range(2, 60, 3):  # of the event loop: from before the first byte until after the answer
        writer = asyncio.create_task(store.replace_voice(a_voice(digest=str(turns)), str(turns).encode() * 100_000))
        for _ in range(turns):
            await asyncio.wait([writer], timeout=0)
        writer.cancel()
        await asyncio.wait([writer])
        entries, voice_id, *logged, generation, digest, recording = await store._link.write(
            lambda client: client.eval(seen_at_once, 2, keys.changes(), keys.voice(*NAME))
        )
        assert entries == int(generation)
        assert (voice_id, logged) == (b"voice_1", [generation, digest])
        assert recording == digest * 100_000


async def test_a_server_that_is_killed_in_the_middle_loses_nothing_that_it_acknowledged(scope: str) -> None:
    server = RedisServer("--appendonly", "yes", "--appendfsync", "always")
    keys, acknowledged = ServiceKeys(scope), {f"voice_{number}": 0 for number in range(3)}
    enough = asyncio.Event()

    async def replace_on_and_on(store: RedisVoiceStore, voice_id: str) -> None:
        await store.add_voice(a_voice(voice_id), b"0")
        while True:
            replaced = await store.replace_voice(a_voice(voice_id, digest=f"d{acknowledged[voice_id]}"), b"x" * 5000)
            acknowledged[voice_id] = replaced.after.generation
            if min(acknowledged.values()) > 20:
                enough.set()

    try:
        async with linked(unhurried(server)) as link:
            store = RedisVoiceStore(link, keys)
            writers = [asyncio.create_task(replace_on_and_on(store, voice_id)) for voice_id in acknowledged]
            await asyncio.wait_for(enough.wait(), 20)
            server.kill()
            for result in await asyncio.gather(*writers, return_exceptions=True):
                assert isinstance(result, StoreUnavailable)
        server.start()
        async with linked(unhurried(server)) as link:
            store = RedisVoiceStore(link, keys)
            last = {
                change.name.voice_id: change for change in await _log(store, keys) if isinstance(change, VoiceChange)
            }
            for voice_id, generation in acknowledged.items():
                found = await store.voice("default", voice_id)
                assert found.generation in {generation, generation + 1}  # the one in flight may have been made
                assert (last[voice_id].generation, last[voice_id].digest) == (found.generation, found.digest)
    finally:
        server.close()


def test_scripts_and_python_read_a_record_in_one_order() -> None:
    prelude = (Path(redis_voices.__file__).with_name("lua") / "_change.lua").read_text("utf-8")
    listed = ", ".join(f"'{field}'" for field in voice_fields.RECORD_FIELDS)
    assert f"local RECORD = {{{listed}}}" in prelude
