"""A VoiceService on a real API server: what users do to it, and what becomes of it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.cluster.api import Api, Object
from tests.cluster.carrying_out import VOICE_SERVICE, children, find_children, in_namespace
from tests.cluster.fake_node import FakeNode
from tests.cluster.fake_volumes import OTHER_CLASS
from tests.cluster.operator_process import OperatorHome, OperatorProcess, entries
from tests.cluster.watching import (
    condition,
    eventually,
    is_ready,
    sample,
    says,
    turned,
    until_service,
    write,
    writes,
)
from tests.operator.manifests import AService, a_service
from timbre_contract import labels

DEPLOYMENT, STATEFUL_SET = "apps/v1/Deployment", "apps/v1/StatefulSet"
HPA, SCALED_OBJECT = "autoscaling/v2/HorizontalPodAutoscaler", "keda.sh/v1alpha1/ScaledObject"
CLAIM = "data-narrator-redis-0"
MANUAL = a_service().scaled_by("None")
"""Without an autoscaler, whose series nobody serves here."""


@pytest.fixture(autouse=True)
def light_pods(fake_node: FakeNode) -> None:
    """Servers' pods answer probes only."""
    fake_node.light = True


def _names(objects: list[Object]) -> set[str]:
    return {f"{item['kind']}/{item['metadata']['name']}" for item in objects}


def _replicas(count: int) -> Any:
    return lambda deployment: deployment["spec"].get("replicas") == count


async def _ready(api: Api, namespace: str, service: AService = MANUAL) -> Object:
    await write(api, namespace, service)
    return await until_service(api, namespace, is_ready)


async def test_a_service_gets_its_children_becomes_ready_and_says_so(
    api: Api, namespace: str, operator_process: OperatorProcess
) -> None:
    service = await _ready(api, namespace)
    assert _names(await find_children(api, namespace)) == _names(children(service))
    status = service["status"]
    assert (status["replicas"], status["readyReplicas"], status["desiredReplicas"]) == (1, 1, 1)
    assert status["endpoint"] == f"http://narrator.{namespace}.svc:8000"
    assert condition(service, "RedisReady")["reason"] == "Reachable"
    assert "finalizers" not in service["metadata"]
    assert "annotations" not in service["metadata"]


async def test_at_rest_nothing_is_written_whatever_is_listed_anew(
    api: Api, namespace: str, operator_home: OperatorHome
) -> None:
    await operator_home.allow(namespace)
    running = await operator_home.start(namespace, options=("--no-metrics-api", "--resync-seconds=5"))
    await _ready(api, namespace)
    await turned(running, 2)
    before = await writes(running)
    lists = await sample(running, "timbre_operator_api_requests_total", method="GET")
    await turned(running, 3)
    assert await writes(running) == before
    assert await sample(running, "timbre_operator_api_requests_total", method="GET") > lists


async def test_what_somebody_removes_or_changes_is_put_right_and_counted(
    api: Api, namespace: str, operator_process: OperatorProcess
) -> None:
    await _ready(api, namespace)
    for found in await find_children(api, namespace):
        kind = f"{found['apiVersion']}/{found['kind']}"
        name, uid = found["metadata"]["name"], found["metadata"]["uid"]
        await api.delete(found)
        await api.until(kind, namespace, name, lambda again, uid=uid: again["metadata"]["uid"] != uid)
    deployment = await api.fetch(DEPLOYMENT, namespace, "narrator")
    changed = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}, "replicas": 7}}
    await api.patch(deployment, changed)
    await api.until(DEPLOYMENT, namespace, "narrator", _replicas(1))
    await until_service(api, namespace, is_ready)
    assert await sample(operator_process, "timbre_operator_drift_corrections_total", kind="Service") == 3
    assert await sample(operator_process, "timbre_operator_drift_corrections_total", kind="Deployment") == 2


async def test_every_change_is_one_line_of_the_log_with_its_reason_and_without_a_secret(
    api: Api, namespace: str, operator_process: OperatorProcess
) -> None:
    await _ready(api, namespace)
    await _ready(api, namespace, MANUAL.with_spec(image="registry/timbre-server:2"))
    log = operator_process.log()
    made = {entry["object"] for entry in entries(log) if entry["message"] == "create"}
    assert made >= {"Deployment/narrator", "StatefulSet/narrator-redis", "Service/narrator"}
    (patch,) = [entry for entry in entries(log) if entry["message"] == "patch"]
    assert patch["why"].startswith('spec.template.spec.containers[server].image: "registry/timbre-server:2", was ')
    secret = await api.fetch("v1/Secret", namespace, "narrator-redis")
    for value in secret["data"].values():
        assert value not in log
        assert base64.b64decode(value).decode() not in log


async def test_a_changed_template_rolls_and_says_which_field_changed(
    api: Api, namespace: str, operator_process: OperatorProcess
) -> None:
    await _ready(api, namespace)
    # No program stands in for it, so that the rollout is seen before it ends.
    await write(api, namespace, MANUAL.with_spec(image="registry/never-ready:2"))
    await until_service(
        api, namespace, lambda s: "containers[server].image" in condition(s, "Progressing").get("message", "")
    )
    await write(api, namespace, MANUAL.with_spec(image="registry/timbre-server:3"))
    await until_service(api, namespace, is_ready)
    deployment = await api.fetch(DEPLOYMENT, namespace, "narrator")
    assert "image" in deployment["metadata"]["annotations"]["kubernetes.io/change-cause"]


async def test_deleting_the_service_removes_everything_but_the_volume(
    api: Api, namespace: str, operator_process: OperatorProcess
) -> None:
    service = await _ready(api, namespace)
    found = await find_children(api, namespace)
    await api.delete(service)
    for child in found:
        kind = f"{child['apiVersion']}/{child['kind']}"
        await api.until(kind, namespace, child["metadata"]["name"], None, gone=True)
    assert await api.fetch("v1/PersistentVolumeClaim", namespace, CLAIM)


async def test_somebody_elses_object_is_left_alone_and_named_until_its_name_is_free(
    api: Api, namespace: str, operator_home: OperatorHome
) -> None:
    await operator_home.allow(namespace)
    await operator_home.start(namespace, options=("--no-metrics-api", "--resync-seconds=5"))
    metadata = {"name": "narrator", "namespace": namespace}
    spec = {"selector": {"app": "other"}, "ports": [{"port": 80}]}
    theirs = await api.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    await write(api, namespace, MANUAL)
    service = await until_service(api, namespace, says("Degraded", "NameTaken"))
    assert "Service narrator is not ours" in condition(service, "Degraded")["message"]
    assert await api.fetch("v1/Service", namespace, "narrator") == theirs

    await api.delete(theirs)
    await until_service(api, namespace, is_ready)


async def test_a_service_called_timbre_in_a_namespace_with_a_service_called_timbre_serves(
    api: Api, namespace: str, operator_process: OperatorProcess
) -> None:
    await write(api, namespace, MANUAL.called("timbre"))
    await until_service(api, namespace, is_ready, "timbre")
    (pod,) = await api.find("v1/Pod", namespace, labelSelector="app.kubernetes.io/component=server")
    assert pod["spec"]["enableServiceLinks"] is False


async def test_no_change_of_the_autoscaler_costs_a_pod(
    api: Api, namespace: str, operator_process: OperatorProcess
) -> None:
    """None to HPA to KEDA to HPA to External: the number stays as it is, and one autoscaler is there at a time."""
    await _ready(api, namespace, MANUAL.with_spec(replicas=3))
    seen: set[int] = set()
    for class_, kind in (
        ("HPA", HPA),
        ("KEDA", SCALED_OBJECT),
        ("HPA", HPA),
        ("External", None),
        ("KEDA", SCALED_OBJECT),
    ):
        await write(api, namespace, a_service().scaled_by(class_, minReplicas=3).with_spec(replicas=3))
        service = await until_service(
            api, namespace, lambda s: s["status"].get("observedGeneration") == s["metadata"]["generation"]
        )
        found = _names(await find_children(api, namespace))
        there = {name.partition("/")[0] for name in found} & {"HorizontalPodAutoscaler", "ScaledObject"}
        assert there == ({kind.rpartition("/")[2]} if kind else set())
        deployment = await api.fetch(DEPLOYMENT, namespace, "narrator")
        seen.add(deployment["spec"]["replicas"])
        assert service["status"]["desiredReplicas"] == 3
    assert seen == {3}
    sets = await api.find("apps/v1/ReplicaSet", namespace)
    assert [item["spec"]["replicas"] for item in sets] == [3]  # and no rollout either


async def test_with_class_none_the_number_that_the_user_wrote_counts(
    api: Api, namespace: str, operator_process: OperatorProcess
) -> None:
    await _ready(api, namespace, MANUAL.with_spec(replicas=3))
    await write(api, namespace, a_service().scaled_by("HPA").with_spec(replicas=2))
    await api.until(HPA, namespace, "narrator", lambda found: found)
    assert (await api.fetch(DEPLOYMENT, namespace, "narrator"))["spec"]["replicas"] == 3
    await write(api, namespace, MANUAL.with_spec(replicas=2))
    await api.until(DEPLOYMENT, namespace, "narrator", _replicas(2))
    await api.until(HPA, namespace, "narrator", None, gone=True)


async def test_kubectl_scale_sets_the_number_of_class_none(
    api: Api, namespace: str, operator_process: OperatorProcess
) -> None:
    service = await _ready(api, namespace)
    scale = {"spec": {"replicas": 2}}
    await api.patch(service, scale, "scale")
    await api.until(DEPLOYMENT, namespace, "narrator", _replicas(2))


async def test_a_volume_grows_with_the_spec_and_its_voices_stay(
    api: Api, namespace: str, operator_process: OperatorProcess
) -> None:
    def sized(size: str) -> AService:
        return MANUAL.with_spec(redis={"managed": {"storage": {"size": size}}})

    await _ready(api, namespace, sized("4Gi"))
    before = await api.fetch("v1/PersistentVolumeClaim", namespace, CLAIM)
    pod = await api.fetch("v1/Pod", namespace, "narrator-redis-0")
    await write(api, namespace, sized("8Gi"))
    claim = await api.until(
        "v1/PersistentVolumeClaim", namespace, CLAIM, lambda c: c["spec"]["resources"]["requests"]["storage"] == "8Gi"
    )
    assert claim["metadata"]["uid"] == before["metadata"]["uid"]

    def template_has_grown(found: Object) -> bool:
        (template,) = found["spec"]["volumeClaimTemplates"]
        return bool(template["spec"]["resources"]["requests"]["storage"] == "8Gi")

    await api.until(STATEFUL_SET, namespace, "narrator-redis", template_has_grown)
    service = await until_service(api, namespace, is_ready)
    assert condition(service, "RedisReady")["status"] == "True"
    after = await api.fetch("v1/Pod", namespace, "narrator-redis-0")
    assert after["metadata"]["uid"] == pod["metadata"]["uid"]  # the set was made anew around its pod


async def test_a_volume_that_may_not_grow_is_said(api: Api, namespace: str, operator_process: OperatorProcess) -> None:
    """Growth is refused where the storage class does not allow it."""
    storage_class = await api.fetch("storage.k8s.io/v1/StorageClass", "", OTHER_CLASS)
    storage_class |= {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass"}
    await api.patch(storage_class, {"allowVolumeExpansion": False})
    try:
        storage = {"size": "4Gi", "className": OTHER_CLASS}
        await _ready(api, namespace, MANUAL.with_spec(redis={"managed": {"storage": storage}}))
        await write(api, namespace, MANUAL.with_spec(redis={"managed": {"storage": {**storage, "size": "8Gi"}}}))
        service = await until_service(api, namespace, lambda s: "resize" in condition(s, "Degraded").get("message", ""))
        assert condition(service, "Ready")["status"] == "True"
    finally:
        await api.patch(storage_class, {"allowVolumeExpansion": True})


async def test_whoever_deletes_the_passwords_gets_others_and_a_redis_that_takes_them(
    api: Api, namespace: str, operator_process: OperatorProcess
) -> None:
    await _ready(api, namespace)
    before = await api.fetch("v1/Secret", namespace, "narrator-redis")
    pod = await api.fetch("v1/Pod", namespace, "narrator-redis-0")
    await api.delete(before)
    after = await api.until("v1/Secret", namespace, "narrator-redis", lambda s: s["data"] != before["data"])
    assert after["metadata"]["annotations"][labels.CREATE_ONCE_ANNOTATION]
    await api.until("v1/Pod", namespace, "narrator-redis-0", lambda p: p["metadata"]["uid"] != pod["metadata"]["uid"])
    await until_service(api, namespace, is_ready)


async def test_a_changed_password_of_an_external_redis_rolls_the_pods(
    api: Api, namespace: str, operator_home: OperatorHome
) -> None:
    await operator_home.allow(namespace)
    running = await operator_home.start(namespace, options=("--no-metrics-api", "--resync-seconds=5"))
    service = MANUAL.on_external_redis(address="127.0.0.1:1", passwordSecretRef={"name": "shared"})
    await write(api, namespace, service)
    await until_service(api, namespace, says("RedisReady", "SecretMissing"))
    metadata = {"name": "shared", "namespace": namespace}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"password": "first"}}
    await api.apply(secret)
    await until_service(api, namespace, says("RedisReady", "Unreachable"))

    def checksum(deployment: Object) -> str:
        annotations = deployment["spec"]["template"]["metadata"].get("annotations") or {}
        return str(annotations.get(labels.CONFIG_CHECKSUM_ANNOTATION, ""))

    first = checksum(await api.until(DEPLOYMENT, namespace, "narrator", checksum))
    await api.apply({**secret, "stringData": {"password": "second"}})
    await api.until(DEPLOYMENT, namespace, "narrator", lambda d: checksum(d) not in {"", first})
    assert "second" not in running.log()


async def test_a_pod_that_cannot_start_is_explained_by_the_apis_own_words(
    api: Api, namespace: str, operator_process: OperatorProcess
) -> None:
    await write(api, namespace, MANUAL.with_spec(image="registry.invalid/timbre-server:1"))
    service = await until_service(api, namespace, says("Ready", "ImagePullFailed"))
    message = condition(service, "Ready")["message"]
    assert "registry.invalid/timbre-server:1" in message
    assert "pod narrator-" in message


async def test_events_tell_what_happened(api: Api, namespace: str, operator_process: OperatorProcess) -> None:
    service = await _ready(api, namespace)

    async def told() -> set[tuple[str, str]]:
        found = await api.find("v1/Event", namespace, fieldSelector=f"involvedObject.uid={service['metadata']['uid']}")
        return {(event["reason"], event["source"]["component"]) for event in found}

    # By chance the pods are ready before the volume of Redis is there, or after it.
    wanted = {("Serving", "timbre-operator"), ("Degraded", "timbre-operator")}

    async def said() -> set[tuple[str, str]]:
        return wanted & await told()

    assert await eventually(said)


async def test_a_right_that_is_missing_is_a_condition_and_a_line_of_the_log(
    api: Api, namespace: str, operator_home: OperatorHome
) -> None:
    await operator_home.allow(namespace)
    await operator_home.forbid("networkpolicies")
    running = await operator_home.start(namespace, options=("--no-metrics-api", "--resync-seconds=5"))
    await write(api, namespace, MANUAL)
    service = await until_service(api, namespace, says("Degraded", "RightMissing"))
    assert "networkpolicies" in condition(service, "Degraded")["message"]
    assert "may not list networkpolicies" in running.log()
    assert "Deployment/narrator" in _names(await find_children(api, namespace))

    await operator_home.allow(namespace)
    await until_service(api, namespace, is_ready)
    assert await running.is_ready()


async def test_a_right_to_post_events_that_is_missing_is_a_condition_too(
    api: Api, namespace: str, operator_home: OperatorHome
) -> None:
    await operator_home.allow(namespace)
    await operator_home.forbid("events", "create")
    await operator_home.start(namespace, options=("--no-metrics-api", "--resync-seconds=5"))
    await write(api, namespace, MANUAL)
    service = await until_service(api, namespace, says("Degraded", "RightMissing"))
    assert f"may not create events in namespace {namespace}" in condition(service, "Degraded")["message"]
    await operator_home.allow(namespace)
    await until_service(api, namespace, is_ready)


async def test_a_kind_that_may_only_be_listed_is_said_and_looked_after_all_the_same(
    api: Api, namespace: str, operator_home: OperatorHome
) -> None:
    await operator_home.allow(namespace)
    await operator_home.forbid("services", "watch")
    running = await operator_home.start(namespace, options=("--no-metrics-api", "--resync-seconds=5"))
    await write(api, namespace, MANUAL)
    service = await until_service(api, namespace, says("Degraded", "RightMissing"))
    assert f"may not watch services in namespace {namespace}" in condition(service, "Degraded")["message"]
    assert "may not watch services" in running.log()
    removed = await api.fetch("v1/Service", namespace, "narrator")
    await api.delete(removed | {"apiVersion": "v1", "kind": "Service"})
    await api.until(
        "v1/Service", namespace, "narrator", lambda found: found["metadata"]["uid"] != removed["metadata"]["uid"]
    )

    await operator_home.allow(namespace)
    await until_service(api, namespace, is_ready)
    assert await running.is_ready()


async def test_an_operator_for_all_namespaces_has_enough_rights_too(
    api: Api, namespace: str, operator_home: OperatorHome
) -> None:
    await operator_home.allow()
    await operator_home.start()
    await _ready(api, namespace)


async def test_a_service_of_another_namespace_is_not_ours(
    api: Api, namespace: str, operator_process: OperatorProcess, operator_home: OperatorHome
) -> None:
    """An operator of one namespace neither sees nor touches others."""
    elsewhere = operator_home.name
    await api.create(in_namespace(MANUAL, elsewhere))
    await _ready(api, namespace)
    await turned(operator_process)
    assert "status" not in await api.fetch(VOICE_SERVICE, elsewhere, "narrator")
