"""The sums of the page on operations are those of the code, and its bytes are those of a real Redis."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any, Final
from urllib.request import Request, urlopen

import pytest
import redis

from examples.fleet_demo import enrol
from examples.local_server import LocalServer
from tests.cluster.control_plane import ROOT
from tests.docs.pages import blocks
from tests.operator.desired.children import children_of, container_of, server_pod
from tests.operator.manifests import a_service
from tests.quality import recordings
from tests.redis_server import RedisServer
from timbre_server.voicecache.container_memory import ContainerMemory, host_budget_bytes
from timbre_server.voicecache.slabs import SLAB_BYTES, Slabs

_OPERATED: Final = ROOT / "docs" / "operations.md"
_PROGRAM: Final = next(block.text for block in blocks(_OPERATED) if block.language == "python")
_MIB: Final = 1 << 20
_RECORDING, _FEATURES, _SPEECH = 32_000, 9_600, 52_000
"""Bytes for each second, as the program counts them."""


@pytest.fixture(scope="module")
def printed() -> str:
    """What the program of the page prints."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    return done.stdout


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    assert found, pattern
    return int(found[1])


def test_the_page_shows_what_its_program_prints(printed: str) -> None:
    assert printed in [block.text for block in blocks(_OPERATED)]


def test_the_operator_asks_for_as_much_as_the_program_says(printed: str) -> None:
    service = a_service().with_spec(engine={"name": "embedded"}, redis={"managed": {"maxMemory": "4Gi"}})
    redis_spec = children_of(service)["StatefulSet/narrator-redis"]["spec"]
    claim = redis_spec["volumeClaimTemplates"][0]["spec"]
    pod = container_of(server_pod(service))
    limit = container_of(redis_spec["template"], "redis")["resources"]["limits"]["memory"]
    assert limit == f"{_number(r'([0-9]+) Mi for its container', printed)}Mi"
    assert claim["resources"]["requests"]["storage"] == f"{_number(r'([0-9]+) Mi for its volume', printed)}Mi"
    assert pod["resources"]["requests"]["memory"] == f"{_number(r'request ([0-9]+) Mi', printed)}Mi"


@pytest.mark.parametrize("engine", ["embedded", "pocket-tts", "stub"])
def test_the_program_knows_what_each_engine_takes(engine: str) -> None:
    mebibytes = _number(rf"engine = (\d+) \* MiB  # {engine}" if engine == "embedded" else rf"{engine} (\d+)", _PROGRAM)
    model = {"model": {"path": "/models/any"}} if engine == "pocket-tts" else {}
    pod = container_of(server_pod(a_service().with_spec(engine={"name": engine, **model})))
    assert pod["resources"]["requests"]["memory"] == f"{mebibytes + 128 + 1024 + 64}Mi"


def test_with_the_limit_of_the_program_the_whole_cache_is_used(printed: str) -> None:
    limit = _number(r"limit (\d+) Mi", printed) * _MIB
    assert host_budget_bytes(1024 * _MIB, ContainerMemory(limit, 640 * _MIB)) == 1024 * _MIB
    assert host_budget_bytes(1024 * _MIB, ContainerMemory(limit - 2 * _MIB, 640 * _MIB)) < 1024 * _MIB


def test_as_many_voices_fit_on_a_device_as_the_program_says(printed: str) -> None:
    share = Slabs(_NoMemory(), budget_bytes=0).share_bytes(4 * _MIB)
    assert _number(r"device: (\d+) voices", printed) == 4096 * _MIB // share
    assert SLAB_BYTES == 16 * _MIB


def test_what_speech_costs_follows_from_the_measured_pace() -> None:
    page, readme = (_OPERATED.read_text("utf-8"), (ROOT / "README.md").read_text("utf-8"))
    pace = _number(r"speech over HTTP on one core .*\| (\d+) x real time", readme)
    assert f"real_time = {pace} " in _PROGRAM
    hours = pace * 0.7
    assert f"{pace} times real time" in page
    assert f"makes {int(hours)} hours of speech, and {int(hours / 0.4)} with 60 %" in page


class _NoMemory:
    def allocate(self, nbytes: int) -> Any:
        raise MemoryError(nbytes)

    def free(self, buffer: Any) -> None:
        raise AssertionError(buffer)


@pytest.mark.slow
def test_redis_takes_at_most_what_the_program_counts(redis_server: RedisServer, scope: str) -> None:
    """And for recordings no less than half of it: their FLAC depends on what is said."""
    seconds = spoken_seconds = 0.0
    with LocalServer({"REDIS__URL": redis_server.url, "SCOPE": scope}) as server:
        for name in ("librivox-male", "allison-female", "carlo-male-italian"):
            take = recordings.load(name)
            seconds += len(take.samples) / take.sample_rate_hz
            spoken_seconds += _speak(server, enrol(server, recordings.path(name)))
    # A server that has ended has published all that it made.
    with redis.Redis.from_url(redis_server.url) as client:
        recorded = _bytes(client, f"timbre:1:{{{scope}}}:voice:*") / seconds
        features = _bytes(client, f"timbre:1:features:{scope}:*") / seconds
        speech = _bytes(client, f"timbre:1:result:{scope}:*") / spoken_seconds
    assert _RECORDING / 2 < recorded <= _RECORDING
    assert _FEATURES * 0.9 < features <= _FEATURES
    assert _SPEECH * 0.9 < speech <= _SPEECH


def test_the_program_counts_with_these_bytes() -> None:
    assert f"recordings = voices * seconds * {_RECORDING:_}" in _PROGRAM
    assert f"features = voices * seconds * {_FEATURES:_}" in _PROGRAM
    assert f"features) / {_SPEECH:_} / new_speech" in _PROGRAM


def _bytes(client: redis.Redis, pattern: str) -> int:
    """As Redis counts them: with what its allocator rounds up."""
    keys = list(client.scan_iter(pattern.replace("{", "\\{"), count=1000))
    assert len(keys) == 3
    return sum(client.memory_usage(key, samples=0) or 0 for key in keys)


def _speak(server: LocalServer, voice: str) -> float:
    """Seconds of the speech."""
    text = "The sentence of the page on sizes is said once by each voice, and kept."
    body = json.dumps({"model": "tts-1", "voice": {"id": voice}, "input": text, "response_format": "wav"})
    request = Request(f"{server.url}/v1/audio/speech", body.encode(), {"Content-Type": "application/json"})
    with urlopen(request) as answer:
        return len(answer.read()) / 48_000
