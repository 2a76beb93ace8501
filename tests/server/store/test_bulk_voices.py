"""Many voices in one round trip: the same voices as one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.redis_server import RedisServer
from tests.redis_topologies import RedisClusterServers
from timbre_contract.keys import ServiceKeys
from timbre_server.domain.voice import VoiceRecord
from timbre_server.errors import RegistryFull, StoreUnavailable
from timbre_server.settings import RedisSettings
from timbre_server.store.bulk_voices import BulkVoiceStore
from timbre_server.store.link import RedisLink


def numbered(count: int) -> list[tuple[VoiceRecord, bytes]]:
    return [
        (VoiceRecord(f"voice_{n}", "default", f"Voice {n}", 1, f"{n:064x}", 100 + n, 100 + n), b"flac %d" % n)
        for n in range(count)
    ]


@pytest.fixture(params=["standalone", "cluster"])
async def store(
    redis_server: RedisServer, redis_cluster: RedisClusterServers, request: pytest.FixtureRequest, scope: str
) -> AsyncIterator[BulkVoiceStore]:
    settings = redis_cluster.settings if request.param == "cluster" else RedisSettings(url=redis_server.url)
    patient = {"connect_timeout_seconds": 2.0, "read_timeout_seconds": 2.0}  # a loaded machine must not fail a test
    link = RedisLink(settings.model_copy(update=patient))
    yield BulkVoiceStore(link, ServiceKeys(scope))
    await link.close()


async def everything(store: BulkVoiceStore, scope: str) -> list[object]:
    """What a reader can see of a scope: records in order, recordings, entries of the log without their ids."""
    voices, _ = await store.voices("default", after=None, limit=1000)
    references = [await store.reference("default", voice.id, voice.digest) for voice in voices]
    changes = await store._link.read(lambda client: client.xrange(ServiceKeys(scope).changes()))
    return [voices, references, [fields for _, fields in changes]]


@pytest.mark.parametrize("script", ["unknown", "known"])
async def test_many_at_once_are_the_same_as_one_by_one(store: BulkVoiceStore, scope: str, script: str) -> None:
    if script == "unknown":
        await store._link.write(lambda client: client.script_flush())
    single = BulkVoiceStore(store._link, ServiceKeys(f"{scope}-single"))
    voices = numbered(40)
    assert await store.add_voices(voices) == [True] * 40
    for voice, flac in voices:
        await single.add_voice(voice, flac)
    assert await everything(store, scope) == await everything(single, f"{scope}-single")


async def test_a_taken_id_refuses_that_voice_only(store: BulkVoiceStore) -> None:
    voices = numbered(3)
    await store.add_voice(*voices[1])
    other = [(replace(voice, name="Other"), b"other") for voice, _ in voices]
    assert await store.add_voices(other) == [True, False, True]
    assert [(await store.voice("default", f"voice_{n}")).name for n in range(3)] == ["Other", "Voice 1", "Other"]


async def test_restored_voices_keep_generation_and_recording(store: BulkVoiceStore) -> None:
    voices = [(replace(voice, generation=7), flac) for voice, flac in numbered(3)]
    await store.add_voice(*voices[0])
    await store.delete_voice("default", "voice_0")
    assert await store.restore_voices(voices) == [True] * 3
    assert await store.restore_voices(voices) == [False] * 3
    assert [(await store.voice("default", f"voice_{n}")).generation for n in range(3)] == [7, 7, 7]
    assert await store.reference("default", "voice_2", voices[2][0].digest) == b"flac 2"


async def test_none_is_no_round_trip(store: BulkVoiceStore) -> None:
    assert await store.add_voices([]) == []
    assert await store.restore_voices([]) == []


async def test_writes_that_replicas_confirm_fail_where_there_are_none(redis_server: RedisServer, scope: str) -> None:
    settings = RedisSettings(
        url=redis_server.url, connect_timeout_seconds=2.0, wait_replicas=1, wait_timeout_seconds=0.05
    )
    link = RedisLink(settings)
    try:
        with pytest.raises(StoreUnavailable, match="may not survive"):
            await BulkVoiceStore(link, ServiceKeys(scope)).add_voices(numbered(2))
    finally:
        await link.close()


@pytest.mark.usefixtures("redis_server")  # which is skipped where there is none
async def test_a_full_registry_is_told(scope: str) -> None:
    server = RedisServer("--maxmemory", "3mb", "--maxmemory-policy", "volatile-lru")
    link = RedisLink(RedisSettings(url=server.url, connect_timeout_seconds=2.0, read_timeout_seconds=2.0))
    try:
        store = BulkVoiceStore(link, ServiceKeys(scope))
        with pytest.raises(RegistryFull):
            await store.add_voices([(voice, bytes(500_000)) for voice, _ in numbered(8)])
        kept, _ = await store.voices("default", after=None, limit=10)
        assert 0 < len(kept) < 8
        for voice in kept:
            assert len(await store.reference("default", voice.id, voice.digest)) == 500_000
    finally:
        await link.close()
        server.close()
