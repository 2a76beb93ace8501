"""Turns: what is there becomes what is wanted, once, whatever fails in between."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operator.desired.children import EVERY_KIND, children_of
from tests.operator.manifests import a_service
from tests.operator.reconciler.scene import KEY, Scene, a_scene
from timbre_operator.errors import Conflict, Forbidden, Invalid, NotLeading, Unavailable
from timbre_operator.observed import Failure, Load
from timbre_operator.reconciler.steps import CHANGE_CAUSE


async def test_one_turn_makes_every_child_and_a_second_one_writes_nothing() -> None:
    scene = Scene(a_service())
    await scene.turn()
    for child in children_of(a_service(), kinds=EVERY_KIND).values():
        assert scene.has(child["kind"], child["metadata"]["name"])
    before = scene.cluster.writes()
    await scene.turn()
    assert scene.cluster.writes() == before


async def test_at_rest_nothing_is_asked_but_why_pods_do_not_start() -> None:
    scene = await a_scene()
    calls = scene.cluster.calls.copy()
    await scene.turn()
    assert scene.cluster.calls == calls


async def test_a_service_that_is_gone_has_nothing_left_to_do() -> None:
    scene = Scene()
    assert await scene.turn() is None
    assert not scene.cluster.calls


async def test_a_service_on_its_way_out_is_left_to_the_garbage_collector() -> None:
    scene = await a_scene()
    leaving = scene.get("VoiceService")
    scene.cluster.add(leaving | {"metadata": {**leaving["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}})
    scene.cluster.remove("Deployment", KEY.namespace, KEY.name)
    before = scene.cluster.writes()
    await scene.turn()
    assert scene.cluster.writes() == before


async def test_one_that_is_made_anew_between_two_turns_inherits_nothing() -> None:
    scene = await a_scene()
    before = scene.reconciler.memories[KEY]
    for kind, namespace, name in list(scene.cluster.objects):
        scene.cluster.remove(kind, namespace, name)
    manifest = a_service().manifest
    scene.cluster.add(manifest | {"metadata": {**manifest["metadata"], "uid": "another", "generation": 1}})
    await scene.settled()
    assert scene.reconciler.memories[KEY] is not before
    assert scene.drift("Service") == 0


async def test_what_somebody_deletes_is_made_again_and_counted() -> None:
    scene = await a_scene()
    scene.cluster.remove("Service", KEY.namespace, KEY.name)
    await scene.turn()
    assert scene.has("Service")
    assert scene.drift("Service") == 1


async def test_what_somebody_changes_is_put_right_and_counted() -> None:
    scene = await a_scene()
    policy = scene.get("NetworkPolicy")
    scene.cluster.add(policy | {"spec": policy["spec"] | {"ingress": []}})
    await scene.turn()
    assert scene.get("NetworkPolicy")["spec"]["ingress"]
    assert scene.drift("NetworkPolicy") == 1


async def test_what_the_user_changes_is_no_drift() -> None:
    scene = await a_scene()
    scene.write(a_service().with_spec(image="registry/other:1"))
    await scene.turn()
    assert scene.drift("Deployment") == 0


async def test_a_changed_pod_template_says_which_field_began_the_rollout() -> None:
    scene = await a_scene()
    scene.write(a_service().with_spec(image="registry/other:1"))
    await scene.turn()
    cause = scene.get("Deployment")["metadata"]["annotations"][CHANGE_CAUSE]
    assert cause.startswith('spec.template.spec.containers[server].image: "registry/other:1", was ')
    assert cause in scene.condition("Progressing")["message"]
    await scene.settled()


async def test_a_step_that_is_refused_stops_no_other_one() -> None:
    scene = Scene(a_service())
    scene.cluster.refuse("apply Service/narrator-redis", Invalid("no"))
    await scene.turn()
    assert scene.has("Deployment")
    assert scene.has("HorizontalPodAutoscaler")
    assert not scene.has("Service", "narrator-redis")
    assert "no" in scene.condition("Degraded")["message"]


async def test_a_refused_step_is_not_sent_again_by_every_event_but_after_a_while() -> None:
    scene = Scene(a_service())
    scene.cluster.refuse("apply Service/narrator-redis", Forbidden("exceeded quota: services"))
    again = await scene.turn()
    assert again is not None
    for _ in range(10):
        await scene.turn()
    assert scene.cluster.calls["apply Service/narrator-redis"] == 1
    assert scene.condition("Degraded")["reason"] == "QuotaExceeded"

    scene.cluster.allow("apply Service/narrator-redis")
    scene.wait(6)
    await scene.turn()
    assert scene.has("Service", "narrator-redis")
    assert scene.condition("Degraded")["status"] == "False"


async def test_another_wish_is_tried_at_once() -> None:
    scene = await a_scene()
    scene.cluster.refuse("apply Deployment/narrator", Invalid("no such field"))
    scene.write(a_service().with_spec(image="registry/a:1"))
    await scene.turn()
    scene.cluster.allow("apply Deployment/narrator")
    scene.write(a_service().with_spec(image="registry/b:1"))
    await scene.turn()
    assert scene.get("Deployment")["spec"]["template"]["spec"]["containers"][0]["image"] == "registry/b:1"


async def test_a_conflict_is_tried_again_soon() -> None:
    scene = Scene(a_service())
    scene.cluster.refuse("apply Service/narrator", Conflict("somebody was faster"))
    again = await scene.turn()
    assert again is not None
    assert again < 1


async def test_an_api_server_that_is_away_leaves_the_turn_to_be_tried_again() -> None:
    scene = Scene(a_service())
    for call in ("apply", "create", "fetch"):
        scene.cluster.refuse(call, Unavailable("away"))
    again = await scene.turn()
    assert again is not None
    assert again < 1
    for call in ("apply", "create", "fetch"):
        scene.cluster.allow(call)
    scene.wait(5)
    await scene.settled()
    assert scene.has("Deployment")


async def test_what_is_made_anew_is_asked_to_leave_once_and_made_when_it_is_gone() -> None:
    """Its pod stays; a pod's owner is let go by a controller, and that takes a moment."""
    scene = await a_scene()
    before = scene.get("StatefulSet", "narrator-redis")
    delete, orphans = scene.cluster.delete, 0

    async def takes_a_while(manifest: Any, *, orphan: bool = False) -> None:
        nonlocal orphans
        orphans += orphan

    scene.cluster.delete = takes_a_while  # type: ignore[method-assign]
    scene.write(a_service().with_spec(redis={"managed": {"storage": {"size": "8Gi"}}}))
    for _ in range(3):
        await scene.turn()
    assert orphans == 1
    await delete(before)
    await scene.settled()
    assert scene.get("StatefulSet", "narrator-redis")["metadata"]["uid"] != before["metadata"]["uid"]
    assert scene.drift("StatefulSet") == 0


async def test_what_lost_its_labels_is_made_anew_too_where_it_cannot_be_changed() -> None:
    scene = await a_scene()
    found = scene.get("StatefulSet", "narrator-redis")
    bare = found | {"metadata": {name: v for name, v in found["metadata"].items() if name != "labels"}}
    scene.cluster.objects["StatefulSet", "studio", "narrator-redis"] = bare
    scene.live.gone(found | {"metadata": {**found["metadata"], "resourceVersion": "9999"}})
    scene.write(a_service().with_spec(redis={"managed": {"storage": {"size": "8Gi"}}}))
    await scene.turn()
    assert not scene.has("StatefulSet", "narrator-redis")


@pytest.mark.parametrize("kind", ["ScaledObject", "HorizontalPodAutoscaler"])
async def test_an_autoscaler_that_cannot_be_removed_gets_no_second_one_beside_it(kind: str) -> None:
    before, after = ("KEDA", "HPA") if kind == "ScaledObject" else ("HPA", "KEDA")
    scene = await a_scene(a_service().scaled_by(before))
    scene.cluster.refuse(f"delete {kind}/narrator", Forbidden("no"))
    scene.write(a_service().scaled_by(after))
    await scene.turn()
    assert scene.has(kind)
    assert not scene.has("ScaledObject" if kind != "ScaledObject" else "HorizontalPodAutoscaler")


async def test_replicas_are_handed_over_before_they_are_dropped() -> None:
    scene = await a_scene(a_service().scaled_by("None").with_spec(replicas=4))
    scene.write(a_service().scaled_by("HPA").with_spec(replicas=4))
    await scene.settled()
    assert scene.get("Deployment")["spec"]["replicas"] == 4
    assert scene.has("HorizontalPodAutoscaler")


async def test_replicas_that_cannot_be_handed_over_are_not_dropped() -> None:
    scene = await a_scene(a_service().scaled_by("None").with_spec(replicas=4))
    scene.cluster.refuse_once("apply Deployment/narrator", Unavailable("away"))
    scene.write(a_service().scaled_by("HPA").with_spec(replicas=4))
    await scene.turn()
    assert scene.get("Deployment")["spec"]["replicas"] == 4
    scene.wait(5)
    await scene.settled()
    assert scene.get("Deployment")["spec"]["replicas"] == 4


async def test_with_class_none_the_users_number_counts_whatever_ran_before() -> None:
    scene = await a_scene()
    deployment = scene.get("Deployment")
    scene.cluster.add(deployment | {"spec": deployment["spec"] | {"replicas": 5}})  # the autoscaler did
    await scene.settled()
    assert scene.get("Deployment")["spec"]["replicas"] == 5
    scene.write(a_service().scaled_by("None").with_spec(replicas=2))
    await scene.settled()
    assert scene.get("Deployment")["spec"]["replicas"] == 2
    assert not scene.has("HorizontalPodAutoscaler")


async def test_a_service_that_cannot_be_read_is_left_as_it_is_and_says_so() -> None:
    scene = await a_scene()
    broken = scene.get("VoiceService")
    scene.cluster.add(broken | {"spec": {"replicas": "many"}})
    before = dict(scene.cluster.objects)
    await scene.turn()
    assert scene.condition("Ready")["reason"] == "InvalidSpec"
    assert all(scene.cluster.objects[key] == item for key, item in before.items() if key[0] != "VoiceService")


async def test_a_kind_that_may_not_be_listed_is_said() -> None:
    scene = Scene(a_service())
    message = 'secrets is forbidden: User "x" cannot list resource "secrets" in API group "" in the namespace "studio"'
    scene.surroundings.failures = (Failure(kind="Secret", name="", reason="Forbidden", message=message),)
    await scene.settled()
    assert scene.condition("Degraded")["reason"] == "RightMissing"
    assert "list secrets" in scene.condition("Degraded")["message"]


async def test_a_conflict_is_an_error_only_when_it_comes_back() -> None:
    """The first one says that the object changed since it was looked at, and the next turn sees how."""
    scene = Scene(a_service())
    scene.cluster.refuse("apply Deployment/narrator", Conflict("the object has been modified"))
    counted = []
    for _ in range(2):
        await scene.turn()
        counted.append(_turns(scene, "error"))
        scene.wait(60)
    scene.cluster.allow("apply Deployment/narrator")
    await scene.turn()
    assert counted == [0, 1]
    assert _turns(scene, "ok") == 2


def _turns(scene: Scene, result: str) -> float | None:
    return scene.metrics.registry.get_sample_value("timbre_operator_reconcile_total", {"result": result})


async def test_a_lost_lease_ends_the_turn_at_its_next_write() -> None:
    scene = Scene(a_service())
    scene.cluster.refuse("apply ConfigMap/narrator-redis", NotLeading("lost"))
    with pytest.raises(NotLeading):
        await scene.turn()
    assert not scene.has("Deployment")


async def test_the_load_is_in_the_status() -> None:
    scene = await a_scene()
    scene.loads.of[KEY] = Load(queue_depth=7, hit_rate_percent=93)
    scene.wait(20)
    await scene.turn()
    status = scene.get("VoiceService")["status"]
    assert (status["queueDepth"], status["hitRatePercent"]) == (7, 93)
