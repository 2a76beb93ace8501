"""Declared voices: the list that the server reads, and the volume that holds their recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.operator.desired.children import children_of, container_of, environment_of, server_pod
from tests.operator.manifests import AService, a_service
from timbre_server.app.voice_archive import read_archive
from timbre_server.settings import settings_from_environment

_SECRET = {"name": "recordings", "key": "ann.flac"}
_CONFIG_MAP = {"name": "public", "key": "john.flac"}
_VOICES = a_service().with_spec(
    voices=[
        {
            "name": "ann",
            "recording": {"secretRef": _SECRET},
            "transcript": 'She says "hallo, Zoë".',
            "consent": "cons_1",
        },
        {"name": "john", "recording": {"configMapRef": _CONFIG_MAP}},
        {"name": "guide", "recording": {"path": "/recordings/guide.wav"}},
    ]
)


def _volume(service: AService) -> dict[str, Any]:
    (volume,) = [volume for volume in server_pod(service)["spec"]["volumes"] if volume["name"] == "voices"]
    found: dict[str, Any] = volume
    return found


def test_recordings_and_their_list_come_in_one_volume_and_need_not_be_there() -> None:
    listed, *recordings = _volume(_VOICES)["projected"]["sources"]
    assert listed == {
        "configMap": {
            "name": "narrator-voices", "optional": True,
            "items": [{"key": "manifest.jsonl", "path": "manifest.jsonl"}],
        }
    }  # fmt: skip
    assert recordings == [
        {"secret": {"name": "recordings", "optional": True, "items": [{"key": "ann.flac", "path": "recordings/ann"}]}},
        {"configMap": {"name": "public", "optional": True, "items": [{"key": "john.flac", "path": "recordings/john"}]}},
    ]


def test_the_server_is_told_where_they_lie() -> None:
    template = server_pod(_VOICES)
    (mount,) = [mount for mount in container_of(template)["volumeMounts"] if mount["name"] == "voices"]
    assert mount == {"name": "voices", "mountPath": "/etc/timbre/voices", "readOnly": True}
    assert environment_of(template)["TIMBRE_VOICES__PRELOAD"] == mount["mountPath"]


def test_the_server_reads_the_list_as_it_is_meant(tmp_path: Path) -> None:
    for name, text in children_of(_VOICES)["ConfigMap/narrator-voices"]["data"].items():
        (tmp_path / name).write_text(text, "utf-8")
    archive = read_archive(tmp_path, anywhere=True)
    assert archive.problems == []
    read = [(entry.voice_id, entry.name, entry.audio, entry.transcript, entry.consent_id) for entry in archive.entries]
    assert read == [
        ("voice_ann", "ann", tmp_path / "recordings/ann", 'She says "hallo, Zoë".', "cons_1"),
        ("voice_john", "john", tmp_path / "recordings/john", "", None),
        ("voice_guide", "guide", Path("/recordings/guide.wav"), "", None),
    ]


def test_other_words_about_a_recording_need_no_new_pods() -> None:
    voices = [dict(voice) for voice in _VOICES.manifest["spec"]["voices"]]
    voices[0]["transcript"] = "something else"
    assert server_pod(_VOICES.with_spec(voices=voices)) == server_pod(_VOICES)


def test_a_service_without_voices_has_no_trace_of_them() -> None:
    assert "ConfigMap/narrator-voices" not in children_of(a_service())
    template = server_pod(a_service())
    assert "voices" not in {volume["name"] for volume in template["spec"]["volumes"]}
    assert "TIMBRE_VOICES__PRELOAD" not in environment_of(template)
    assert server_pod(a_service().with_spec(voices=[])) == template


def test_the_server_knows_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBRE_VOICES__PRELOAD", environment_of(server_pod(_VOICES))["TIMBRE_VOICES__PRELOAD"])
    assert settings_from_environment().voices.preload == Path("/etc/timbre/voices")
