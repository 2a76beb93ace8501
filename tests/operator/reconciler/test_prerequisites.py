"""Passwords are made once; Secrets of others are read and never guessed."""

from __future__ import annotations

import base64

from tests.operator.manifests import a_service
from tests.operator.reconciler.scene import KEY, Scene, a_scene
from timbre_contract import labels
from timbre_operator.errors import Forbidden, Unavailable
from timbre_operator.ports import RedisTarget

REDIS = "narrator-redis"
EXTERNAL = a_service().on_external_redis(passwordSecretRef={"name": "shared"})


def _secret(password: str = "hunter2") -> dict[str, object]:
    data = {"password": base64.b64encode(password.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shared", "namespace": "studio"}, "data": data}


def _checksum(scene: Scene) -> str:
    annotations = scene.get("Deployment")["spec"]["template"]["metadata"].get("annotations") or {}
    return str(annotations.get(labels.CONFIG_CHECKSUM_ANNOTATION, ""))


async def test_passwords_are_long_and_differ() -> None:
    scene = await a_scene()
    data = scene.get("Secret", REDIS)["data"]
    assert len(set(data.values())) == 2
    assert all(len(base64.b64decode(value)) >= 43 for value in data.values())


async def test_passwords_stay_whatever_is_converged_again() -> None:
    scene = await a_scene()
    before = scene.get("Secret", REDIS)["data"]
    scene.write(a_service().with_spec(redis={"managed": {"maxMemory": "2Gi"}}))
    await scene.settled()
    assert scene.get("Secret", REDIS)["data"] == before
    assert scene.cluster.calls[f"create Secret/{REDIS}"] == 1


async def test_another_operator_that_was_faster_with_the_passwords_wins() -> None:
    scene, other = Scene(a_service()), await a_scene()
    theirs = other.get("Secret", REDIS)
    scene.cluster.objects["Secret", "studio", REDIS] = dict(theirs)
    await scene.settled()
    assert scene.get("Secret", REDIS)["data"] == theirs["data"]
    assert scene.get("Secret", f"{REDIS}-acl")["data"] == other.get("Secret", f"{REDIS}-acl")["data"]


async def test_without_passwords_what_needs_them_waits_and_the_rest_is_made() -> None:
    scene = Scene(a_service())
    scene.cluster.refuse(f"create Secret/{REDIS}", Forbidden('cannot create resource "secrets" in API group ""'))
    await scene.turn()
    assert not scene.has("StatefulSet", REDIS)
    assert not scene.has("Secret", f"{REDIS}-acl")
    assert scene.has("Deployment")
    assert scene.condition("Degraded")["reason"] == "RightMissing"
    scene.cluster.allow(f"create Secret/{REDIS}")
    scene.wait(10)
    await scene.settled()
    assert scene.has("StatefulSet", REDIS)


async def test_passwords_that_are_refused_are_not_asked_for_by_every_event() -> None:
    scene = Scene(a_service())
    scene.cluster.refuse(f"create Secret/{REDIS}", Forbidden("exceeded quota: secrets"))
    for _ in range(10):
        await scene.turn()
    assert scene.cluster.calls[f"create Secret/{REDIS}"] == 1


async def test_passwords_that_are_wanted_no_more_call_for_no_turn() -> None:
    scene = Scene(a_service())
    scene.cluster.refuse(f"create Secret/{REDIS}", Forbidden("exceeded quota: secrets"))
    await scene.turn()
    scene.write(a_service().on_external_redis())
    scene.wait(60)
    again = await scene.turn()
    assert again is None or again > 1


async def test_passwords_that_cannot_be_read_leave_the_redis_as_it_is() -> None:
    """Made anew they would lock everybody out of a Redis that runs."""
    scene = await a_scene()
    before = scene.get("StatefulSet", REDIS)
    secret = scene.get("Secret", REDIS)
    scene.cluster.add(secret | {"data": {"password": secret["data"]["password"]}})
    await scene.settled()
    assert scene.get("StatefulSet", REDIS) == before
    assert "delete it, and it is made anew" in scene.condition("Degraded")["message"]


async def test_whoever_deletes_the_passwords_gets_new_ones_and_a_new_start_of_redis() -> None:
    scene = await a_scene()
    before = scene.get("StatefulSet", REDIS)["spec"]["template"], scene.get("Secret", REDIS)["data"]
    scene.cluster.remove("Secret", "studio", REDIS)
    await scene.settled()
    assert scene.get("Secret", REDIS)["data"] != before[1]
    assert scene.get("StatefulSet", REDIS)["spec"]["template"] != before[0]


async def test_somebody_elses_secret_of_that_name_is_not_used() -> None:
    scene = Scene(a_service())
    scene.cluster.add(_secret() | {"metadata": {"name": REDIS, "namespace": "studio"}})
    await scene.settled()
    assert not scene.has("StatefulSet", REDIS)
    assert scene.condition("Degraded")["reason"] == "NameTaken"
    assert scene.cluster.calls[f"create Secret/{REDIS}"] <= 1


async def test_a_changed_password_of_an_external_redis_rolls_the_pods() -> None:
    scene = Scene(EXTERNAL)
    scene.cluster.add(_secret())
    await scene.settled()
    before = _checksum(scene)
    scene.cluster.add(_secret("another"))
    await scene.settled()
    assert before != _checksum(scene) != ""


async def test_a_secret_that_is_missing_is_said_and_rolls_nothing() -> None:
    scene = Scene(EXTERNAL)
    scene.cluster.add(_secret())
    await scene.settled()
    before = _checksum(scene)
    scene.cluster.remove("Secret", "studio", "shared")
    await scene.settled()
    assert _checksum(scene) == before
    assert scene.condition("RedisReady")["reason"] == "SecretMissing"


async def test_a_secret_that_could_not_be_read_rolls_nothing() -> None:
    scene = Scene(EXTERNAL)
    scene.cluster.add(_secret())
    await scene.settled()
    before = scene.get("Deployment")
    scene.cluster.refuse("fetch Secret/shared", Unavailable("away"))
    again = await scene.turn()
    assert scene.get("Deployment") == before
    assert again is not None
    assert again < 1


SEALED = a_service().with_spec(resultCache={"encryptionKeySecretRef": {"name": "shared", "key": "password"}})


async def test_a_changed_key_of_finished_speech_rolls_the_pods_beside_a_managed_redis() -> None:
    scene = Scene(SEALED)
    scene.cluster.add(_secret())
    await scene.settled()
    before, redis = _checksum(scene), scene.get("StatefulSet", REDIS)
    scene.cluster.add(_secret("another"))
    await scene.settled()
    assert before != _checksum(scene) != ""
    assert scene.get("StatefulSet", REDIS) == redis


async def test_a_missing_key_of_finished_speech_is_a_condition_and_rolls_nothing() -> None:
    scene = Scene(SEALED)
    scene.cluster.add(_secret())
    await scene.settled()
    before = _checksum(scene)
    scene.cluster.add(_secret() | {"data": {}})
    await scene.settled()
    assert _checksum(scene) == before
    degraded = scene.condition("Degraded")
    assert degraded["reason"] == "ReferenceMissing"
    assert degraded["message"].startswith(
        "spec.resultCache.encryptionKeySecretRef names the key password of Secret shared"
    )
    assert scene.condition("RedisReady")["reason"] != "SecretMissing"


async def test_a_service_that_names_no_secret_has_none_read() -> None:
    scene = await a_scene()
    before = scene.cluster.calls.copy()
    await scene.turn()
    assert not [call for call in scene.cluster.calls - before if call.startswith("fetch Secret")]


async def test_the_operator_looks_at_redis_with_a_password_of_its_own() -> None:
    scene = await a_scene()
    target = scene.reconciler.memories[KEY].redis_target
    assert isinstance(target, RedisTarget)
    assert (
        base64.b64encode(target.password.encode()).decode() == scene.get("Secret", REDIS)["data"]["operator-password"]
    )
    assert target.password not in repr(target)


async def test_a_secret_made_by_a_request_whose_answer_was_lost_is_the_one_that_counts() -> None:
    scene = Scene(a_service())
    create = scene.cluster.create

    async def answer_is_lost(manifest: object) -> object:
        await create(manifest)  # type: ignore[arg-type]
        scene.live._objects.clear()
        scene.live._of.clear()
        raise Unavailable("no answer")

    scene.cluster.create = answer_is_lost  # type: ignore[method-assign, assignment]
    await scene.turn()
    made = scene.get("Secret", REDIS)["data"]
    scene.cluster.create = create  # type: ignore[method-assign]
    scene.cluster.told("ADDED", scene.get("VoiceService"))
    scene.wait(5)
    await scene.settled()
    assert scene.get("Secret", REDIS)["data"] == made
