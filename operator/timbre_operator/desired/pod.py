"""What is a pod of the server?"""

from __future__ import annotations

from math import ceil
from typing import Final

from timbre_contract import api, labels
from timbre_operator.desired.environment import build_environment
from timbre_operator.desired.inputs import Inputs, Manifest
from timbre_operator.desired.redis_access import MOUNT, RedisAccess, build_redis_access
from timbre_operator.desired.resources import build_resources, tolerations
from timbre_operator.desired.results import ResultAccess, build_result_access
from timbre_operator.desired.strategic import merged
from timbre_operator.desired.voices import voices_environment, voices_mounts, voices_volumes
from timbre_operator.voiceservice import VoiceService

CONTAINER: Final = "server"
_USER: Final = 65532
"""The id that images call nonroot; any id works, the file system is read-only."""
_STARTUP_PERIOD_SECONDS: Final = 2
"""How late a pod that has become ready is noticed: the embedded engine starts in about two seconds."""
_EXIT_SECONDS: Final = 10
"""Slack of the grace period for closing what is left after the drain; the server takes about one."""
_DOWNLOADING_ENGINES: Final = ("pocket-tts",)
_MODELS: Final = "/var/cache/models"


def build_pod_template(inputs: Inputs) -> Manifest:
    """``spec.template`` of the Deployment, the user's part laid over it."""
    service = inputs.service
    template: Manifest = {"metadata": {"labels": labels.selector(service.name, labels.SERVER_COMPONENT)}}
    if inputs.secrets_checksum:
        template["metadata"]["annotations"] = {labels.CONFIG_CHECKSUM_ANNOTATION: inputs.secrets_checksum}
    template["spec"] = _pod(inputs, build_redis_access(service), build_result_access(service))
    written = service.spec.pod_template
    if written is not None:
        template = merged(template, written.model_dump(by_alias=True, exclude_unset=True))
    # Whatever was written: without these labels the Deployment would not find its pods.
    template["metadata"]["labels"] = {
        **template["metadata"].get("labels", {}),
        **labels.selector(service.name, labels.SERVER_COMPONENT),
    }
    return template


def start_seconds(service: VoiceService) -> int:
    """How long a pod may take until it is ready, its image already there."""
    spec = service.spec
    return ceil(spec.rollout.start_budget.seconds + spec.voice_cache.warmup.deadline.seconds)


def _pod(inputs: Inputs, redis: RedisAccess, results: ResultAccess) -> Manifest:
    service = inputs.service
    drain = service.spec.drain
    pod: Manifest = {
        "serviceAccountName": service.name,
        "automountServiceAccountToken": False,
        # A Service called timbre would inject variables with our prefix.
        "enableServiceLinks": False,
        # No preStop: on SIGTERM the server itself goes on serving for as long as endpoints may send requests.
        "terminationGracePeriodSeconds": ceil(drain.accept.seconds + drain.timeout.seconds) + _EXIT_SECONDS,
        "securityContext": pod_security(_USER),
        "containers": [_container(inputs, redis, results)],
        "volumes": _volumes(service, redis, results),
        "topologySpreadConstraints": [
            _spread(service, key) for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
        ],
    }
    if device_tolerations := tolerations(service):
        pod["tolerations"] = device_tolerations
    return pod


def _container(inputs: Inputs, redis: RedisAccess, results: ResultAccess) -> Manifest:
    service, release = inputs.service, inputs.release
    default_image = release.torch_image if service.spec.engine.name == "pocket-tts" else release.server_image
    environment = [*build_environment(service), *voices_environment(service), *redis.environment, *results.environment]
    mounts = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108  # an emptyDir of this pod alone
    if redis.sources:
        mounts.append({"name": "redis", "mountPath": MOUNT})
    mounts += [*voices_mounts(service), *results.mounts]
    if _downloads(service):
        mounts.append({"name": "models", "mountPath": _MODELS})
        environment.append({"name": "HF_HOME", "value": _MODELS})
    container: Manifest = {
        "name": CONTAINER,
        "image": service.spec.image or default_image,
        "env": environment,
        "ports": [
            {"name": "http", "containerPort": api.API_PORT},
            {"name": "admin", "containerPort": api.ADMIN_PORT},
        ],
        "resources": build_resources(service),
        "securityContext": container_security(),
        "startupProbe": {
            **_probe(api.READY_PATH),
            "periodSeconds": _STARTUP_PERIOD_SECONDS,
            "timeoutSeconds": 2,
            "failureThreshold": ceil(start_seconds(service) / _STARTUP_PERIOD_SECONDS),
        },
        "readinessProbe": {**_probe(api.READY_PATH), "periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 2},
        # A minute of silence: only a restart helps then.  It never depends on Redis or on the load.
        "livenessProbe": {**_probe(api.LIVE_PATH), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        # The end of the log is the termination message: status tells why a pod ended without anybody reading logs.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }
    if results.environment_from:
        container["envFrom"] = list(results.environment_from)
    return container


def _probe(path: str) -> Manifest:
    return {"httpGet": {"path": path, "port": "admin"}}


def _downloads(service: VoiceService) -> bool:
    engine = service.spec.engine
    if engine.name not in _DOWNLOADING_ENGINES:
        return False
    return bool((engine.model and engine.model.id) or {"model_id", "codec_model_id"} & set(engine.options or {}))


def _volumes(service: VoiceService, redis: RedisAccess, results: ResultAccess) -> list[Manifest]:
    # Recordings on their way to the decoder: at most 10 MiB each.
    volumes: list[Manifest] = [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]
    if redis.sources:
        # Readable by the group, which is fsGroup; 0440 in decimal, as the API shows it.
        volumes.append({"name": "redis", "projected": {"defaultMode": 0o440, "sources": list(redis.sources)}})
    volumes += [*voices_volumes(service), *results.volumes]
    if _downloads(service):
        volumes.append({"name": "models", "emptyDir": {}})
    return volumes


def _spread(service: VoiceService, topology_key: str) -> Manifest:
    return {
        "topologyKey": topology_key,
        "maxSkew": 1,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels.selector(service.name, labels.SERVER_COMPONENT)},
        # So that during a rollout the old pods do not count.
        "matchLabelKeys": ["pod-template-hash"],
    }


def pod_security(user: int) -> Manifest:
    """What the Pod Security Standard "restricted" wants of a pod."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Manifest:
    """The same of a container, and a file system that nobody writes."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
