"""What has the name of a child and is not known to be one is neither taken over nor lost."""

from __future__ import annotations

from typing import Any

from tests.operator.manifests import a_service
from tests.operator.reconciler.scene import KEY, Scene, a_scene
from timbre_operator.errors import Conflict, Unavailable
from timbre_operator.ports import Kind

THEIRS: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": KEY.name, "namespace": KEY.namespace},
}


def _without_labels(scene: Scene) -> None:
    """Somebody took the labels of our Service away, and so watches tell that it is gone."""
    service = scene.get("Service")
    bare = service | {"metadata": {name: v for name, v in service["metadata"].items() if name != "labels"}}
    scene.cluster.objects["Service", KEY.namespace, KEY.name] = bare
    scene.live.gone(service | {"metadata": {**service["metadata"], "resourceVersion": "9999"}})


async def test_of_a_new_service_no_name_is_looked_up_before_its_child_is_made() -> None:
    """The API server says it where one is taken; a dozen questions would come before a dozen writes."""
    scene = Scene(a_service())
    await scene.turn()
    assert scene.has("Deployment")
    assert not [call for call in scene.cluster.calls if call.startswith("fetch")]


async def test_somebody_elses_object_is_not_taken_over_and_said() -> None:
    scene = Scene(a_service())
    scene.cluster.add(THEIRS)
    await scene.settled()
    assert "ownerReferences" not in scene.get("Service")["metadata"]
    assert scene.condition("Degraded")["reason"] == "NameTaken"
    assert scene.has("Deployment")

    scene.cluster.remove("Service", "studio", "narrator")
    await scene.settled()
    assert scene.get("Service")["metadata"]["ownerReferences"][0]["uid"] == "0a1b2c3d"
    assert scene.condition("Degraded")["status"] == "False"


async def test_a_name_that_is_taken_is_looked_up_and_tried_no_more() -> None:
    scene = Scene(a_service())
    scene.cluster.add(THEIRS)
    for _ in range(10):
        await scene.turn()
        scene.wait(60)
    assert scene.cluster.calls["apply Service/narrator"] == 1
    assert scene.cluster.calls["fetch Service/narrator"] == 9


async def test_an_object_that_somebody_makes_between_the_look_and_the_write_stays_theirs() -> None:
    scene = await a_scene()
    scene.cluster.remove("Service", KEY.namespace, KEY.name)
    fetch = scene.cluster.fetch

    async def somebody_is_faster(kind: Kind, namespace: str, name: str) -> Any:
        found = await fetch(kind, namespace, name)
        if kind.kind == "Service" and name == KEY.name and found is None:
            scene.cluster.add(THEIRS)
        return found

    scene.cluster.fetch = somebody_is_faster  # type: ignore[method-assign]
    await scene.turn()
    assert "ownerReferences" not in scene.get("Service")["metadata"]
    assert scene.condition("Degraded")["status"] == "False"
    scene.wait(1)
    await scene.turn()
    assert "ownerReferences" not in scene.get("Service")["metadata"]
    assert scene.condition("Degraded")["reason"] == "NameTaken"


async def test_an_object_that_took_the_place_of_ours_a_moment_ago_stays_theirs() -> None:
    scene = await a_scene()
    metadata = {**THEIRS["metadata"], "uid": "x"}
    scene.cluster.objects["Service", KEY.namespace, KEY.name] = {**THEIRS, "metadata": metadata}
    ours = scene.live.find("Service", KEY.namespace, KEY.name)
    assert ours is not None
    scene.live.put(ours | {"spec": {}, "metadata": ours["metadata"] | {"resourceVersion": "9999"}})
    await scene.turn()
    assert scene.get("Service")["metadata"]["uid"] == "x"
    assert "spec" not in scene.get("Service")


async def test_a_name_that_was_lost_to_somebody_else_calls_for_no_turn() -> None:
    scene = Scene(a_service())
    scene.cluster.refuse_once("apply Service/narrator", Conflict("somebody was faster"))
    await scene.turn()
    scene.cluster.add(THEIRS)
    scene.wait(60)
    again = await scene.turn()
    assert scene.condition("Degraded")["reason"] == "NameTaken"
    assert again is None or again > 1


async def test_a_name_that_cannot_be_looked_up_is_not_written() -> None:
    """Of a child that was there: it may still be, without our labels."""
    scene = await a_scene()
    for kind in ("Service", "Deployment"):
        scene.cluster.remove(kind, KEY.namespace, KEY.name)
    scene.cluster.refuse("fetch Service/narrator", Unavailable("away"))
    again = await scene.turn()
    assert not scene.has("Service")
    assert scene.has("Deployment")
    assert again is not None
    assert again < 1
    for _ in range(10):
        await scene.turn()
    assert scene.cluster.calls["fetch Service/narrator"] == 1

    scene.cluster.allow("fetch Service/narrator")
    scene.wait(1)
    await scene.turn()
    assert scene.has("Service")


async def test_one_of_our_own_that_lost_its_labels_gets_them_back() -> None:
    """Watches no longer tell of it; it must be neither lost nor taken for somebody else's."""
    scene = await a_scene()
    _without_labels(scene)
    await scene.turn()
    assert scene.get("Service")["metadata"]["labels"]


async def test_a_new_process_finds_one_of_our_own_that_lost_its_labels() -> None:
    scene = await a_scene()
    _without_labels(scene)
    scene.begin_anew()
    again = await scene.turn()
    assert again is not None
    assert again < 1
    await scene.turn()
    assert scene.get("Service")["metadata"]["labels"]
    assert scene.condition("Degraded")["status"] == "False"
