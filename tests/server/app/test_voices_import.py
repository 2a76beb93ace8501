"""Many recordings become voices: the good ones do, the bad ones are told, and a second run finds the first one's work."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from tests.quality import recordings
from tests.redis_server import RedisServer
from tests.server.app.importing import HER, HIS, NOW, Registry, folder_with, registry
from timbre_server.audio.flac import from_flac
from timbre_server.errors import RegistryFull


@pytest.fixture
async def voices(redis_server: RedisServer, scope: str) -> AsyncIterator[Registry]:
    async with registry(redis_server, scope) as opened:
        yield opened


def manifest_in(folder: Path, *lines: dict[str, object] | str) -> Path:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (folder / "manifest.jsonl").write_text(text, "utf-8-sig")  # as Windows' editors write it
    return folder


async def test_each_file_of_a_folder_becomes_a_voice_of_its_name(voices: Registry, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ann=HER, bob=HIS)
    (tmp_path / "README.md").write_text("not a recording")
    (tmp_path / "._ann.flac").write_text("not one either: macOS leaves such files beside each one on foreign disks")
    (tmp_path / "bob.flac").rename(tmp_path / "bob.FLAC")
    tally = await voices.imported(folder)
    assert (tally.stored, tally.present, tally.problems) == (2, 0, [])
    ann, bob = await voices.voices()
    assert (ann.name, bob.name, bob.generation, bob.created_at, bob.updated_at) == ("ann", "bob", 1, NOW, NOW)
    uploaded = await voices.decoder.decode(recordings.path(HIS).read_bytes(), param="audio_sample")
    assert bob.digest == uploaded.digest
    kept = from_flac(await voices.store.reference("default", bob.id, bob.digest))
    assert np.array_equal(kept.samples, uploaded.pcm.samples)


async def test_a_second_run_stores_and_decodes_nothing(voices: Registry, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ann=HER, bob=HIS)
    await voices.imported(folder)
    before, decoded = await voices.voices(), voices.decoder.decoded
    voices.now += 100
    tally = await voices.imported(folder)
    assert (tally.stored, tally.present, tally.problems) == (0, 2, [])
    assert voices.decoder.decoded == decoded
    assert await voices.voices() == before


async def test_a_run_goes_on_where_another_one_ended(voices: Registry, tmp_path: Path) -> None:
    await voices.imported(folder_with(tmp_path, ann=HER))
    tally = await voices.imported(folder_with(tmp_path, ann=HER, bob=HIS))
    assert (tally.stored, tally.present) == (1, 1)
    assert [voice.name for voice in await voices.voices()] == ["ann", "bob"]


async def test_two_runs_at_once_make_each_voice_once(voices: Registry, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ann=HER, bob=HIS)
    tallies = await asyncio.gather(voices.imported(folder), voices.imported(folder))
    assert sum(tally.stored for tally in tallies) == 2
    assert sum(tally.present for tally in tallies) == 2
    assert [voice.generation for voice in await voices.voices()] == [1, 1]


async def test_a_new_recording_under_an_old_name_is_a_voice_of_its_own(voices: Registry, tmp_path: Path) -> None:
    await voices.imported(folder_with(tmp_path, bob=HIS))
    tally = await voices.imported(folder_with(tmp_path, bob=HER))
    assert (tally.stored, len(await voices.voices())) == (1, 2)


async def test_equal_files_of_two_tenants_are_two_voices(redis_server: RedisServer, scope: str, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, bob=HIS)
    async with registry(redis_server, scope) as ours, registry(redis_server, scope, tenant="other") as theirs:
        await ours.imported(folder)
        tally = await theirs.imported(folder)
        assert tally.stored == 1
        ((mine,), (other,)) = await ours.voices(), await theirs.voices()
        assert mine.id != other.id


async def test_a_deleted_voice_is_enrolled_again_with_its_next_generation(voices: Registry, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, bob=HIS)
    await voices.imported(folder)
    (bob,) = await voices.voices()
    await voices.store.delete_voice("default", bob.id)
    assert (await voices.imported(folder)).stored == 1
    (again,) = await voices.voices()
    assert (again.id, again.generation) == (bob.id, 2)


async def test_bad_recordings_are_told_with_their_reasons_and_good_ones_stay(voices: Registry, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, bob=HIS)
    (folder / "noise.wav").write_bytes(b"RIFF, or so it says")
    (folder / "notes.mp3").write_text("a shopping list")
    (folder / "large.wav").write_bytes(b"RIFF0000WAVE" + bytes(2 << 20))
    (folder / "gone.wav").symlink_to(folder / "nowhere")
    (folder / ("n" * 65 + ".flac")).write_bytes(recordings.path(HER).read_bytes())
    (folder / "closed.flac").mkdir()
    tally = await voices.imported(folder)
    assert [voice.name for voice in await voices.voices()] == ["bob"]
    reasons = {problem.where: problem.reason for problem in tally.problems}
    assert tally.stored == 1
    assert set(reasons) == {"noise.wav", "notes.mp3", "large.wav", "n" * 65 + ".flac"}
    assert "wav, mp3" in reasons["notes.mp3"]
    assert "64 characters" in reasons["n" * 65 + ".flac"]
    assert "larger than 1 MiB" in reasons["large.wav"]


async def test_a_manifest_gives_name_transcript_and_id(voices: Registry, tmp_path: Path) -> None:
    folder_with(tmp_path / "takes", a=HER, b=HIS)
    manifest_in(
        tmp_path,
        {"name": "Ann", "audio": "takes/a.flac", "transcript": "What she says.", "id": "voice_ann"},
        {"name": "Bob", "audio": "takes/b.flac"},
    )
    tally = await voices.imported(tmp_path / "manifest.jsonl")
    assert (tally.stored, tally.problems) == (2, [])
    ann, bob = await voices.voices()
    assert (ann.id, ann.name, ann.transcript) == ("voice_ann", "Ann", "What she says.")
    assert (bob.name, bob.transcript) == ("Bob", "")
    assert (await voices.imported(tmp_path)).present == 2


async def test_an_id_with_another_recording_is_never_overwritten(voices: Registry, tmp_path: Path) -> None:
    folder_with(tmp_path, a=HER, b=HIS)
    await voices.imported(manifest_in(tmp_path, {"name": "Ann", "audio": "a.flac", "id": "voice_ann"}))
    before = await voices.voices()
    tally = await voices.imported(manifest_in(tmp_path, {"name": "Ann", "audio": "b.flac", "id": "voice_ann"}))
    assert (tally.stored, tally.present) == (0, 0)
    assert "another recording" in tally.problems[0].reason
    assert await voices.voices() == before


async def test_broken_lines_of_a_manifest_stop_no_other_line(voices: Registry, tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "here", bob=HIS)
    folder_with(tmp_path, outside=HER)
    bad: list[dict[str, object] | str] = [
        "{not JSON",
        {"audio": "bob.flac"},
        {"name": "Bob", "audio": "bob.flac", "colour": "red"},
        {"name": 7, "audio": "bob.flac"},
        {"name": "Bob", "audio": "bob.flac", "id": "alloy"},
        {"name": "Bob", "audio": "../outside.flac"},
        {"name": "Bob", "audio": "/etc/passwd"},
        {"name": "Bob", "audio": "bob.flac\0"},
        {"name": "Bob", "audio": "nobody.flac"},
        {"name": "Bob", "audio": "bob.flac", "transcript": "x" * 2001},
        {"name": "Bob", "audio": "bob.flac", "x" * 100_000: True},
        {"name": "Bob", "audio": "."},
        {"name": "Bob", "audio": "pipe.flac"},
        {"name": "Bob", "audio": "endless.flac"},
        "[" * 100_000,
    ]
    os.mkfifo(folder / "pipe.flac")
    with (folder / "endless.flac").open("wb") as file:
        file.truncate(1 << 40)
    async with asyncio.timeout(30):
        tally = await voices.imported(manifest_in(folder, *bad, {"name": "Bob", "audio": "bob.flac"}))
    assert max(len(problem.reason) for problem in tally.problems) < 300
    assert tally.stored == 1
    assert sorted(problem.where for problem in tally.problems) == sorted(
        f"manifest.jsonl:{number}" for number in range(1, len(bad) + 1)
    )


async def test_the_same_voice_twice_in_a_manifest_is_one(voices: Registry, tmp_path: Path) -> None:
    folder_with(tmp_path, bob=HIS)
    line: dict[str, object] = {"name": "Bob", "audio": "bob.flac"}
    tally = await voices.imported(manifest_in(tmp_path, line, line))
    assert (tally.stored, tally.present, len(await voices.voices())) == (1, 1, 1)


async def test_an_id_that_stands_twice_is_told_of(voices: Registry, tmp_path: Path) -> None:
    folder_with(tmp_path, a=HER, b=HIS)
    ann: dict[str, object] = {"name": "Ann", "audio": "a.flac", "id": "voice_ann"}
    tally = await voices.imported(manifest_in(tmp_path, ann, {**ann, "audio": "b.flac"}, ann))
    assert (tally.stored, tally.present) == (1, 1)
    assert [(problem.where, problem.reason) for problem in tally.problems] == [
        ("manifest.jsonl:2", "this id is also that of manifest.jsonl:1")
    ]


async def test_a_files_name_that_is_no_text_stops_no_other_file(voices: Registry, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, bob=HIS)
    (folder / os.fsdecode(b"\xff.flac")).write_bytes(recordings.path(HER).read_bytes())
    tally = await voices.imported(folder)
    assert (tally.stored, len(tally.problems)) == (1, 1)
    assert "`name` must be text" in tally.problems[0].reason


@pytest.mark.parametrize(
    "forged",
    [
        {"generation": 2**53 + 1},
        {"created_at": 10**12},
        {"updated_at": -1},
        {"digest": "0" * 63},
    ],
)
async def test_a_history_that_cannot_be_is_refused(voices: Registry, tmp_path: Path, forged: dict[str, object]) -> None:
    folder_with(tmp_path, bob=HIS)
    history = {"generation": 1, "digest": "0" * 64, "created_at": 1, "updated_at": 1, **forged}
    line = {"name": "Bob", "audio": "bob.flac", "id": "voice_bob", "history": history}
    tally = await voices.imported(manifest_in(tmp_path, line))
    assert (tally.stored, len(tally.problems)) == (0, 1)
    assert f"history.{next(iter(forged))}" in tally.problems[0].reason


async def test_a_restored_voice_has_a_name_as_any_other(voices: Registry, tmp_path: Path) -> None:
    folder_with(tmp_path, bob=HIS)
    history = {"generation": 1, "digest": "0" * 64, "created_at": 1, "updated_at": 1}
    line = {"name": "Bob\nAnn", "audio": "bob.flac", "id": "voice_bob", "history": history}
    tally = await voices.imported(manifest_in(tmp_path, line))
    assert "control characters" in tally.problems[0].reason


@pytest.mark.parametrize(
    ("forged", "reason"),
    [({"speaker_embedding": "A" * 9}, "speaker_embedding"), ({"name": "His\nconsent"}, "control characters")],
)
async def test_a_forged_consent_is_refused_and_stops_no_voice(
    voices: Registry, tmp_path: Path, forged: dict[str, object], reason: str
) -> None:
    folder = manifest_in(folder_with(tmp_path, bob=HIS), {"name": "Bob", "audio": "bob.flac"})
    consent = {"id": "cons_a", "name": "His", "language": "en", "created_at": 1, "audio": "bob.flac"}
    line = {**consent, "speaker_embedding": "AAAAAAAA", **forged}
    (folder / "consents.jsonl").write_text(json.dumps(line) + "\n")
    tally = await voices.imported(folder)
    assert (tally.stored, len(tally.problems)) == (1, 1)
    assert reason in tally.problems[0].reason


async def test_a_service_that_asks_for_consent_asks_an_import_too(
    redis_server: RedisServer, scope: str, tmp_path: Path
) -> None:
    folder = folder_with(tmp_path, ann=HER, bob=HIS)
    async with registry(redis_server, scope, require_consent=True) as strict:
        refused = await strict.imported(folder)
        assert [problem.where for problem in refused.problems] == ["ann.flac", "bob.flac"]
        assert all("`consent` is required" in problem.reason for problem in refused.problems)
        take = recordings.path("librivox-male-other-take").read_bytes()
        consent = await strict.consents.add("default", "His consent", "en-US", take)
        tally = await strict.imported(folder, consent.id)
        assert [problem.where for problem in tally.problems] == ["ann.flac"]
        assert "does not sound like" in tally.problems[0].reason
        (bob,) = await strict.voices()
        assert (bob.name, bob.consent_id) == ("bob", consent.id)


async def test_an_unknown_consent_refuses_the_voice(voices: Registry, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, bob=HIS)
    tally = await voices.imported(manifest_in(folder, {"name": "Bob", "audio": "bob.flac", "consent": "cons_none"}))
    assert [problem.reason for problem in tally.problems] == ["no consent has this id"]
    assert await voices.voices() == []


@pytest.mark.usefixtures("redis_server")  # which is skipped where there is none
async def test_a_full_registry_ends_the_import_and_keeps_whole_voices_only(scope: str, tmp_path: Path) -> None:
    server = RedisServer("--maxmemory", "3mb", "--maxmemory-policy", "volatile-lru")
    try:
        folder = folder_with(tmp_path, **{f"voice{number}": HIS for number in range(16)})
        async with registry(server, scope) as small:
            with pytest.raises(RegistryFull):
                await small.imported(folder)
            stored = await small.voices()
            assert 0 < len(stored) < 16
            for voice in stored:
                assert len(await small.store.reference("default", voice.id, voice.digest)) > 100_000
    finally:
        server.close()
