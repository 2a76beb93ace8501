"""A server with declared voices, as a process: they are there when it is ready, and follow their files."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from examples.local_server import LocalServer
from tests.quality import recordings
from tests.redis_topologies import wait_until

_STUB = {"ENGINE__NAME": "stub", "DRAIN__ACCEPT_SECONDS": "0", "VOICES__PRELOAD_CHECK_SECONDS": "0.1"}


def _answer(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _listed(folder: Path, recording: str) -> Path:
    new = folder / "new"
    new.write_bytes(recordings.path(recording).read_bytes())
    new.rename(folder / "ann")
    lines = [
        {"id": "voice_ann", "name": "ann", "audio": "ann"},
        {"id": "voice_eve", "name": "eve", "audio": "not-there"},
    ]
    (folder / "manifest.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    return folder


def test_declared_voices_are_there_when_the_server_is_ready_and_follow_their_files(tmp_path: Path) -> None:
    folder = _listed(tmp_path, "allison-female")
    with LocalServer({**_STUB, "VOICES__PRELOAD": str(folder)}) as server:
        body = {"model": "tts-1", "voice": "voice_ann", "input": "Hello.", "response_format": "wav"}
        request = urllib.request.Request(
            f"{server.url}/v1/audio/speech", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.read(4) == b"RIFF"
            assert answer.headers["X-Voice-Cache"] == "host"
        preload = _answer(f"{server.admin_url}/cache")["preload"]
        assert (preload["present"], preload["waiting"]) == (1, 0)
        (refused,) = preload["refused"]
        assert refused == {"voice": "voice_eve", "reason": "its recording cannot be read: No such file or directory"}

        def generation() -> object:
            return _answer(f"{server.url}/v1/audio/voices/voice_ann").get("generation")

        before = generation()
        _listed(tmp_path, "librivox-male")
        wait_until(lambda: generation() != before, "the other recording is not taken")


def test_a_server_without_declared_voices_says_nothing_of_them() -> None:
    with LocalServer(_STUB) as server:
        assert "preload" not in _answer(f"{server.admin_url}/cache")
