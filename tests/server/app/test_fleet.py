"""Three servers, one Redis: one voice everywhere, replaced everywhere, gone everywhere."""

from __future__ import annotations

import base64
import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack

import pytest
from openai import NotFoundError

from examples.fleet_demo import client, enrol, speak, upload
from examples.local_server import LocalServer
from tests.quality import recordings
from tests.redis_server import RedisServer

HIM, HER = recordings.path("librivox-male"), recordings.path("allison-female")
BOUND_SECONDS = 1.0
"""How long after its acknowledgement a change may go unheard (docs/caching.md)."""


def pod(redis: RedisServer, scope: str, name: str, **settings: str) -> LocalServer:
    """A server of the fleet, to be entered."""
    base = {"ENGINE__NAME": "stub", "REDIS__URL": redis.url, "SCOPE": scope, "POD": name}
    return LocalServer(base | settings)


@pytest.fixture(scope="module")
def pods(redis_server: RedisServer) -> Iterator[list[LocalServer]]:
    """Three pods of one service."""
    with ExitStack() as stack:
        yield [stack.enter_context(pod(redis_server, "fleet.three", f"pod-{name}")) for name in "abc"]


def heard_until(server: LocalServer, voice: str, digest: int) -> float:
    """Seconds until the server speaks otherwise than ``digest``; the bound is the caller's to judge."""
    began = time.monotonic()
    while speak(server, voice).digest == digest:
        assert time.monotonic() - began < 10, "the old voice is still heard"
    return time.monotonic() - began


def test_a_voice_enrolled_at_one_pod_speaks_at_every_other(pods: list[LocalServer]) -> None:
    voice = enrol(pods[0], HER)
    firsts = [speak(server, voice) for server in pods]
    assert [one.tier for one in firsts] == ["host", "redis", "redis"]
    assert {speak(server, voice).tier for server in pods} == {"host"}
    assert len({one.digest for one in firsts}) == 1


def test_a_voice_replaced_at_one_pod_is_heard_anew_at_every_other_within_the_bound(pods: list[LocalServer]) -> None:
    voice = enrol(pods[0], HER)
    before = [speak(server, voice).digest for server in pods]
    assert upload(pods[1], "PUT", voice, HIM)["generation"] == 2
    seconds = [heard_until(server, voice, old) for server, old in zip(pods, before, strict=True)]
    assert max(seconds) <= BOUND_SECONDS
    assert len({speak(server, voice).digest for server in pods}) == 1


def test_a_voice_deleted_at_one_pod_is_gone_everywhere_and_every_pod_says_so(pods: list[LocalServer]) -> None:
    voice = enrol(pods[0], HER)
    for server in pods:
        speak(server, voice)
    erasure = upload(pods[2], "DELETE", voice)["erasure"]
    assert erasure["pods"] == {"acknowledged": ["pod-a", "pod-b", "pod-c"], "expired": [], "unconfirmed": []}
    assert erasure["removed"] == {"record": 1, "recording": 1, "shared_features": 1, "shared_results": 0}
    assert erasure["complete"]
    for server in pods:
        with client(server) as openai, pytest.raises(NotFoundError):
            openai.audio.speech.create(model="tts-1", voice={"id": voice}, input="Still there?")


def test_equal_voices_of_two_scopes_never_meet(redis_server: RedisServer, pods: list[LocalServer]) -> None:
    with pod(redis_server, "fleet.other", "pod-a") as stranger:
        voice = enrol(pods[0], HER)
        with client(stranger) as openai, pytest.raises(NotFoundError):
            openai.audio.speech.create(model="tts-1", voice={"id": voice}, input="Whose voice is it?")
        assert speak(stranger, "alloy", reference_audio=base64.b64encode(HER.read_bytes()).decode()).tier == "extracted"


def test_a_pod_that_is_killed_while_it_extracts_does_not_hang_the_others(redis_server: RedisServer) -> None:
    slow = json.dumps({"encode_fixed_seconds": 20.0})
    lease = {"VOICE_CACHE__LEASE_SECONDS": "0.5"}
    with (
        pod(redis_server, "fleet.kill", "pod-slow", ENGINE__OPTIONS=slow, **lease) as doomed,
        pod(redis_server, "fleet.kill", "pod-quick", **lease) as survivor,
        ThreadPoolExecutor(2) as pool,
    ):
        stuck = pool.submit(enrol, doomed, HIM)
        lease_is_taken(redis_server, "fleet.kill")
        other = pool.submit(enrol, survivor, HIM)
        doomed.stop(signal.SIGKILL)
        assert stuck.exception(timeout=10) is not None
        assert speak(survivor, other.result(timeout=10)).tier == "host"


def test_a_pod_that_died_is_listed_as_expired_in_the_receipt(redis_server: RedisServer) -> None:
    with pod(redis_server, "fleet.dead", "pod-a") as survivor, pod(redis_server, "fleet.dead", "pod-b") as doomed:
        voice = enrol(survivor, HER)
        speak(doomed, voice)
        doomed.stop(signal.SIGKILL)
        erasure = upload(survivor, "DELETE", voice)["erasure"]
    assert (erasure["pods"]["acknowledged"], erasure["pods"]["expired"]) == (["pod-a"], ["pod-b"])


def test_a_pod_that_starts_has_the_hottest_voices_in_memory_before_it_is_ready(redis_server: RedisServer) -> None:
    with pod(redis_server, "fleet.warm", "pod-a") as first:
        voice = enrol(first, HER)
        speak(first, voice)
    # What was counted is written on the way out at the latest.
    with pod(redis_server, "fleet.warm", "pod-b") as second:
        assert speak(second, voice).tier == "host"


def test_a_pod_warms_the_voices_that_it_is_told_to(redis_server: RedisServer) -> None:
    with pod(redis_server, "fleet.list", "pod-a") as first:
        voice = enrol(first, HER)
    with pod(redis_server, "fleet.list", "pod-b", VOICE_CACHE__WARMUP_LIST=voice) as second:
        assert speak(second, voice).tier == "host"


def lease_is_taken(redis: RedisServer, scope: str) -> None:
    """Returns when somebody extracts a voice of that scope."""
    from redis import Redis  # noqa: PLC0415 - the one test that looks into Redis itself

    with Redis.from_url(redis.url) as connection:
        until = time.monotonic() + 10
        while not list(connection.scan_iter(f"timbre:1:lease:{scope}:*")):
            assert time.monotonic() < until, "nobody took the lease"


def test_a_pod_that_slept_through_a_replacement_wakes_up_with_the_new_voice(redis_server: RedisServer) -> None:
    """Its timers are due before it has read a word, and a hundred requests wait: no reason to think that Redis is away."""
    # Whatever the machine makes of its speed while it sleeps, there is room in the queue for sixty.
    strict = {"FRESHNESS__MODE": "strict", "BATCHING__MAX_PENDING_SECONDS": "600"}
    with (
        pod(redis_server, "fleet.sleep", "pod-a") as awake,
        pod(redis_server, "fleet.sleep", "pod-b", **strict) as sleeper,
        ThreadPoolExecutor(60) as pool,
    ):
        voice = enrol(awake, HER)
        old = speak(sleeper, voice).digest
        before = [pool.submit(speak, sleeper, voice) for _ in range(20)]
        before[0].result()
        sleeper.process.send_signal(signal.SIGSTOP)
        try:
            upload(awake, "PUT", voice, HIM)
            waiting = [pool.submit(speak, sleeper, voice) for _ in range(40)]
            # They lie in its sockets, and what it asked Redis before is overdue, when it wakes up.
            wait(waiting, timeout=BOUND_SECONDS + 0.5)
        finally:
            sleeper.process.send_signal(signal.SIGCONT)
        assert old not in {each.result().digest for each in waiting}
