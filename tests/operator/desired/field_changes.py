"""Every field of the spec: a service, the field's new value, and the children that it changes.

For the builders and for a real API server alike.
"""

from __future__ import annotations

import copy
import re
from typing import Any, Final

from tests.operator.manifests import AService, a_service

_POD = {"Deployment/narrator"}
_REDIS = {"StatefulSet/narrator-redis"}
_HPA = {"HorizontalPodAutoscaler/narrator"}
_EXTERNAL = a_service().on_external_redis(
    mode="Sentinel", sentinel={"master": "m", "passwordSecretRef": {"name": "s", "key": "k"}},
    passwordSecretRef={"name": "s", "key": "k"}, tls={"caSecretRef": {"name": "s", "key": "k"},
    "certificateSecretRef": {"name": "s"}},
)  # fmt: skip
_POCKET = a_service().with_spec(engine={"name": "pocket-tts", "model": {"path": "/a"}})
_HUB = a_service().with_spec(engine={"name": "pocket-tts", "model": {"id": "a/b", "revision": "0" * 40}})
_CLAIMS = a_service().with_spec(
    resources={"claims": [{"name": "gpu", "request": "a"}]},
    podTemplate={"spec": {"resourceClaims": [{"name": name, "resourceClaimName": name} for name in ("gpu", "mig")]}},
)
_KEY = {"name": "recordings", "key": "ann.ogg"}
_LIST = {"ConfigMap/narrator-voices"}
_SPEECH = {"name": "s", "key": "k"}
_IN_PLACES = a_service().with_spec(
    resultCache={
        "storage": "Volume",
        "volume": {"claimName": "speech", "maxBytes": "1Gi"},
        "bucket": {"url": "s3://speech", "credentialsSecretRef": {"name": "s"}},
        "encryptionKeySecretRef": _SPEECH,
        "links": {"keysSecretRef": _SPEECH, "ttl": "2h"},
    }
)
_IN_A_BUCKET = _IN_PLACES.with_spec(resultCache={"storage": "Bucket"})
_VOICES = a_service().with_spec(
    voices=[{"name": "ann", "recording": {"secretRef": _KEY}, "transcript": "What she says.", "consent": "cons_1"}]
)
_IN_A_CONFIG_MAP = a_service().with_spec(voices=[{"name": "ann", "recording": {"configMapRef": _KEY}}])
_IN_A_FILE = a_service().with_spec(voices=[{"name": "ann", "recording": {"path": "/recordings/ann.wav"}}])
_POLICIES = {"stabilizationWindowSeconds": 1, "selectPolicy": "Max",
             "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}  # fmt: skip
_PACED = a_service().scaled_by("HPA", behavior={"scaleUp": _POLICIES, "scaleDown": _POLICIES})
CHANGES: Final[dict[str, tuple[AService, Any, set[str]]]] = {
    "engine.name": (a_service(), "stub", _POD),
    "engine.model.id": (_HUB, "a/c", _POD),
    "engine.model.revision": (_HUB, "1" * 40, _POD),
    "engine.model.path": (_POCKET, "/b", _POD),
    "engine.options": (a_service(), {"threads": 2}, _POD),
    "resultCache.enabled": (a_service(), False, _POD | {"PrometheusRule/narrator"}),
    "resultCache.ttl": (a_service(), "1h", _POD),
    "resultCache.maxEntryBytes": (a_service(), "1Mi", _POD),
    "resultCache.speedTolerancePercent": (a_service(), 10, _POD),
    "resultCache.host.maxBytes": (a_service(), "128Mi", _POD),
    "resultCache.similarText": (a_service(), True, _POD),
    "resultCache.storage": (_IN_PLACES, "Bucket", _POD),
    "resultCache.volume.claimName": (_IN_PLACES, "other", _POD),
    "resultCache.volume.maxBytes": (_IN_PLACES, "2Gi", _POD),
    "resultCache.bucket.url": (_IN_A_BUCKET, "s3://other/below", _POD),
    "resultCache.bucket.credentialsSecretRef.name": (_IN_A_BUCKET, "t", _POD),
    "resultCache.encryptionKeySecretRef.name": (_IN_PLACES, "t", _POD),
    "resultCache.encryptionKeySecretRef.key": (_IN_PLACES, "l", _POD),
    "resultCache.links.keysSecretRef.name": (_IN_PLACES, "t", _POD),
    "resultCache.links.keysSecretRef.key": (_IN_PLACES, "l", _POD),
    "resultCache.links.ttl": (_IN_PLACES, "3h", _POD),
    "voices[].name": (_VOICES, "bob", _POD | _LIST),
    "voices[].transcript": (_VOICES, "something else", _LIST),
    "voices[].consent": (_VOICES, "cons_2", _LIST),
    "voices[].recording.secretRef.name": (_VOICES, "others", _POD),
    "voices[].recording.secretRef.key": (_VOICES, "other.ogg", _POD),
    "voices[].recording.configMapRef.name": (_IN_A_CONFIG_MAP, "others", _POD),
    "voices[].recording.configMapRef.key": (_IN_A_CONFIG_MAP, "other.ogg", _POD),
    "voices[].recording.path": (_IN_A_FILE, "/recordings/other.wav", _LIST),
    "image": (a_service(), "registry/mine:2", _POD),
    "replicas": (a_service().scaled_by("None"), 3, _POD | {"PodDisruptionBudget/narrator"}),
    "resources.limits.*": (a_service(), {"cpu": 2}, _POD),
    "resources.requests.*": (a_service(), {"cpu": "1"}, _POD),
    "resources.claims[].name": (_CLAIMS, "mig", _POD),
    "resources.claims[].request": (_CLAIMS, "b", _POD),
    "batching.maxBatchSize": (a_service(), 8, _POD),
    "batching.maxBatchCost": (a_service(), "2s", _POD),
    "batching.maxQueueDelay": (a_service(), "5ms", _POD),
    "batching.maxPending": (a_service(), "10s", _POD | {"PrometheusRule/narrator"}),
    "voiceCache.device.minBytes": (a_service(), "1Mi", _POD),
    "voiceCache.device.maxBytes": (a_service(), "3Gi", _POD),
    "voiceCache.device.keepFree": (a_service(), "10%", _POD),
    "voiceCache.host.maxBytes": (a_service(), "2Gi", _POD),
    "voiceCache.warmup.voices": (a_service(), 0, _POD),
    "voiceCache.warmup.deadline": (a_service(), "2m", _POD),
    "redis.managed.maxMemory": (a_service(), "2Gi", _REDIS | {"ConfigMap/narrator-redis"}),
    "redis.managed.storage.size": (a_service(), "9Gi", _REDIS),
    "redis.managed.storage.className": (a_service(), "fast", _REDIS),
    "redis.managed.exporter": (
        a_service(), "Disabled",
        _REDIS | {"PodMonitor/narrator-redis", "NetworkPolicy/narrator-redis", "PrometheusRule/narrator"},
    ),
    "redis.managed.storage.onDelete": (a_service(), "Delete", _REDIS),
    "redis.external.mode": (a_service().on_external_redis(), "Cluster", _POD),
    "redis.external.address": (_EXTERNAL, "a:1,b:2", _POD),
    "redis.external.database": (_EXTERNAL, 3, _POD),
    "redis.external.username": (_EXTERNAL, "u", _POD),
    "redis.external.passwordSecretRef.name": (_EXTERNAL, "t", _POD),
    "redis.external.passwordSecretRef.key": (_EXTERNAL, "l", _POD),
    "redis.external.sentinel.master": (_EXTERNAL, "n", _POD),
    "redis.external.sentinel.passwordSecretRef.name": (_EXTERNAL, "t", _POD),
    "redis.external.sentinel.passwordSecretRef.key": (_EXTERNAL, "l", _POD),
    "redis.external.tls.caSecretRef.name": (_EXTERNAL, "t", _POD),
    "redis.external.tls.caSecretRef.key": (_EXTERNAL, "l", _POD),
    "redis.external.tls.certificateSecretRef.name": (_EXTERNAL, "t", _POD),
    "autoscaling.class": (a_service(), "KEDA", _HPA | {"ScaledObject/narrator"}),
    "autoscaling.minReplicas": (a_service(), 2, _HPA | {"PodDisruptionBudget/narrator"}),
    "autoscaling.maxReplicas": (a_service(), 9, _HPA),
    "autoscaling.targets.queueDepth": (a_service(), 4, _HPA),
    "autoscaling.targets.utilizationPercent": (a_service(), 50, _HPA),
    "autoscaling.targets.hitRatePercent": (a_service(), 95, _POD | {"PrometheusRule/narrator"}),
    **{
        f"autoscaling.behavior.{way}.{field}": (_PACED, value, _HPA)
        for way in ("scaleUp", "scaleDown")
        for field, value in {
            "stabilizationWindowSeconds": 2, "selectPolicy": "Min", "policies[].type": "Percent", "policies[].value": 2,
            "policies[].periodSeconds": 61,
        }.items()
    },
    "rollout.strategy": (a_service(), "Replace", _POD),
    "rollout.startBudget": (a_service(), "5m", _POD),
    "drain.accept": (a_service(), "5s", _POD),
    "drain.timeout": (a_service(), "2m", _POD),
    "monitoring.podMonitor": (
        a_service(), "Disabled", {"PodMonitor/narrator", "PodMonitor/narrator-redis", "PrometheusRule/narrator"},
    ),
    "monitoring.prometheusRule": (a_service(), "Disabled", {"PrometheusRule/narrator"}),
    "podTemplate.metadata.labels.*": (a_service(), {"team": "voice"}, _POD),
    "podTemplate.metadata.annotations.*": (a_service(), {"note": "x"}, _POD),
    "podTemplate.spec": (a_service(), {"nodeSelector": {"gpu": "yes"}}, _POD),
}  # fmt: skip


def changed(service: AService, path: str, value: Any) -> AService:
    """The same service with another value of this field."""
    manifest = copy.deepcopy(service.manifest)
    _set(manifest["spec"], path, value)
    return AService(manifest)


def _set(spec: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = re.sub(r"\.\*$", "", path).replace("[]", ".0").split(".")
    part: Any = spec
    for parent in parents:
        part = part[int(parent)] if isinstance(part, list) else part.setdefault(parent, {})
    part[last] = value
