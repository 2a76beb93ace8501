"""Two servers, one Redis: what one has said the other does not make, and nothing of it outlives its voice."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
import redis

from examples.fleet_demo import enrol, upload
from examples.local_server import LocalServer
from tests.quality import recordings
from tests.redis_server import RedisServer
from timbre_contract.keys import ServiceKeys

HIM, HER = recordings.path("librivox-male"), recordings.path("allison-female")
SCOPE = f"results-{os.getpid()}.two"
_TEXTS = count(1)


def new_text() -> str:
    """That nobody has said."""
    return f"This is sentence number {next(_TEXTS)}."


# A pod that waits in vain for Redis makes speech alone, and a machine with other work may be slow.
UNHURRIED = {
    "REDIS__CONNECT_TIMEOUT_SECONDS": "5",
    "REDIS__READ_TIMEOUT_SECONDS": "5",
    "REDIS__REQUEST_BUDGET_SECONDS": "10",
}


def a_pod(server: RedisServer, name: str, **settings: str) -> LocalServer:
    base = {"ENGINE__NAME": "stub", "REDIS__URL": server.url, "SCOPE": SCOPE, "POD": name, "LOG__ACCESS": "false"}
    return LocalServer(base | UNHURRIED | settings)


@pytest.fixture(scope="module")
def pods(redis_server: RedisServer) -> Iterator[list[LocalServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(a_pod(redis_server, f"pod-{name}")) for name in "ab"]


@pytest.fixture
def keys(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """What the pods wrote."""
    with redis.Redis.from_url(redis_server.url) as client:
        yield client


@dataclass(frozen=True)
class Said:
    """One answer."""

    cache: str
    audio: bytes
    tag: str


def said(pod: LocalServer, text: str, voice: str = "alloy", *, cache_control: str = "", **extra: str) -> Said:
    body = {"model": "tts-1", "input": text, "voice": voice, "response_format": "wav", **extra}
    headers = {"Content-Type": "application/json", "Cache-Control": cache_control}
    request = urllib.request.Request(f"{pod.url}/v1/audio/speech", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return Said(answer.headers["X-Cache"], answer.read(), answer.headers.get("ETag", ""))


def metric(pod: LocalServer, line: str) -> float:
    with urllib.request.urlopen(f"{pod.admin_url}/metrics") as answer:
        for each in answer.read().decode().splitlines():
            if each.startswith(line + " "):
                return float(each.rpartition(" ")[2])
    return 0.0


def synthesised(*pods: LocalServer) -> float:
    """How many sentences their engines have taken."""
    return sum(metric(pod, "timbre_batch_size_sum") for pod in pods)


def until_shared(keys: redis.Redis, results: int) -> None:
    """Returns when so many speeches of this scope are shared: publishing is nobody's wait."""
    began = time.monotonic()
    while len(list(keys.scan_iter(f"timbre:1:result:{SCOPE}:*", count=10_000))) < results:
        assert time.monotonic() - began < 20, "nothing was published"


def shared(keys: redis.Redis) -> int:
    return len(list(keys.scan_iter(f"timbre:1:result:{SCOPE}:*", count=10_000)))


def test_said_at_one_is_a_hit_at_the_other(pods: list[LocalServer], keys: redis.Redis) -> None:
    text, before = new_text(), shared(keys)
    first = said(pods[0], text)
    until_shared(keys, before + 1)
    made = synthesised(*pods)
    second, third = said(pods[1], text), said(pods[1], text, response_format="mp3")
    assert [one.cache for one in (first, second, third)] == ["miss", "hit", "hit"]
    assert first.audio == second.audio
    assert first.tag == second.tag
    assert synthesised(*pods) == made


def test_forty_equal_requests_at_once_at_both_are_one_synthesis(pods: list[LocalServer]) -> None:
    text, made = new_text(), synthesised(*pods)
    with ThreadPoolExecutor(40) as clients:
        answers = [future.result() for future in [clients.submit(said, pods[n % 2], text) for n in range(40)]]
    assert synthesised(*pods) == made + 1
    assert [one.cache for one in answers].count("miss") == 1
    assert len({one.audio for one in answers}) == 1
    assert len({one.tag for one in answers}) == 1


def test_a_new_take_at_one_is_soon_heard_at_the_other(pods: list[LocalServer], keys: redis.Redis) -> None:
    text, before = new_text(), shared(keys)
    old = said(pods[0], text)
    until_shared(keys, before + 1)
    assert said(pods[1], text).tag == old.tag
    new = said(pods[0], text, cache_control="no-cache")
    assert new.tag != old.tag
    began = time.monotonic()
    while said(pods[1], text).tag != new.tag:
        assert time.monotonic() - began < 20, "the old take is still heard"


def test_what_leaves_no_trace_is_nowhere_in_redis(pods: list[LocalServer], keys: redis.Redis) -> None:
    before = set(keys.scan_iter(f"timbre:1:result*:{SCOPE}:*", count=10_000))
    assert said(pods[0], new_text(), cache_control="no-store").cache == "bypass"
    assert set(keys.scan_iter(f"timbre:1:result*:{SCOPE}:*", count=10_000)) == before


def test_no_key_and_no_value_holds_the_text(pods: list[LocalServer], keys: redis.Redis) -> None:
    before = shared(keys)
    said(pods[0], "Nobody shall read this xylophone.")
    until_shared(keys, before + 1)
    for key in keys.scan_iter("timbre:1:result*", count=10_000):
        assert b"xylophone" not in key
        if keys.type(key) == b"string":
            assert b"xylophone" not in (keys.get(key) or b"")


def test_a_private_text_leaves_no_trace_in_redis(pods: list[LocalServer], keys: redis.Redis) -> None:
    before = set(keys.scan_iter(f"timbre:1:result*:{SCOPE}:*", count=10_000))
    answers = [said(pods[0], "Please call 555 123 4567 at once.") for _ in range(2)]
    assert [one.cache for one in answers] == ["bypass", "bypass"]
    assert set(keys.scan_iter(f"timbre:1:result*:{SCOPE}:*", count=10_000)) == before


def test_servers_with_one_key_share_what_lies_encrypted_in_redis(
    redis_server: RedisServer, keys: redis.Redis, tmp_path: Path
) -> None:
    key_file = tmp_path / "key"
    key_file.write_bytes(base64.b64encode(os.urandom(32)))
    text, before = new_text(), shared(keys)
    with ExitStack() as stack:
        sealed = [
            stack.enter_context(a_pod(redis_server, f"pod-sealed-{n}", RESULT_CACHE__KEY_FILE=str(key_file)))
            for n in range(2)
        ]
        assert said(sealed[0], text).cache == "miss"
        until_shared(keys, before + 1)
        assert said(sealed[1], text).cache == "hit"
    assert not any(
        b"WAVE" in (keys.get(key) or b"")
        for key in keys.scan_iter(f"timbre:1:result:{SCOPE}:*", count=10_000)
        if (keys.get(key) or b"").startswith(b"timbre\x01")
    )


def test_a_replaced_voice_is_a_miss_at_both_and_a_deleted_one_leaves_nothing(
    pods: list[LocalServer], keys: redis.Redis
) -> None:
    voice, text, before = enrol(pods[0], HER), new_text(), shared(keys)
    old = said(pods[0], text, voice)
    until_shared(keys, before + 1)
    assert said(pods[1], text, voice).cache == "hit"
    upload(pods[1], "PUT", voice, HIM)
    new = [said(pod, text, voice) for pod in pods]
    assert new[0].audio == new[1].audio != old.audio
    assert sorted(one.cache for one in new) in (["hit", "miss"], ["coalesced", "miss"])
    said(pods[1], new_text(), voice)
    until_shared(keys, before + 2)
    erasure = upload(pods[1], "DELETE", voice)["erasure"]
    assert erasure["removed"]["shared_results"] == 2
    assert (erasure["complete"], erasure["pods"]["unconfirmed"]) == (True, [])
    assert shared(keys) == before
    for pod in pods:
        with pytest.raises(urllib.error.HTTPError, match="404") as unknown:
            said(pod, text, voice)
        unknown.value.close()
    assert list(keys.scan_iter(f"timbre:1:results:{SCOPE}:*", count=10_000)) == []


def test_pods_that_look_for_similar_texts_share_them_and_a_private_one_is_like_none(
    redis_server: RedisServer, keys: redis.Redis
) -> None:
    text, before = f"{new_text()} He ate 3 apples.", shared(keys)
    with ExitStack() as stack:
        choosers = [
            stack.enter_context(a_pod(redis_server, f"pod-similar-{n}", RESULT_CACHE__SIMILAR_TEXT="true"))
            for n in range(2)
        ]
        voice = enrol(choosers[0], HER)
        assert said(choosers[0], text, voice).cache == "miss"
        until_shared(keys, before + 2)
        like_it = text.lower().replace(" 3 ", " three ").removesuffix(".")
        assert said(choosers[1], like_it, voice).cache == "similar"
        private = [said(choosers[0], text).cache for text in ("Mail ann@example.org, now.", "mail ann@example.org now")]
        assert private == ["bypass", "bypass"]
        erasure = upload(choosers[1], "DELETE", voice)["erasure"]
        assert (erasure["removed"]["shared_results"], erasure["complete"]) == (2, True)
    assert shared(keys) == before


def test_when_the_pod_that_speaks_for_all_is_killed_another_one_takes_over(
    redis_server: RedisServer, keys: redis.Redis
) -> None:
    text = new_text()
    slow = {"ENGINE__OPTIONS": '{"fixed_seconds": 600}', "RESULT_CACHE__LEASE_SECONDS": "0.5"}
    quick = {"RESULT_CACHE__LEASE_SECONDS": "0.5"}
    with ExitStack() as stack:
        clients = stack.enter_context(ThreadPoolExecutor(2))
        doomed = stack.enter_context(a_pod(redis_server, "pod-doomed", **slow))
        heir = stack.enter_context(a_pod(redis_server, "pod-heir", **quick))
        lost: Future[Said] = clients.submit(said, doomed, text)
        lease = f"timbre:1:result_lease:{SCOPE}:*"
        while not list(keys.scan_iter(lease, count=10_000)):
            assert not lost.done()
        waiting = clients.submit(said, heir, text)
        key = next(keys.scan_iter(lease, count=10_000))
        while not keys.hexists(key, "awaited"):
            assert not waiting.done()
        doomed.stop(signal.SIGKILL)
        assert waiting.result().cache == "miss"
        with pytest.raises(OSError):
            lost.result()


def test_while_redis_is_away_what_was_said_here_is_a_hit_and_the_rest_is_made() -> None:
    server = RedisServer()
    text = new_text()
    with a_pod(server, "pod-alone") as pod:
        assert said(pod, text).cache == "miss"
        server.close()
        assert [said(pod, text).cache, said(pod, new_text()).cache] == ["hit", "miss"]


def test_the_keys_are_those_of_the_contract(pods: list[LocalServer], keys: redis.Redis) -> None:
    before = shared(keys)
    said(pods[0], new_text())
    until_shared(keys, before + 1)
    name = next(keys.scan_iter(f"timbre:1:result:{SCOPE}:*", count=10_000)).decode()
    assert name == ServiceKeys(SCOPE).result(name.partition("{")[2].removesuffix("}"))
    assert 0 < keys.ttl(name) <= 24 * 3600
