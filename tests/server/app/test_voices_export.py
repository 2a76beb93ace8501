"""An export restores what was there: same ids, generations and recordings, and the consents."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.quality import recordings
from tests.redis_server import RedisServer
from tests.server.app.importing import HER, HIS, Registry, folder_with, registry, silent
from timbre_server.app.voices_export import PAGE, export_voices
from timbre_server.domain.voice import VoiceRecord
from timbre_server.errors import ConfigurationError
from timbre_server.store.bulk_voices import BulkVoiceStore


@pytest.fixture
async def voices(redis_server: RedisServer, scope: str) -> AsyncIterator[Registry]:
    async with registry(redis_server, scope) as opened:
        yield opened


@pytest.fixture
async def emptied(redis_server: RedisServer, scope: str) -> AsyncIterator[Registry]:
    """Another scope: a registry that knows nothing yet."""
    async with registry(redis_server, f"{scope}-emptied") as opened:
        yield opened


async def filled(voices: Registry, folder: Path) -> None:
    """Two voices, one of them with a consent and in its second generation."""
    take = recordings.path("librivox-male-other-take").read_bytes()
    consent = await voices.consents.add("default", "His consent", "en-US", take)
    await voices.imported(folder_with(folder, bob=HIS), consent.id)
    await voices.imported(folder_with(folder, ann=HER))
    ann, bob = await voices.voices()
    flac = await voices.store.reference("default", ann.id, ann.digest)
    await voices.store.replace_voice(replace(ann, updated_at=ann.updated_at + 5, transcript="Ünïcode."), flac)
    assert bob.consent_id == consent.id


async def test_an_export_restores_voices_recordings_and_consents(
    voices: Registry, emptied: Registry, tmp_path: Path
) -> None:
    await filled(voices, tmp_path / "takes")
    exported = await export_voices(voices.store, "default", tmp_path / "out", silent())
    assert (exported.stored, exported.problems) == (2, [])
    tally = await emptied.imported(tmp_path / "out")
    assert (tally.stored, tally.present, tally.problems) == (2, 0, [])
    assert await emptied.voices() == await voices.voices()
    assert [voice.generation for voice in await emptied.voices()] == [2, 1]
    for voice in await voices.voices():
        reference = await voices.store.reference("default", voice.id, voice.digest)
        assert await emptied.store.reference("default", voice.id, voice.digest) == reference
    assert await emptied.store.consents("default", after=None, limit=9) == await voices.store.consents(
        "default", after=None, limit=9
    )


async def test_restoring_twice_decodes_nothing_again(voices: Registry, emptied: Registry, tmp_path: Path) -> None:
    await filled(voices, tmp_path / "takes")
    await export_voices(voices.store, "default", tmp_path / "out", silent())
    await emptied.imported(tmp_path / "out")
    decoded = emptied.decoder.decoded
    tally = await emptied.imported(tmp_path / "out")
    assert (tally.stored, tally.present) == (0, 2)
    assert emptied.decoder.decoded == decoded


async def test_what_was_deleted_or_replaced_since_is_not_taken_back(voices: Registry, tmp_path: Path) -> None:
    await filled(voices, tmp_path / "takes")
    await export_voices(voices.store, "default", tmp_path / "out", silent())
    ann, bob = await voices.voices()
    await voices.store.delete_voice("default", bob.id)
    flac = await voices.store.reference("default", ann.id, ann.digest)
    newer = (await voices.store.replace_voice(replace(ann, updated_at=ann.updated_at + 50), flac)).after
    tally = await voices.imported(tmp_path / "out")
    assert (tally.stored, tally.present, tally.problems) == (0, 2, [])
    assert await voices.voices() == [newer]


async def test_a_damaged_recording_is_not_restored(voices: Registry, emptied: Registry, tmp_path: Path) -> None:
    await filled(voices, tmp_path / "takes")
    await export_voices(voices.store, "default", tmp_path / "out", silent())
    ann, bob = await voices.voices()
    shelf = tmp_path / "out" / "voices"
    (shelf / f"{bob.id}.flac").write_bytes((shelf / f"{ann.id}.flac").read_bytes())
    tally = await emptied.imported(tmp_path / "out")
    assert [voice.name for voice in await emptied.voices()] == ["ann"]
    assert ["digest differs" in problem.reason for problem in tally.problems] == [True]


async def test_a_service_that_asks_for_consent_restores_no_voice_without_one(
    voices: Registry, redis_server: RedisServer, scope: str, tmp_path: Path
) -> None:
    await filled(voices, tmp_path / "takes")
    await export_voices(voices.store, "default", tmp_path / "out", silent())
    async with registry(redis_server, f"{scope}-strict", require_consent=True) as strict:
        tally = await strict.imported(tmp_path / "out")
        assert [voice.name for voice in await strict.voices()] == ["bob"]
        assert ["`consent` is required" in problem.reason for problem in tally.problems] == [True]


async def test_only_its_owner_can_read_an_export(voices: Registry, tmp_path: Path) -> None:
    await filled(voices, tmp_path / "takes")
    await export_voices(voices.store, "default", tmp_path / "out", silent())
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) == 5
    assert {path.stat().st_mode & 0o077 for path in files} == {0}


async def test_an_export_is_never_overwritten(voices: Registry, tmp_path: Path) -> None:
    await export_voices(voices.store, "default", tmp_path, silent())
    with pytest.raises(ConfigurationError, match="holds an export already"):
        await export_voices(voices.store, "default", tmp_path, silent())


async def test_a_voice_whose_recording_is_gone_is_told_and_left_out(voices: Registry, tmp_path: Path) -> None:
    lost = VoiceRecord("voice_lost", "default", "Lost", 1, "0" * 64, 1, 1)
    await voices.store.restore_voice(lost, None)
    tally = await export_voices(voices.store, "default", tmp_path, silent())
    assert [problem.where for problem in tally.problems] == ["voice_lost"]
    assert (tmp_path / "manifest.jsonl").read_text() == ""


async def test_no_id_leads_a_file_out_of_the_folder(voices: Registry, tmp_path: Path) -> None:
    await voices.store.add_voice(VoiceRecord("../../voice", "default", "Bad", 1, "0" * 64, 1, 1), b"")
    tally = await export_voices(voices.store, "default", tmp_path / "a" / "b", silent())
    assert len(tally.problems) == 1
    assert sorted(path.name for path in (tmp_path / "a").rglob("*") if path.is_file()) == [
        "consents.jsonl",
        "manifest.jsonl",
    ]


class DeletesMeanwhile(BulkVoiceStore):
    """Somebody deletes a voice just before the second page is asked for."""

    deletes = ""

    async def voices(self, tenant: str, *, after: str | None, limit: int) -> tuple[Sequence[VoiceRecord], bool]:
        if after == self.deletes:
            await self.delete_voice(tenant, self.deletes)
        return await super().voices(tenant, after=after, limit=limit)


async def test_all_pages_are_exported_though_the_last_of_one_is_deleted_meanwhile(
    voices: Registry, tmp_path: Path
) -> None:
    """The id behind which the next page begins is gone when it is asked for."""
    count = 2 * PAGE + 5
    numbered = [VoiceRecord(f"voice_{n}", "default", str(n), 1, f"{n:064x}", n, n) for n in range(count)]
    await voices.store.add_voices([(voice, b"flac") for voice in numbered])
    ends_first_page = numbered[count - PAGE].id
    busy = DeletesMeanwhile(voices.store._link, voices.store._keys)
    busy.deletes = ends_first_page
    tally = await export_voices(busy, "default", tmp_path, silent())
    lines = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert sorted(line["id"] for line in lines) == sorted(voice.id for voice in numbered)
    assert tally.stored == count
    assert ends_first_page not in {voice.id for voice in await voices.voices()}
