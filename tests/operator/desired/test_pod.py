"""A pod of the server: probes, drain, files, security, and the user's part over it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operator.desired.children import container_of, server_pod
from tests.operator.manifests import AService, a_service
from timbre_contract import labels


def _with_pod(spec: dict[str, Any], service: AService | None = None) -> dict[str, Any]:
    return server_pod((service or a_service()).with_spec(podTemplate={"spec": spec}))


def test_a_pod_may_take_its_budget_and_the_warm_up_to_start() -> None:
    service = a_service().with_spec(rollout={"startBudget": "5m"}, voiceCache={"warmup": {"deadline": "1m"}})
    probe = container_of(server_pod(service))["startupProbe"]
    assert probe["httpGet"] == {"path": "/readyz", "port": "admin"}
    assert probe["failureThreshold"] * probe["periodSeconds"] == 360


def test_a_busy_pod_is_not_killed_within_a_minute() -> None:
    probe = container_of(server_pod(a_service()))["livenessProbe"]
    assert probe["httpGet"] == {"path": "/livez", "port": "admin"}
    assert probe["failureThreshold"] * probe["periodSeconds"] == 60


def test_a_pod_that_is_not_ready_gets_no_requests() -> None:
    probe = container_of(server_pod(a_service()))["readinessProbe"]
    assert probe["httpGet"] == {"path": "/readyz", "port": "admin"}


def test_kubernetes_waits_longer_than_the_server_drains() -> None:
    pod = server_pod(a_service().with_spec(drain={"accept": "2.5s", "timeout": "90s"}))["spec"]
    assert pod["terminationGracePeriodSeconds"] == 103


def test_the_end_of_the_log_says_why_a_pod_ended() -> None:
    assert container_of(server_pod(a_service()))["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_a_pod_is_restricted() -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    template = server_pod(a_service())
    assert template["spec"]["securityContext"]["runAsNonRoot"] is True
    assert template["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container_of(template)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_pod_has_no_token_and_no_variables_of_services() -> None:
    pod = server_pod(a_service())["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


def test_only_tmp_can_be_written() -> None:
    template = server_pod(a_service())
    assert {"name": "tmp", "mountPath": "/tmp"} in container_of(template)["volumeMounts"]
    assert {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}} in template["spec"]["volumes"]


def test_a_password_is_a_file_and_never_a_variable() -> None:
    template = server_pod(a_service())
    (volume,) = [volume for volume in template["spec"]["volumes"] if volume["name"] == "redis"]
    assert volume["projected"] == {
        "defaultMode": 0o440,
        "sources": [{"secret": {"name": "narrator-redis", "items": [{"key": "password", "path": "password"}]}}],
    }
    assert "pods-password" not in str(template)


def test_a_redis_without_secrets_needs_no_volume() -> None:
    template = server_pod(a_service().on_external_redis())
    assert [volume["name"] for volume in template["spec"]["volumes"]] == ["tmp"]
    assert [mount["name"] for mount in container_of(template)["volumeMounts"]] == ["tmp"]


def test_pods_are_spread_over_nodes_and_zones() -> None:
    constraints = server_pod(a_service())["spec"]["topologySpreadConstraints"]
    assert [c["topologyKey"] for c in constraints] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert all(c["whenUnsatisfiable"] == "ScheduleAnyway" for c in constraints)


@pytest.mark.parametrize(
    ("resource", "key"),
    [
        ("nvidia.com/gpu", "nvidia.com/gpu"),
        ("nvidia.com/mig-1g.10gb", "nvidia.com/gpu"),
        ("amd.com/gpu", "amd.com/gpu"),
    ],
)
def test_nodes_with_a_gpu_are_tolerated_by_who_asks_for_one(resource: str, key: str) -> None:
    pod = server_pod(a_service().with_spec(resources={"limits": {resource: 1}}))["spec"]
    assert pod["tolerations"] == [{"key": key, "operator": "Exists", "effect": "NoSchedule"}]
    assert "tolerations" not in server_pod(a_service())["spec"]


def test_an_engine_that_needs_torch_has_an_image_with_it() -> None:
    pocket = a_service().with_spec(engine={"name": "pocket-tts", "model": {"path": "/m"}})
    assert container_of(server_pod(pocket))["image"] == "registry/timbre-server:1-torch"
    assert container_of(server_pod(a_service()))["image"] == "registry/timbre-server:1"
    assert container_of(server_pod(pocket.with_spec(image="mine:1")))["image"] == "mine:1"


def test_a_model_that_is_downloaded_has_a_place() -> None:
    hub = a_service().with_spec(engine={"name": "pocket-tts", "model": {"id": "a/b", "revision": "0" * 40}})
    container = container_of(server_pod(hub))
    assert {"name": "HF_HOME", "value": "/var/cache/models"} in container["env"]
    assert {"name": "models", "mountPath": "/var/cache/models"} in container["volumeMounts"]


def test_another_secret_rolls_the_pods() -> None:
    service = a_service().on_external_redis(passwordSecretRef={"name": "s"})
    before, after = (server_pod(service, secrets_checksum=checksum) for checksum in ("a", "b"))
    assert before["metadata"]["annotations"] == {labels.CONFIG_CHECKSUM_ANNOTATION: "a"}
    assert before != after


def test_what_the_user_writes_is_laid_over_the_pod() -> None:
    template = _with_pod(
        {
            "nodeSelector": {"gpu": "yes"},
            "containers": [
                {"name": "server", "env": [{"name": "TIMBRE_LOG__LEVEL", "value": "debug"}]},
                {"name": "sidecar", "image": "proxy:1"},
            ],
            "volumes": [{"name": "models", "emptyDir": {}}],
        }
    )
    assert template["spec"]["nodeSelector"] == {"gpu": "yes"}
    assert [container["name"] for container in template["spec"]["containers"]] == ["server", "sidecar"]
    assert container_of(template)["env"][-1] == {"name": "TIMBRE_LOG__LEVEL", "value": "debug"}
    assert [volume["name"] for volume in template["spec"]["volumes"]] == ["tmp", "redis", "models"]


def test_the_user_s_value_wins() -> None:
    template = _with_pod(
        {"containers": [{"name": "server", "livenessProbe": {"failureThreshold": 30}}], "enableServiceLinks": True}
    )
    assert container_of(template)["livenessProbe"]["failureThreshold"] == 30
    assert container_of(template)["livenessProbe"]["periodSeconds"] == 10
    assert template["spec"]["enableServiceLinks"] is True


def test_labels_that_select_the_pods_cannot_be_taken_away() -> None:
    wanted = {labels.INSTANCE_LABEL: "other", "team": "voice"}
    template = server_pod(a_service().with_spec(podTemplate={"metadata": {"labels": wanted}}))
    assert template["metadata"]["labels"] == {**labels.selector("narrator", "server"), "team": "voice"}
