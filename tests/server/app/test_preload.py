"""Declared voices are there, follow their files, and hold nobody up."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from timbre_server.app.preload import Preload, checked_place
from timbre_server.errors import (
    AudioUnreadable,
    ConfigurationError,
    ConsentNotFound,
    Overloaded,
    StoreUnavailable,
    TimbreError,
)
from timbre_server.service.voices import Declared, VoiceUpload


class Registry:
    """``Declaring`` that remembers, and fails as it is told."""

    def __init__(self) -> None:
        self.voices: dict[str, tuple[str, VoiceUpload]] = {}
        self.declared: list[str] = []
        self.failing: dict[str, TimbreError] = {}
        self.came = asyncio.Event()
        self.door = asyncio.Event()
        self.door.set()

    async def declare(self, tenant: str, voice_id: str, name: str, upload: VoiceUpload) -> Declared:
        assert tenant == "default"
        self.declared.append(voice_id)
        self.came.set()
        await self.door.wait()
        if voice_id in self.failing:
            raise self.failing[voice_id]
        before, self.voices[voice_id] = self.voices.get(voice_id), (name, upload)
        if before is None:
            return Declared.ENROLLED
        return Declared.PRESENT if before == (name, upload) else Declared.REPLACED


@pytest.fixture
def registry() -> Registry:
    return Registry()


def _preload(folder: Path, registry: Registry, *, check_seconds: float = 3600) -> Preload:
    return Preload(folder, registry, tenant="default", max_bytes=1000, check_seconds=check_seconds)


def _listed(folder: Path, *lines: dict[str, str] | str) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "manifest.jsonl").write_text("\n".join(texts), "utf-8")
    return folder


def _ann(folder: Path, audio: bytes = b"ann", **more: str) -> Path:
    (folder / "ann").write_bytes(audio)
    return _listed(folder, {"id": "voice_ann", "name": "ann", "audio": "ann", **more})


def _refused(preload: Preload) -> Sequence[object]:
    refused = preload.report()["refused"]
    assert isinstance(refused, list)
    return refused


async def test_each_line_is_declared_with_all_that_it_says(tmp_path: Path, registry: Registry) -> None:
    preload = _preload(_ann(tmp_path, transcript="what she says", consent="cons_1"), registry)
    await preload.look()
    assert registry.voices == {"voice_ann": ("ann", VoiceUpload(b"ann", "cons_1", "what she says"))}
    assert preload.report() == {"present": 1, "waiting": 0, "refused": []}


async def test_what_has_not_changed_is_not_read_again(tmp_path: Path, registry: Registry) -> None:
    preload = _preload(_ann(tmp_path), registry)
    await preload.look()
    await preload.look()
    assert registry.declared == ["voice_ann"]


async def test_another_recording_is_declared(tmp_path: Path, registry: Registry) -> None:
    preload = _preload(_ann(tmp_path), registry)
    await preload.look()
    _ann(tmp_path, b"Ann, older")
    await preload.look()
    assert registry.voices["voice_ann"][1].audio == b"Ann, older"


async def test_other_words_about_it_are_declared(tmp_path: Path, registry: Registry) -> None:
    preload = _preload(_ann(tmp_path), registry)
    await preload.look()
    _ann(tmp_path, transcript="what she says")
    await preload.look()
    assert registry.voices["voice_ann"][1].transcript == "what she says"


async def test_a_place_in_the_list_is_no_part_of_a_voice(tmp_path: Path, registry: Registry) -> None:
    preload = _preload(_ann(tmp_path), registry)
    await preload.look()
    (tmp_path / "bob").write_bytes(b"bob")
    ann = {"id": "voice_ann", "name": "ann", "audio": "ann"}
    _listed(tmp_path, {"id": "voice_bob", "name": "bob", "audio": "bob"}, ann)
    await preload.look()
    assert registry.declared == ["voice_ann", "voice_bob"]


async def test_a_volume_that_kubernetes_changes_under_its_links_is_followed(tmp_path: Path, registry: Registry) -> None:
    """Kubelet writes a new folder and moves one link: https://kubernetes.io/docs/concepts/storage/projected-volumes"""

    def written(version: str, audio: bytes) -> None:
        (tmp_path / version).mkdir()
        _ann(tmp_path / version, audio)
        os.utime(tmp_path / version / "ann", (0, 0))  # equal times and equal sizes
        (tmp_path / "..new").symlink_to(version)
        (tmp_path / "..new").rename(tmp_path / "..data")

    written("..2026_1", b"one")
    for name in ("ann", "manifest.jsonl"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    preload = _preload(tmp_path, registry)
    await preload.look()
    written("..2026_2", b"two")
    await preload.look()
    assert registry.voices["voice_ann"][1].audio == b"two"


async def test_a_list_may_name_recordings_of_another_volume(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "elsewhere.wav").write_bytes(b"ann")
    (tmp_path / "list").mkdir()
    line = {"id": "voice_ann", "name": "ann", "audio": str(tmp_path / "elsewhere.wav")}
    await _preload(_listed(tmp_path / "list", line), registry).look()
    assert registry.voices["voice_ann"][1].audio == b"ann"


async def test_recordings_without_a_list_are_called_by_their_files(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "ann.wav").write_bytes(b"one")
    await _preload(tmp_path, registry).look()
    (tmp_path / "ann.wav").write_bytes(b"two!")
    await _preload(tmp_path, registry).look()
    ((voice_id, (name, upload)),) = registry.voices.items()
    assert voice_id.startswith("voice_")
    assert (name, upload.audio) == ("ann", b"two!")


async def test_what_cannot_become_a_voice_is_told_and_stops_nothing(
    tmp_path: Path, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    _ann(tmp_path)
    (tmp_path / "bob").write_bytes(b"bob")
    (tmp_path / "big").write_bytes(b"x" * 1001)
    _listed(
        tmp_path,
        "no line at all",
        {"id": "voice_bob", "name": "bob", "audio": "bob"},
        {"id": "voice_big", "name": "big", "audio": "big"},
        {"id": "voice_eve", "name": "eve", "audio": "not-there"},
        {"id": "voice_ann", "name": "ann", "audio": "ann"},
    )
    registry.failing["voice_bob"] = AudioUnreadable("this is no audio")
    preload = _preload(tmp_path, registry)
    caplog.set_level(logging.WARNING, "timbre.preload")
    await preload.look()
    assert list(registry.voices) == ["voice_ann"]
    report = preload.report()
    assert (report["present"], report["waiting"]) == (1, 0)
    assert [item["voice"] for item in _refused(preload)] == ["voice_bob", "voice_big", "voice_eve", ""]  # type: ignore[index]
    reasons = " ".join(str(item) for item in _refused(preload))
    for word in ("this is no audio", "larger than", "cannot be read: No such file", "manifest.jsonl:1"):
        assert word in reasons
    await preload.look()
    assert len(caplog.records) == 4  # once is enough


async def test_what_became_of_a_voice_is_logged_when_something_did(
    tmp_path: Path, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "timbre.preload")
    await _preload(_ann(tmp_path), registry).look()
    await _preload(tmp_path, registry).look()  # another pod, which finds it there
    assert [record.getMessage() for record in caplog.records] == ["a declared voice was enrolled"]


async def test_mistakes_in_the_list_are_logged_again_when_there_are_others(
    tmp_path: Path, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "timbre.preload")
    preload = _preload(tmp_path, registry)
    for mistakes in (["no line"], ["no line"], ["no line", "nor this"], []):
        _listed(tmp_path, *mistakes)
        await preload.look()
    assert len(caplog.records) == 2


async def test_a_recording_that_comes_later_is_declared_then(tmp_path: Path, registry: Registry) -> None:
    """As a Secret that is made after the pod."""
    preload = _preload(_ann(tmp_path), registry)
    (tmp_path / "ann").unlink()
    await preload.look()
    assert len(_refused(preload)) == 1
    (tmp_path / "ann").write_bytes(b"ann")
    await preload.look()
    assert preload.report() == {"present": 1, "waiting": 0, "refused": []}


async def test_a_consent_that_comes_later_is_enough(tmp_path: Path, registry: Registry) -> None:
    preload = _preload(_ann(tmp_path, consent="cons_1"), registry)
    registry.failing["voice_ann"] = ConsentNotFound("there is no such consent")
    await preload.look()
    assert _refused(preload) == [{"voice": "voice_ann", "reason": "there is no such consent"}]
    registry.failing.clear()
    await preload.look()
    assert preload.report() == {"present": 1, "waiting": 0, "refused": []}


async def test_a_refused_recording_is_tried_again_when_it_changed(tmp_path: Path, registry: Registry) -> None:
    preload = _preload(_ann(tmp_path), registry)
    registry.failing["voice_ann"] = AudioUnreadable("this is no audio")
    await preload.look()
    await preload.look()
    assert registry.declared == ["voice_ann"]
    registry.failing.clear()
    _ann(tmp_path, b"better")
    await preload.look()
    assert preload.report() == {"present": 1, "waiting": 0, "refused": []}


@pytest.mark.parametrize("error", [StoreUnavailable("Redis is away"), Overloaded("busy")])
async def test_what_time_heals_is_tried_again(
    tmp_path: Path, registry: Registry, error: TimbreError, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "timbre.preload")
    preload = _preload(_ann(tmp_path), registry)
    registry.failing["voice_ann"] = error
    await preload.look()
    await preload.look()
    assert preload.report() == {"present": 0, "waiting": 1, "refused": []}
    assert len(caplog.records) == 1
    registry.failing.clear()
    await preload.look()
    assert preload.report() == {"present": 1, "waiting": 0, "refused": []}


async def test_a_voice_that_is_no_longer_listed_is_left_alone(tmp_path: Path, registry: Registry) -> None:
    preload = _preload(_ann(tmp_path), registry)
    await preload.look()
    _listed(tmp_path)
    await preload.look()
    assert list(registry.voices) == ["voice_ann"]
    assert preload.report() == {"present": 0, "waiting": 0, "refused": []}


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path, registry: Registry) -> None:
    preload = _preload(tmp_path / "nowhere", registry)
    await preload.look()
    assert "cannot be read" in str(_refused(preload))
    assert preload.report()["present"] == 0


def test_a_place_from_which_voices_may_come_is_taken(tmp_path: Path) -> None:
    assert checked_place(tmp_path) == tmp_path
    manifest = _listed(tmp_path, "no line") / "manifest.jsonl"
    assert checked_place(manifest) == manifest


def test_a_place_from_which_no_voice_can_come_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ann.WAV").write_bytes(b"ann")
    for place, why in (("nowhere", "No such file"), ("ann.WAV", "names a recording"), ("ann.WAV/x", "Not a directory")):
        with pytest.raises(ConfigurationError, match=rf"TIMBRE_VOICES__PRELOAD .*{why}"):
            checked_place(tmp_path / place)


async def test_a_folder_without_voices_is_told_once_until_they_come(
    tmp_path: Path, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "timbre.preload")
    preload = _preload(tmp_path, registry)
    await preload.look()
    await preload.look()
    assert [record.getMessage() for record in caplog.records] == [
        "TIMBRE_VOICES__PRELOAD has no voices: neither a recording nor a line of a manifest.jsonl"
    ]
    await _preload(_ann(tmp_path), registry).look()
    await preload.look()
    assert preload.report() == {"present": 1, "waiting": 0, "refused": []}
    assert len(caplog.records) == 1


async def test_many_refusals_are_told_in_part(tmp_path: Path, registry: Registry) -> None:
    lines = [{"id": f"voice_{number}", "name": "x", "audio": "not-there"} for number in range(40)]
    preload = _preload(_listed(tmp_path, *lines), registry)
    await preload.look()
    assert len(_refused(preload)) == 16
    assert preload.report()["present"] == 0


async def test_the_first_look_is_waited_for(tmp_path: Path, registry: Registry) -> None:
    preload = _preload(_ann(tmp_path), registry)
    preload.start()
    await preload.first_look(60.0)
    assert list(registry.voices) == ["voice_ann"]
    await preload.stop()
    await preload.stop()


async def test_a_slow_first_look_is_waited_for_until_its_deadline_and_goes_on(
    tmp_path: Path, registry: Registry
) -> None:
    registry.door.clear()
    preload = _preload(_ann(tmp_path), registry)
    preload.start()
    await preload.first_look(0.0)
    assert registry.voices == {}
    registry.door.set()
    await preload.first_look(60.0)
    assert list(registry.voices) == ["voice_ann"]
    await preload.stop()


async def test_a_change_is_seen_while_the_server_runs(tmp_path: Path, registry: Registry) -> None:
    preload = _preload(_ann(tmp_path), registry, check_seconds=0.1)
    preload.start()
    await preload.first_look(60.0)
    registry.came.clear()
    _ann(tmp_path, b"Ann, older")
    await registry.came.wait()
    await preload.stop()
    assert registry.declared == ["voice_ann", "voice_ann"]


async def test_stopping_before_starting_is_nothing(tmp_path: Path, registry: Registry) -> None:
    await _preload(tmp_path, registry).stop()
