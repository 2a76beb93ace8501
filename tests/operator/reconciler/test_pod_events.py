"""Why pods do not start is asked when they do not start, of the API, and not too often."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.operator.reconciler.scene import KEY, Scene, a_scene
from timbre_contract import labels
from timbre_operator.errors import Forbidden
from timbre_operator.reconciler.pod_events import LOOK_SECONDS


def _pod(name: str, *, ready: bool) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "studio", "uid": name, "labels": labels.selector("narrator", "server"),
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"containers": [{"name": "server", "image": "x"}]},
        "status": {"phase": "Running" if ready else "Pending",
                   "conditions": [{"type": "Ready", "status": str(ready)}]},
    }  # fmt: skip


def _warning(about: str, words: str, *, type_: str = "Warning") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{about}.1", "namespace": "studio"},
        "involvedObject": {"kind": "Pod", "name": about, "uid": about},
        "type": type_,
        "reason": "FailedMount",
        "message": words,
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }


async def _with_redis_serving() -> Scene:
    scene = await a_scene()
    redis = scene.get("StatefulSet", "narrator-redis")
    scene.cluster.add(redis | {"status": {"replicas": 1}})
    return scene


async def test_while_all_serve_nothing_is_asked() -> None:
    scene = await _with_redis_serving()
    scene.wait(60)
    scene.cluster.add(_pod("a", ready=True))
    before = scene.cluster.calls["find Event"]
    await scene.turn()
    assert scene.cluster.calls["find Event"] == before


async def test_what_is_so_new_that_nobody_looked_at_it_is_not_asked_about() -> None:
    scene = await a_scene()
    scene.cluster.add(_pod("a", ready=False) | {"status": {"phase": "Pending"}})
    await scene.turn()
    assert scene.cluster.calls["find Event"] == 0


async def test_a_redis_whose_pod_is_not_made_is_asked_about_once_its_controller_has_looked() -> None:
    scene = await a_scene()
    redis = scene.get("StatefulSet", "narrator-redis")
    scene.cluster.add(redis | {"status": {"replicas": 0, "observedGeneration": 1}})
    await scene.turn()
    assert scene.cluster.calls["find Event"] == 1


async def test_the_apis_words_about_a_pod_that_does_not_start_are_in_the_status() -> None:
    scene = await _with_redis_serving()
    scene.wait(60)
    scene.cluster.add(_pod("a", ready=False))
    scene.cluster.add(_warning("a", 'secret "x" not found'))
    again = await scene.turn()
    assert again is not None
    assert again <= LOOK_SECONDS
    assert 'secret "x" not found' in scene.condition("Ready")["message"]


async def test_news_do_not_ask_again_before_the_answer_is_old() -> None:
    scene = await _with_redis_serving()
    scene.wait(60)
    scene.cluster.add(_pod("a", ready=False))
    before = scene.cluster.calls["find Event"]
    for _ in range(20):
        await scene.turn()
    assert scene.cluster.calls["find Event"] == before + 1
    scene.wait(LOOK_SECONDS)
    await scene.turn()
    assert scene.cluster.calls["find Event"] == before + 2


async def test_what_stays_unclear_is_asked_about_less_and_less_often() -> None:
    scene = await _with_redis_serving()
    scene.wait(60)
    scene.cluster.add(_pod("a", ready=False))
    asked = []
    for _ in range(60):
        before = scene.cluster.calls["find Event"]
        await scene.turn()
        if scene.cluster.calls["find Event"] > before:
            asked.append(scene.seconds)
        scene.wait(5)
    waits = [after - before for before, after in pairwise(asked)]
    assert waits[:5] == [10, 20, 40, 60, 60]


async def test_another_pod_is_asked_about_soon() -> None:
    scene = await _with_redis_serving()
    scene.wait(60)
    scene.cluster.add(_pod("a", ready=False))
    for _ in range(20):
        await scene.turn()
        scene.wait(10)
    before = scene.cluster.calls["find Event"]
    scene.cluster.add(_pod("b", ready=False))
    for _ in range(int(LOOK_SECONDS)):
        await scene.turn()
        scene.wait(1)
    assert scene.cluster.calls["find Event"] == before + 2


async def test_of_what_a_claim_is_told_only_that_nothing_will_come_is_kept() -> None:
    """A claim without class and volume is told so by an event that is no warning to Kubernetes."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "data-narrator-redis-0", "namespace": "studio", "uid": "claim",
            "labels": labels.selector("narrator", "redis"),
        },
        "spec": {"resources": {"requests": {"storage": "4Gi"}}},
        "status": {"phase": "Pending"},
    }  # fmt: skip
    scene = await _with_redis_serving()
    scene.wait(60)
    scene.cluster.add(claim)
    for number, (reason, words) in enumerate(
        [("WaitForFirstConsumer", "waiting for a pod"), ("FailedBinding", "no storage class is set")]
    ):
        event = _warning("claim", words, type_="Normal") | {"reason": reason}
        event["metadata"]["name"] = f"claim.{number}"
        event["involvedObject"] = {"kind": claim["kind"], "name": "data-narrator-redis-0", "uid": "claim"}
        scene.cluster.add(event)
    await scene.turn()
    ready = scene.condition("RedisReady")
    assert (ready["reason"], "no storage class is set" in ready["message"]) == ("VolumePending", True)
    assert "waiting for a pod" not in ready["message"]
    (kept,) = scene.reconciler.memories[KEY].warnings.events
    assert kept["reason"] == "FailedBinding"


async def test_of_many_pods_only_some_are_asked_about() -> None:
    scene = await _with_redis_serving()
    scene.wait(60)
    for number in range(50):
        scene.cluster.add(_pod(f"pod-{number}", ready=False))
    before = scene.cluster.calls["find Event"]
    await scene.turn()
    assert scene.cluster.calls["find Event"] == before + 5


async def test_old_words_are_forgotten_once_all_serve() -> None:
    scene = await _with_redis_serving()
    scene.wait(60)
    scene.cluster.add(_pod("a", ready=False))
    scene.cluster.add(_warning("a", "no such volume"))
    await scene.turn()
    scene.cluster.add(_pod("a", ready=True))
    await scene.turn()
    assert "no such volume" not in str(scene.get("VoiceService")["status"])


async def test_events_that_may_not_be_read_stop_nothing_and_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    scene = await _with_redis_serving()
    scene.wait(60)
    scene.cluster.add(_pod("a", ready=False))
    scene.cluster.refuse("find", Forbidden("no"))
    before = scene.cluster.calls["find Event"]
    for _ in range(3):
        await scene.turn()
        scene.wait(60)
    assert scene.cluster.calls["find Event"] == before + 3
    assert scene.condition("Ready")["status"] == "False"
    assert caplog.text.count("events could not be read") == 1
