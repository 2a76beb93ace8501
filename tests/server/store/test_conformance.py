"""What every voice store promises, on every implementation: in process, and on Redis in each way that it stands there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.redis_server import RedisServer
from tests.server.store.registries import TOPOLOGIES, a_consent, a_voice, linked, opened, unhurried
from timbre_contract.keys import ServiceKeys
from timbre_server.errors import ConsentNotFound, InvalidValue, RegistryFull, VoiceNotFound
from timbre_server.ports import VoiceName, VoiceStore
from timbre_server.store import InMemoryVoiceStore
from timbre_server.store.redis_voices import RedisVoiceStore

FLAC = b"fLaC\x00\r\n\xff"


@pytest.fixture(params=["memory", *TOPOLOGIES])
async def store(request: pytest.FixtureRequest, scope: str) -> AsyncIterator[VoiceStore]:
    async with opened(request.param, request, scope) as opened_store:
        yield opened_store


@pytest.fixture(params=["memory", "redis"])
async def small_store(request: pytest.FixtureRequest, scope: str) -> AsyncIterator[VoiceStore]:
    """Room for some megabytes."""
    if request.param == "memory":
        yield InMemoryVoiceStore(max_bytes=2 << 20)
        return
    request.getfixturevalue("redis_server")  # skips where there is none
    server = RedisServer("--maxmemory", "5mb", "--maxmemory-policy", "volatile-lru")
    try:
        async with linked(unhurried(server)) as link:
            yield RedisVoiceStore(link, ServiceKeys(scope))
    finally:
        server.close()


async def test_a_stored_voice_comes_back_as_it_was(store: VoiceStore) -> None:
    assert await store.add_voice(a_voice(), FLAC) == await store.voice("default", "voice_1") == a_voice()
    bare = replace(a_voice("voice_2"), transcript="", consent_id=None)
    await store.add_voice(bare, FLAC)
    assert await store.voice("default", "voice_2") == bare


async def test_an_id_is_taken_once(store: VoiceStore) -> None:
    await store.add_voice(a_voice(), FLAC)
    with pytest.raises(InvalidValue):
        await store.add_voice(a_voice(digest="other"), b"other")
    assert await store.reference("default", "voice_1", a_voice().digest) == FLAC


async def test_a_recording_comes_back_by_the_digest_that_it_has_now(store: VoiceStore) -> None:
    await store.add_voice(a_voice(digest="old"), FLAC)
    assert await store.reference("default", "voice_1", "old") == FLAC
    await store.replace_voice(a_voice(digest="new"), b"new recording")
    assert await store.reference("default", "voice_1", "new") == b"new recording"
    with pytest.raises(VoiceNotFound):
        await store.reference("default", "voice_1", "old")
    with pytest.raises(VoiceNotFound):
        await store.reference("default", "voice_2", "new")


async def test_a_replaced_voice_has_the_next_generation_and_its_old_name_and_birthday(store: VoiceStore) -> None:
    await store.add_voice(a_voice(), FLAC)
    wanted = replace(
        a_voice(digest="other"), name="Grace", created_at=900, updated_at=900, transcript="Hi", consent_id=None
    )
    replaced = await store.replace_voice(wanted, b"other")
    assert replaced.before == a_voice()
    assert replaced.after == replace(wanted, generation=2, name=a_voice().name, created_at=100)
    assert await store.voice("default", "voice_1") == replaced.after


async def test_of_fifty_concurrent_replacements_none_is_lost(store: VoiceStore) -> None:
    await store.add_voice(a_voice(), FLAC)
    replaced = await asyncio.gather(
        *(store.replace_voice(a_voice(digest=f"d{number}"), b"%d" % number) for number in range(50))
    )
    assert sorted(replacement.after.generation for replacement in replaced) == list(range(2, 52))
    last = max((replacement.after for replacement in replaced), key=lambda record: record.generation)
    assert await store.voice("default", "voice_1") == last
    assert await store.reference("default", "voice_1", last.digest) == last.digest[1:].encode()
    followers = {replacement.before.generation: replacement.after for replacement in replaced}
    assert all(
        followers[item.after.generation].generation == item.after.generation + 1
        for item in replaced
        if item.after != last
    )


async def test_of_two_who_enrol_one_id_at_once_one_wins(store: VoiceStore) -> None:
    results = await asyncio.gather(
        *(store.add_voice(a_voice(digest=f"d{number}"), FLAC) for number in range(5)), return_exceptions=True
    )
    winners = [result for result in results if not isinstance(result, BaseException)]
    assert winners == [await store.voice("default", "voice_1")]
    assert all(isinstance(result, InvalidValue) for result in results if result not in winners)


async def test_a_deleted_voice_is_gone_and_its_generation_never_falls(store: VoiceStore) -> None:
    await store.add_voice(a_voice(), FLAC)
    await store.replace_voice(a_voice(), FLAC)
    deletion = await store.delete_voice("default", "voice_1")
    assert deletion.record == replace(a_voice(), generation=2)
    assert deletion.entry
    for gone in (
        store.voice("default", "voice_1"),
        store.reference("default", "voice_1", a_voice().digest),
        store.delete_voice("default", "voice_1"),
        store.replace_voice(a_voice(), FLAC),
        store.voices("default", after="voice_1", limit=10),
    ):
        with pytest.raises(VoiceNotFound):
            await gone
    assert await store.voices("default", after=None, limit=10) == ([], False)
    assert (await store.add_voice(a_voice(), FLAC)).generation == 3


async def test_deletions_have_entries_of_their_own(store: VoiceStore) -> None:
    await store.add_voice(a_voice(), FLAC)
    await store.add_voice(a_voice("voice_2"), FLAC)
    first = await store.delete_voice("default", "voice_1")
    assert first.entry != (await store.delete_voice("default", "voice_2")).entry


async def test_a_lost_voice_is_put_back_generation_and_all(store: VoiceStore) -> None:
    lost = a_voice(generation=7)
    assert await store.restore_voice(lost, FLAC) is True
    assert await store.voice("default", "voice_1") == lost
    assert await store.reference("default", "voice_1", lost.digest) == FLAC
    assert await store.voices("default", after=None, limit=10) == ([lost], False)
    assert (await store.replace_voice(lost, FLAC)).after.generation == 8


async def test_a_voice_can_be_put_back_without_its_recording(store: VoiceStore) -> None:
    assert await store.restore_voice(a_voice(generation=7), None) is True
    assert await store.voice("default", "voice_1") == a_voice(generation=7)
    with pytest.raises(VoiceNotFound):
        await store.reference("default", "voice_1", a_voice().digest)


async def test_what_the_store_knows_better_is_not_put_back(store: VoiceStore) -> None:
    await store.add_voice(a_voice(), FLAC)
    await store.replace_voice(a_voice(digest="new"), b"new")
    assert await store.restore_voice(a_voice(), FLAC) is False
    assert await store.restore_voice(a_voice(digest="foreign", generation=2), FLAC) is False
    assert (await store.voice("default", "voice_1")).digest == "new"
    assert await store.reference("default", "voice_1", "new") == b"new"


async def test_a_deleted_voice_is_put_back_only_by_a_later_generation(store: VoiceStore) -> None:
    await store.add_voice(a_voice(), FLAC)
    await store.delete_voice("default", "voice_1")
    assert await store.restore_voice(a_voice(generation=1), FLAC) is False
    with pytest.raises(VoiceNotFound):
        await store.voice("default", "voice_1")
    assert await store.restore_voice(a_voice(generation=2), FLAC) is True
    assert (await store.voice("default", "voice_1")).generation == 2


async def test_of_two_who_put_one_voice_back_the_highest_generation_stays(store: VoiceStore) -> None:
    await asyncio.gather(
        *(
            store.restore_voice(a_voice(digest=f"d{number}", generation=number), b"%d" % number)
            for number in range(1, 20)
        )
    )
    assert await store.voice("default", "voice_1") == a_voice(digest="d19", generation=19)
    assert await store.reference("default", "voice_1", "d19") == b"19"
    assert len((await store.voices("default", after=None, limit=10))[0]) == 1


async def test_a_tenant_sees_only_its_own_voices(store: VoiceStore) -> None:
    await store.add_voice(a_voice(tenant="ours"), FLAC)
    for attempt in (
        store.voice("theirs", "voice_1"),
        store.reference("theirs", "voice_1", a_voice().digest),
        store.delete_voice("theirs", "voice_1"),
        store.replace_voice(a_voice(tenant="theirs"), FLAC),
        store.voices("theirs", after="voice_1", limit=10),
    ):
        with pytest.raises(VoiceNotFound):
            await attempt
    assert await store.voices("theirs", after=None, limit=10) == ([], False)
    assert await store.voices_named([VoiceName("theirs", "voice_1")]) == [None]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (("a", "b:c"), ("a:b", "c")),
        (("a:", "b"), ("a", ":b")),
        (("a%3A", "b"), ("a:", "b")),
        (("{a}", "b"), ("a", "b")),
        (("a", "}b{"), ("a}", "b{")),
        (("", "a:b"), (":a", "b")),
        (("ä", "b\n"), ("ä", "b\r\n")),
    ],
)
async def test_no_name_reaches_into_another_tenant(
    store: VoiceStore, ours: tuple[str, str], theirs: tuple[str, str]
) -> None:
    await store.add_voice(a_voice(ours[1], ours[0], digest="ours"), FLAC)
    await store.add_consent(replace(a_consent(ours[1], ours[0]), name="ours"))
    assert await store.voices_named([VoiceName(*theirs)]) == [None]
    with pytest.raises(ConsentNotFound):
        await store.consent(*theirs)
    await store.add_voice(a_voice(theirs[1], theirs[0], digest="theirs"), FLAC)
    await store.add_consent(replace(a_consent(theirs[1], theirs[0]), name="theirs"))
    await store.delete_voice(*theirs)
    await store.delete_consent(*theirs)
    assert (await store.voice(*ours)).digest == (await store.consent(*ours)).name == "ours"
    assert [voice.id for voice in (await store.voices(ours[0], after=None, limit=10))[0]] == [ours[1]]
    assert [item.id for item in (await store.consents(ours[0], after=None, limit=10))[0]] == [ours[1]]


async def test_records_come_in_the_order_of_the_names(store: VoiceStore) -> None:
    for number in range(5):
        await store.add_voice(a_voice(f"voice_{number}"), FLAC)
    wanted = ["voice_3", "voice_9", "voice_0", "voice_3"]
    found = await store.voices_named([VoiceName("default", voice_id) for voice_id in wanted])
    assert [record and record.id for record in found] == ["voice_3", None, "voice_0", "voice_3"]
    assert await store.voices_named([]) == []


async def test_pages_are_newest_first_and_say_whether_more_follow(store: VoiceStore) -> None:
    for number in range(5):
        await store.add_voice(a_voice(f"voice_{number}"), FLAC)
    first, more = await store.voices("default", after=None, limit=2)
    assert ([voice.id for voice in first], more) == (["voice_4", "voice_3"], True)
    last, more = await store.voices("default", after="voice_2", limit=2)
    assert ([voice.id for voice in last], more) == (["voice_1", "voice_0"], False)
    assert await store.voices("default", after="voice_0", limit=2) == ([], False)
    with pytest.raises(VoiceNotFound):
        await store.voices("default", after="voice_9", limit=2)


async def test_paging_goes_on_while_voices_come_and_go(store: VoiceStore) -> None:
    for number in range(6):
        await store.add_voice(a_voice(f"voice_{number}"), FLAC)
    first, _ = await store.voices("default", after=None, limit=2)
    await store.add_voice(a_voice("voice_6"), FLAC)
    await store.delete_voice("default", "voice_5")
    await store.delete_voice("default", "voice_2")
    await store.replace_voice(a_voice("voice_1"), FLAC)
    rest, more = await store.voices("default", after=first[-1].id, limit=10)
    assert ([voice.id for voice in rest], more) == (["voice_3", "voice_1", "voice_0"], False)


async def test_a_thousand_voices_are_listed_once_each(store: VoiceStore) -> None:
    await asyncio.gather(*(store.add_voice(a_voice(f"voice_{number}"), FLAC) for number in range(1000)))
    seen: list[str] = []
    after, more = None, True
    while more:
        page, more = await store.voices("default", after=after, limit=100)
        assert len(page) == 100
        seen += [voice.id for voice in page]
        after = seen[-1]
    assert sorted(seen) == sorted(f"voice_{number}" for number in range(1000))
    records = await store.voices_named([VoiceName("default", voice_id) for voice_id in seen])
    assert [record and record.id for record in records] == seen


async def test_a_full_store_refuses_keeps_what_it_has_and_takes_more_after_a_deletion(small_store: VoiceStore) -> None:
    recording = bytes(200_000)
    stored: list[str] = []

    async def fill() -> None:
        for number in range(50):
            await small_store.add_voice(a_voice(f"voice_{number}"), recording)
            stored.append(f"voice_{number}")

    with pytest.raises(RegistryFull):
        await fill()
    refused = f"voice_{len(stored)}"
    with pytest.raises(RegistryFull):
        await small_store.add_consent(a_consent(size=200_000))
    with pytest.raises(RegistryFull):
        await small_store.replace_voice(a_voice(stored[0]), bytes(300_000))
    with pytest.raises(VoiceNotFound):
        await small_store.voice("default", refused)
    assert [voice.id for voice in (await small_store.voices("default", after=None, limit=100))[0]] == stored[::-1]
    assert await small_store.reference("default", stored[0], a_voice(stored[0]).digest) == recording
    for voice_id in stored[:3]:
        await small_store.delete_voice("default", voice_id)
    assert (await small_store.add_voice(a_voice(refused), recording)).generation == 1


async def test_a_consent_is_stored_renamed_listed_and_deleted(store: VoiceStore) -> None:
    await store.add_consent(a_consent())
    await store.add_consent(a_consent("cons_2"))
    assert await store.consent("default", "cons_1") == a_consent()
    renamed = await store.rename_consent("default", "cons_1", "Grace")
    assert await store.consent("default", "cons_1") == renamed == replace(a_consent(), name="Grace")
    page, more = await store.consents("default", after=None, limit=1)
    assert (page, more) == ([a_consent("cons_2")], True)
    assert await store.consents("default", after="cons_2", limit=1) == ([renamed], False)
    await store.delete_consent("default", "cons_1")
    for gone in (
        store.consent("default", "cons_1"),
        store.delete_consent("default", "cons_1"),
        store.rename_consent("default", "cons_1", "Grace"),
        store.consents("default", after="cons_1", limit=1),
    ):
        with pytest.raises(ConsentNotFound):
            await gone
    assert await store.consents("default", after=None, limit=5) == ([a_consent("cons_2")], False)


async def test_a_consent_is_its_tenant_s_alone(store: VoiceStore) -> None:
    await store.add_consent(a_consent(tenant="ours"))
    for attempt in (
        store.consent("theirs", "cons_1"),
        store.rename_consent("theirs", "cons_1", "Grace"),
        store.delete_consent("theirs", "cons_1"),
    ):
        with pytest.raises(ConsentNotFound):
            await attempt
    assert await store.consents("theirs", after=None, limit=5) == ([], False)
