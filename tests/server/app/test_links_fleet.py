"""Two servers with one key for links: what one gave a link to is heard at the other, until its voice is replaced."""

from __future__ import annotations

import base64
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from examples.fleet_demo import enrol, upload
from examples.local_server import LocalServer
from tests.redis_server import RedisServer
from tests.server.app.test_results_fleet import HER, HIM, a_pod, new_text, shared, until_shared


@pytest.fixture
def pods(redis_server: RedisServer, tmp_path: Path) -> Iterator[list[LocalServer]]:
    keys = tmp_path / "keys"
    keys.write_bytes(base64.b64encode(os.urandom(32)))
    options = {"RESULT_CACHE__LINK_KEYS_FILE": str(keys), "LOG__ACCESS": "true", "LOG__LEVEL": "debug"}
    with ExitStack() as stack:
        yield [stack.enter_context(a_pod(redis_server, f"pod-link-{name}", **options)) for name in "ab"]


def said(pod: LocalServer, text: str, voice: str) -> tuple[str, bytes]:
    """The link, and the speech."""
    body = {"model": "tts-1", "input": text, "voice": voice, "response_format": "wav"}
    request = urllib.request.Request(
        f"{pod.url}/v1/audio/speech", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.headers["Content-Location"], answer.read()


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_link_of_one_server_is_good_at_the_other_until_its_voice_is_replaced(
    pods: list[LocalServer], redis_server: RedisServer
) -> None:
    voice = enrol(pods[0], HER)
    with redis.Redis.from_url(redis_server.url) as client:
        before = shared(client)
        link, speech = said(pods[0], new_text(), voice)
        until_shared(client, before + 1)
    with urllib.request.urlopen(pods[1].url + link, timeout=60) as answer:
        assert answer.read() == speech
    upload(pods[1], "PUT", voice, HIM)
    for pod in reversed(pods):
        began = time.monotonic()
        while status(pod.url + link) != 404:  # at most a second, where others were told
            assert time.monotonic() - began < 20, "the old voice is still heard"
    upload(pods[0], "DELETE", voice)
    for pod in pods:
        pod.stop()
    path, _, signature = link.rpartition("=")
    told = "\n".join(str(line) for pod in pods for line in pod.lines)
    assert "/v1/audio/speech/results/{link}" in told
    assert signature not in told
    assert path.partition("results/")[2].partition(".")[0] not in told
