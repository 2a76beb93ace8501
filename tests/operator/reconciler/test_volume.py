"""The volume of a managed Redis grows with the spec, and never shrinks."""

from __future__ import annotations

from typing import Any

from tests.operator.manifests import AService, a_service
from tests.operator.reconciler.scene import Scene, a_scene
from timbre_contract import labels
from timbre_operator.errors import Forbidden

CLAIM = "data-narrator-redis-0"


def _sized(size: str) -> AService:
    return a_service().with_spec(redis={"managed": {"maxMemory": "1Gi", "storage": {"size": size}}})


def _claim(size: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CLAIM, "namespace": "studio", "labels": labels.selector("narrator", "redis")},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
    }


async def _with_claim(written: str, claimed: str) -> Scene:
    scene = await a_scene(_sized(written))
    scene.cluster.add(_claim(claimed))
    return await scene.settled()


def _asked(scene: Scene) -> str:
    return str(scene.get("PersistentVolumeClaim", CLAIM)["spec"]["resources"]["requests"]["storage"])


def _template(scene: Scene) -> str:
    (template,) = scene.get("StatefulSet", "narrator-redis")["spec"]["volumeClaimTemplates"]
    return str(template["spec"]["resources"]["requests"]["storage"])


async def test_a_claim_that_is_large_enough_is_left_alone() -> None:
    scene = await _with_claim("4Gi", "4096Mi")
    assert _asked(scene) == "4096Mi"


async def test_a_claim_grows_with_the_spec_and_its_template_too() -> None:
    scene = await _with_claim("4Gi", "4Gi")
    scene.write(_sized("8Gi"))
    await scene.settled()
    assert _asked(scene) == "8Gi"
    assert _template(scene) == "8Gi"


async def test_a_claim_that_somebody_made_larger_stays_so() -> None:
    scene = await _with_claim("4Gi", "16Gi")
    assert _asked(scene) == "16Gi"
    assert _template(scene) == "16384Mi"


async def test_growth_that_is_refused_is_said_and_tried_again_later() -> None:
    scene = await _with_claim("4Gi", "4Gi")
    call = f"apply PersistentVolumeClaim/{CLAIM}"
    words = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
    scene.cluster.refuse(call, Forbidden(words))
    scene.write(_sized("8Gi"))
    await scene.turn()
    await scene.turn()
    assert scene.cluster.calls[call] == 1
    assert "must support resize" in scene.condition("Degraded")["message"]
    scene.cluster.allow(call)
    scene.wait(10)
    await scene.settled()
    assert _asked(scene) == "8Gi"
    assert scene.condition("Degraded")["status"] == "False"


async def test_a_claim_that_is_made_anew_gets_no_growth_that_was_meant_for_the_old_one() -> None:
    scene = await _with_claim("4Gi", "4Gi")
    scene.cluster.told = lambda _type, _manifest: None  # the watch is late
    scene.cluster.objects["PersistentVolumeClaim", "studio", CLAIM]["metadata"]["uid"] = "another"
    scene.live.put(scene.get("VoiceService") | _sized("8Gi").manifest | {
        "metadata": {**scene.get("VoiceService")["metadata"], "resourceVersion": "99999"}
    })  # fmt: skip
    await scene.turn()
    assert _asked(scene) == "4Gi"


async def test_a_claim_on_its_way_out_is_not_asked_to_grow() -> None:
    scene = await _with_claim("4Gi", "4Gi")
    claim = scene.get("PersistentVolumeClaim", CLAIM)
    scene.cluster.add(claim | {"metadata": {**claim["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}})
    scene.write(_sized("8Gi"))
    await scene.settled()
    assert _asked(scene) == "4Gi"
