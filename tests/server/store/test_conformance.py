"""What every voice store promises, on every implementation."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from timbre_server.domain.voice import ConsentRecord, VoiceRecord
from timbre_server.errors import ConsentNotFound, RegistryFull, VoiceNotFound
from timbre_server.ports import VoiceStore
from timbre_server.store import InMemoryVoiceStore

STORES: dict[str, Callable[[], VoiceStore]] = {"memory": lambda: InMemoryVoiceStore(max_bytes=1000)}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> VoiceStore:
    return STORES[request.param]()


def a_voice(voice_id: str = "voice_1", tenant: str = "default", size: int = 10) -> VoiceRecord:
    return VoiceRecord(voice_id, tenant, "Ada", 1, f"digest-{voice_id}", b"f" * size, created_at=100, updated_at=100)


def a_consent(consent_id: str = "cons_1", size: int = 10) -> ConsentRecord:
    return ConsentRecord(consent_id, "default", "Ada", "en-US", 100, b"f" * size, b"")


async def test_a_stored_voice_comes_back_as_it_was(store: VoiceStore) -> None:
    assert await store.add_voice(a_voice()) == await store.voice("default", "voice_1") == a_voice()


async def test_a_replaced_voice_has_the_next_generation_and_its_old_birthday(store: VoiceStore) -> None:
    await store.add_voice(a_voice())
    after = await store.replace_voice(replace(a_voice(), digest="other", created_at=900, updated_at=900))
    assert (after.generation, after.digest, after.created_at, after.updated_at) == (2, "other", 100, 900)
    assert await store.voice("default", "voice_1") == after


async def test_a_deleted_voice_is_gone_and_its_generation_never_falls(store: VoiceStore) -> None:
    await store.add_voice(a_voice())
    await store.replace_voice(a_voice())
    assert (await store.delete_voice("default", "voice_1")).generation == 2
    with pytest.raises(VoiceNotFound):
        await store.voice("default", "voice_1")
    assert (await store.add_voice(a_voice())).generation == 3


async def test_a_tenant_sees_only_its_own_voices(store: VoiceStore) -> None:
    await store.add_voice(a_voice(tenant="ours"))
    with pytest.raises(VoiceNotFound):
        await store.voice("theirs", "voice_1")
    assert await store.voices("theirs", after=None, limit=10) == ([], False)
    with pytest.raises(VoiceNotFound):
        await store.delete_voice("theirs", "voice_1")
    with pytest.raises(VoiceNotFound):
        await store.replace_voice(a_voice(tenant="theirs"))


async def test_pages_are_newest_first_and_say_whether_more_follow(store: VoiceStore) -> None:
    for number in range(5):
        await store.add_voice(a_voice(f"voice_{number}"))
    first, more = await store.voices("default", after=None, limit=2)
    assert ([voice.id for voice in first], more) == (["voice_4", "voice_3"], True)
    last, more = await store.voices("default", after="voice_2", limit=2)
    assert ([voice.id for voice in last], more) == (["voice_1", "voice_0"], False)
    with pytest.raises(VoiceNotFound):
        await store.voices("default", after="voice_9", limit=2)


async def test_a_full_store_refuses_and_keeps_what_it_has(store: VoiceStore) -> None:
    await store.add_voice(a_voice(size=600))
    with pytest.raises(RegistryFull):
        await store.add_voice(a_voice("voice_2", size=600))
    with pytest.raises(RegistryFull):
        await store.add_consent(a_consent(size=600))
    with pytest.raises(RegistryFull):
        await store.replace_voice(a_voice(size=1001))
    assert (await store.replace_voice(a_voice(size=1000))).generation == 2


async def test_a_consent_is_stored_renamed_listed_and_deleted(store: VoiceStore) -> None:
    await store.add_consent(a_consent())
    await store.add_consent(a_consent("cons_2"))
    renamed = await store.rename_consent("default", "cons_1", "Grace")
    assert (await store.consent("default", "cons_1")) == renamed == replace(a_consent(), name="Grace")
    page, more = await store.consents("default", after=None, limit=1)
    assert ([consent.id for consent in page], more) == (["cons_2"], True)
    await store.delete_consent("default", "cons_1")
    with pytest.raises(ConsentNotFound):
        await store.consent("default", "cons_1")
    with pytest.raises(ConsentNotFound):
        await store.delete_consent("default", "cons_1")
    with pytest.raises(ConsentNotFound):
        await store.rename_consent("default", "cons_1", "Grace")
