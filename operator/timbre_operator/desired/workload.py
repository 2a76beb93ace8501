"""Which objects are the service itself: Deployment, Services, account, disruption budget?"""

from __future__ import annotations

from typing import Final

from timbre_contract import api, labels
from timbre_operator.desired.inputs import Inputs, Manifest
from timbre_operator.desired.ownership import child
from timbre_operator.desired.pod import build_pod_template, start_seconds
from timbre_operator.voiceservice import VoiceService
from timbre_operator.voiceservice.names import HEADLESS_SUFFIX

_PULL_SECONDS: Final = 600
"""What Kubernetes gives a rollout by default; on top of the start, for an image of several GB."""
_COMPONENT: Final = labels.SERVER_COMPONENT


def build_deployment(inputs: Inputs) -> Manifest:
    """The pods; their number only where nobody else sets it."""
    service = inputs.service
    rollout = {"maxSurge": 1, "maxUnavailable": 0}
    if service.spec.rollout.strategy == "Replace":
        rollout = {"maxSurge": 0, "maxUnavailable": 1}
    spec: Manifest = {
        "selector": {"matchLabels": labels.selector(service.name, _COMPONENT)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": rollout},
        "progressDeadlineSeconds": start_seconds(service) + _PULL_SECONDS,
        "revisionHistoryLimit": 3,
        "template": build_pod_template(inputs),
    }
    if service.spec.autoscaling.class_ == "None":
        spec["replicas"] = service.spec.replicas
    return child(service, "apps/v1", "Deployment", component=_COMPONENT, spec=spec)


def build_service(inputs: Inputs) -> Manifest:
    """Where clients find the API."""
    service = inputs.service
    spec = {
        "type": "ClusterIP",
        "selector": labels.selector(service.name, _COMPONENT),
        "ports": [{"name": "http", "port": api.API_PORT, "targetPort": "http", "protocol": "TCP"}],
    }
    return child(service, "v1", "Service", component=_COMPONENT, spec=spec)


def build_headless_service(inputs: Inputs) -> Manifest:
    """Every pod by its own address, ready or not: for scrapers and routers."""
    service = inputs.service
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": labels.selector(service.name, _COMPONENT),
        "ports": [
            {"name": "http", "port": api.API_PORT, "targetPort": "http", "protocol": "TCP"},
            {"name": "admin", "port": api.ADMIN_PORT, "targetPort": "admin", "protocol": "TCP"},
        ],
    }
    return child(service, "v1", "Service", suffix=HEADLESS_SUFFIX, component=_COMPONENT, spec=spec)


def build_service_account(inputs: Inputs) -> Manifest:
    """An account without rights, and without a token in the pods."""
    return child(inputs.service, "v1", "ServiceAccount", component=_COMPONENT, automountServiceAccountToken=False)


def build_disruption_budget(inputs: Inputs) -> Manifest | None:
    """One pod at a time; None where there may be a single one, for that would block every drain of its node."""
    service = inputs.service
    if fewest_replicas(service) < 2:
        return None
    spec = {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": labels.selector(service.name, _COMPONENT)},
    }
    return child(service, "policy/v1", "PodDisruptionBudget", component=_COMPONENT, spec=spec)


def fewest_replicas(service: VoiceService) -> int:
    """How many pods there are at least."""
    autoscaling = service.spec.autoscaling
    return service.spec.replicas if autoscaling.class_ == "None" else autoscaling.min_replicas
