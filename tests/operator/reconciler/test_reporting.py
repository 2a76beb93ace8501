"""When a status is written: at once where something changed, now and then where a number moved, and never at rest."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operator.manifests import a_service
from tests.operator.reconciler.scene import KEY, Scene, a_scene
from timbre_operator.errors import Forbidden, Unavailable
from timbre_operator.observed import Load, RedisFacts, RedisProblem
from timbre_operator.reconciler.reporting import NUMBERS_SECONDS, SETTLING_SECONDS, due_seconds

WELL = RedisFacts(address="redis.shared:6379", version="8.1")
STATUS: dict[str, Any] = {
    "replicas": 1,
    "queueDepth": 3,
    "conditions": [{"type": "Ready", "status": "True"}],
    "autoscaling": {"class": "HPA", "inputs": [{"series": "a", "value": "1", "replicas": 1}]},
}


def _due(there: dict[str, Any], wanted: dict[str, Any], since_write: float = 0.0) -> float | None:
    return due_seconds(there, wanted, written=there, since_write=since_write)


def test_the_same_status_is_not_due() -> None:
    assert _due(STATUS, dict(STATUS)) is None


def test_a_condition_is_due_at_once() -> None:
    assert _due(STATUS, STATUS | {"conditions": [{"type": "Ready", "status": "False"}]}) == 0


def test_a_number_that_moves_all_the_time_is_due_now_and_then() -> None:
    for wanted in (STATUS | {"queueDepth": 9}, STATUS | {"autoscaling": {"class": "HPA", "inputs": []}}):
        assert _due(STATUS, wanted, since_write=5) == NUMBERS_SECONDS - 5
        assert _due(STATUS, wanted, since_write=60) == 0


def test_a_number_that_is_no_longer_known_is_taken_away() -> None:
    wanted = {name: value for name, value in STATUS.items() if name != "queueDepth"}
    assert _due(STATUS, wanted, since_write=60) == 0


def test_a_new_process_takes_away_what_the_one_before_wrote() -> None:
    assert due_seconds(STATUS | {"readyReplicas": 1}, STATUS, written=None, since_write=float("inf")) == 0


def test_a_field_that_somebody_else_wrote_is_left_to_them() -> None:
    assert due_seconds(STATUS | {"readyReplicas": 1}, STATUS, written=STATUS, since_write=60) is None


async def test_at_rest_the_status_is_not_written() -> None:
    scene = await a_scene()
    before = scene.cluster.calls["apply VoiceService/narrator/status"]
    scene.wait(1000)
    await scene.turn()
    assert scene.cluster.calls["apply VoiceService/narrator/status"] == before


async def test_a_status_that_somebody_overwrote_is_written_again() -> None:
    scene = await a_scene()
    service = scene.get("VoiceService")
    scene.cluster.add(service | {"status": service["status"] | {"conditions": []}})
    await scene.turn()
    assert scene.get("VoiceService")["status"]["conditions"]


async def test_the_time_of_a_conditions_last_change_stays_while_its_status_does() -> None:
    scene = await a_scene(a_service().on_external_redis())
    before = scene.condition("Progressing")
    scene.wait(100)
    scene.reconciler.memories[KEY].redis = RedisFacts(address="x", problem=RedisProblem.UNREACHABLE, detail="refused")
    await scene.turn()
    assert scene.condition("RedisReady")["reason"] == "Unreachable"
    assert scene.condition("Progressing") == before


async def test_numbers_under_load_are_written_every_fifteen_seconds() -> None:
    scene = await a_scene()
    scene.wait(60)
    before = scene.cluster.calls["apply VoiceService/narrator/status"]
    for second in range(60):
        scene.loads.of[KEY] = Load(queue_depth=second)
        scene.wait(1)
        await scene.turn()
    assert scene.cluster.calls["apply VoiceService/narrator/status"] - before == 60 / NUMBERS_SECONDS


async def test_a_number_whose_time_has_not_come_is_promised() -> None:
    scene = await a_scene()
    scene.loads.of[KEY] = Load(queue_depth=7)
    assert await scene.turn() is None
    scene.loads.of[KEY] = Load(queue_depth=8)
    assert await scene.turn() == NUMBERS_SECONDS


async def test_a_status_that_is_refused_is_tried_again_later_and_the_children_are_made() -> None:
    scene = Scene(a_service())
    scene.cluster.refuse("apply VoiceService/narrator/status", Forbidden("no right"))
    again = await scene.turn()
    assert again is not None
    assert scene.has("Deployment")
    await scene.turn()
    assert scene.cluster.calls["apply VoiceService/narrator/status"] == 1
    scene.cluster.allow("apply VoiceService/narrator/status")
    scene.wait(10)
    await scene.turn()
    assert "status" in scene.get("VoiceService")


async def test_a_status_whose_answer_was_lost_calls_for_no_turn() -> None:
    scene = Scene(a_service())
    apply = scene.cluster.apply

    async def answer_is_lost(manifest: Any, *, manager: str, subresource: str = "", new: bool = False) -> Any:
        stored = await apply(manifest, manager=manager, subresource=subresource, new=new)
        if subresource == "status":
            raise Unavailable("no answer")
        return stored

    scene.cluster.apply = answer_is_lost  # type: ignore[method-assign]
    await scene.turn()
    scene.cluster.apply = apply  # type: ignore[method-assign]
    for _ in range(3):
        scene.wait(60)
        again = await scene.turn()
    assert again is None or again > 1


async def test_a_service_that_was_made_anew_gets_no_status_that_was_meant_for_the_old_one() -> None:
    scene = await a_scene()
    scene.cluster.told = lambda _type, _manifest: None  # the watch is late
    anew = scene.cluster.objects["VoiceService", "studio", "narrator"]
    anew["metadata"]["uid"] = "another"
    anew["status"] = {}
    scene.reconciler.memories[KEY].redis = RedisFacts(address="x", problem=RedisProblem.UNREACHABLE)
    await scene.turn()
    assert anew["status"] == {}


async def _well_known() -> Scene:
    """A service of which everything is known."""
    scene = await a_scene(a_service().on_external_redis())
    scene.reconciler.memories[KEY].redis = WELL
    scene.loads.of[KEY] = Load(hit_rate_percent=90)
    scene.wait(NUMBERS_SECONDS)
    return await scene.settled()


async def test_a_new_process_leaves_the_status_alone_until_it_knows_as_much() -> None:
    scene = await _well_known()
    before = scene.get("VoiceService")
    scene.begin_anew()
    scene.loads.of.clear()
    for _ in range(5):
        again = await scene.turn()
        assert again is not None
        assert again <= 1
        scene.wait(1)
    scene.reconciler.memories[KEY].redis = WELL
    scene.loads.of[KEY] = Load(hit_rate_percent=90)
    await scene.turn()
    assert scene.get("VoiceService") == before


async def test_a_new_process_does_not_wait_for_ever() -> None:
    scene = await _well_known()
    scene.begin_anew()
    await scene.turn()
    scene.wait(SETTLING_SECONDS)
    await scene.turn()
    assert scene.condition("RedisReady")["status"] == "Unknown"


async def test_a_new_process_says_at_once_what_it_does_about_a_new_spec() -> None:
    scene = await _well_known()
    scene.begin_anew()
    scene.write(a_service().on_external_redis().with_spec(image="registry/other:1"))
    await scene.turn()
    assert scene.get("VoiceService")["status"]["observedGeneration"] == 2


async def test_what_changed_is_announced_once() -> None:
    scene = await a_scene(a_service().on_external_redis())
    scene.cluster.announced.clear()
    scene.reconciler.memories[KEY].redis = RedisFacts(address="x", problem=RedisProblem.AUTH_FAILED, detail="no")
    await scene.turn()
    await scene.turn()
    assert [event.reason for event in scene.cluster.announced].count("RedisAuthFailed") == 1


async def test_an_event_that_cannot_be_posted_stops_nothing() -> None:
    scene = Scene(a_service())
    scene.cluster.refuse("announce", Unavailable("away"))
    await scene.settled()
    assert scene.get("VoiceService")["status"]["conditions"]


async def test_why_no_event_can_be_posted_is_logged_once_for_each_reason(caplog: pytest.LogCaptureFixture) -> None:
    scene = await a_scene(a_service().on_external_redis())
    told = []
    for number, error in enumerate((Forbidden("no"), Forbidden("no"), Unavailable("away"), None, Unavailable("away"))):
        if error is not None:
            scene.cluster.refuse("announce", error)
        elif number:
            scene.cluster.allow("announce")
        problem = RedisProblem.AUTH_FAILED if number % 2 else RedisProblem.FULL
        scene.reconciler.memories[KEY].redis = RedisFacts(address="x", problem=problem, detail="no")
        await scene.turn()
        told.append(caplog.text.count("an event could not be posted"))
    assert told == [1, 1, 2, 2, 3]
