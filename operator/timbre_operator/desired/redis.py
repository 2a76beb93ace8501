"""Which objects are the managed Redis?"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from math import ceil
from typing import Final

from timbre_contract import labels
from timbre_operator.desired.inputs import Inputs, Manifest
from timbre_operator.desired.network import build_redis_network_policy
from timbre_operator.desired.ownership import child, digest
from timbre_operator.desired.pod import container_security, pod_security
from timbre_operator.desired.redis_access import OPERATOR_PASSWORD_KEY, POD_PASSWORD_KEY, REDIS_PORT
from timbre_operator.desired.redis_config import (
    ACL_FOLDER,
    CONFIG_FOLDER,
    DATA_FOLDER,
    PROBE_USER,
    redis_conf,
    users_acl,
)
from timbre_operator.desired.redis_exporter import PASSWORD_FILE, build_exporter, password_file
from timbre_operator.desired.resources import MIB
from timbre_operator.voiceservice.names import ACL_SUFFIX, REDIS_SUFFIX
from timbre_operator.voiceservice.redis import ManagedRedis

_COMPONENT: Final = labels.REDIS_COMPONENT
_USER: Final = 999
"""Of redis and valkey in their images; the volume is theirs by fsGroup in any case."""
_MEMORY_SHARE: Final = 0.75
"""Of the container's memory for what maxmemory counts; the rest is for buffers and for pages copied while the file is
rewritten."""


def build_redis(inputs: Inputs) -> Iterator[Manifest]:
    """All of them; none with an external Redis."""
    managed = inputs.service.managed_redis
    if managed is None:
        return
    yield build_password_secret(inputs)
    yield build_acl_secret(inputs)
    yield build_config_map(inputs, managed)
    yield build_redis_service(inputs)
    yield build_redis_network_policy(inputs)
    yield build_stateful_set(inputs, managed)


def build_password_secret(inputs: Inputs) -> Manifest:
    """The passwords, made once: whoever wants others deletes this Secret."""
    secret = child(
        inputs.service,
        "v1",
        "Secret",
        suffix=REDIS_SUFFIX,
        component=_COMPONENT,
        type="Opaque",
        data={
            POD_PASSWORD_KEY: _base64(inputs.redis_passwords.pods),
            OPERATOR_PASSWORD_KEY: _base64(inputs.redis_passwords.operator),
        },
    )
    secret["metadata"]["annotations"] = {labels.CREATE_ONCE_ANNOTATION: "true"}
    return secret


def build_acl_secret(inputs: Inputs) -> Manifest:
    """Who may do what: hashes of the passwords and the rights of this release; and the exporter's own password."""
    data = {
        "users.acl": _base64(users_acl(inputs.redis_passwords)),
        PASSWORD_FILE: _base64(password_file(inputs.redis_passwords)),
    }
    return child(inputs.service, "v1", "Secret", suffix=ACL_SUFFIX, component=_COMPONENT, type="Opaque", data=data)


def build_config_map(inputs: Inputs, managed: ManagedRedis) -> Manifest:
    """``redis.conf``."""
    data = {"redis.conf": redis_conf(managed)}
    return child(inputs.service, "v1", "ConfigMap", suffix=REDIS_SUFFIX, component=_COMPONENT, data=data)


def build_redis_service(inputs: Inputs) -> Manifest:
    """One address that stays when the pod moves.

    Ready or not: an exporter whose image does not come keeps nobody from Redis, and a Redis that reads its file says so.
    """
    spec = {
        "type": "ClusterIP",
        "publishNotReadyAddresses": True,
        "selector": labels.selector(inputs.service.name, _COMPONENT),
        "ports": [{"name": "redis", "port": REDIS_PORT, "targetPort": "redis", "protocol": "TCP"}],
    }
    return child(inputs.service, "v1", "Service", suffix=REDIS_SUFFIX, component=_COMPONENT, spec=spec)


def build_stateful_set(inputs: Inputs, managed: ManagedRedis) -> Manifest:
    """One pod on one volume; it never fails over, and the volume stays unless its removal was asked for."""
    service = inputs.service
    claim: Manifest = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": _volume_size(managed, inputs.volume_bytes)}},
    }
    if managed.storage and managed.storage.class_name:
        claim["storageClassName"] = managed.storage.class_name
    spec = {
        "replicas": 1,
        # With OrderedReady a pod that cannot start is never replaced, not even by a corrected one (kubernetes#67250).
        "podManagementPolicy": "Parallel",
        "serviceName": f"{service.name}{REDIS_SUFFIX}",
        "selector": {"matchLabels": labels.selector(service.name, _COMPONENT)},
        "template": _pod_template(inputs, managed),
        "volumeClaimTemplates": [
            {"metadata": {"name": "data", "labels": labels.selector(service.name, _COMPONENT)}, "spec": claim}
        ],
        "persistentVolumeClaimRetentionPolicy": {
            "whenDeleted": "Retain" if managed.retained else "Delete",
            "whenScaled": "Retain",
        },
    }
    return child(service, "apps/v1", "StatefulSet", suffix=REDIS_SUFFIX, component=_COMPONENT, spec=spec)


def _pod_template(inputs: Inputs, managed: ManagedRedis) -> Manifest:
    name = f"{inputs.service.name}{REDIS_SUFFIX}"
    checksum = digest({"conf": redis_conf(managed), "acl": users_acl(inputs.redis_passwords)})
    return {
        "metadata": {
            "labels": labels.selector(inputs.service.name, _COMPONENT),
            "annotations": {labels.CONFIG_CHECKSUM_ANNOTATION: checksum},
        },
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 30,
            "securityContext": pod_security(_USER),
            "containers": [_container(inputs, managed), *([build_exporter(inputs)] if managed.exports else [])],
            "volumes": [
                {"name": "config", "configMap": {"name": name}},
                _secret_file(inputs, "acl", "users.acl"),
                *([_secret_file(inputs, "exporter", PASSWORD_FILE)] if managed.exports else []),
            ],
        },
    }


def _container(inputs: Inputs, managed: ManagedRedis) -> Manifest:
    memory = f"{ceil(managed.memory.bytes / _MEMORY_SHARE / MIB)}Mi"
    asks = ["-p", str(REDIS_PORT), "--user", PROBE_USER, "--pass", "-", "--no-auth-warning"]
    # -e: an error, as LOADING while the file is read, is a failure; without it redis-cli exits with 0.
    serves: Manifest = {
        "exec": {"command": ["redis-cli", "-e", *asks, "ping"]},
        "periodSeconds": 5,
        "timeoutSeconds": 3,
    }
    # With a disk that is full it answers a ping with MISCONF, and a restart would lose what it has not written.  So it has
    # started when it takes another command, which reads and writes nothing: to wait for no replica is over at once.
    started: Manifest = {**serves, "exec": {"command": ["redis-cli", "-e", *asks, "wait", "0", "0"]}}
    # And whatever it answers, it lives.
    lives: Manifest = {"exec": {"command": ["redis-cli", *asks, "ping"]}, "periodSeconds": 10, "timeoutSeconds": 3}
    return {
        "name": "redis",
        "image": inputs.release.redis_image,
        "command": ["redis-server", f"{CONFIG_FOLDER}/redis.conf"],
        "ports": [{"name": "redis", "containerPort": REDIS_PORT}],
        "resources": {"requests": {"cpu": "100m", "memory": memory}, "limits": {"memory": memory}},
        "securityContext": container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        # Reading 4 GB of append-only file takes about a minute; ten are for slow disks.
        "startupProbe": {**started, "failureThreshold": 120},
        "readinessProbe": {**serves, "failureThreshold": 2},
        "livenessProbe": {**lives, "failureThreshold": 6},
        "volumeMounts": [
            {"name": "data", "mountPath": DATA_FOLDER},
            {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
            {"name": "acl", "mountPath": ACL_FOLDER, "readOnly": True},
        ],
    }


def _secret_file(inputs: Inputs, volume: str, key: str) -> Manifest:
    """One key of the Secret, for the one container that needs it."""
    source = {
        "secretName": f"{inputs.service.name}{ACL_SUFFIX}",
        "defaultMode": 0o440,
        "items": [{"key": key, "path": key}],
    }
    return {"name": volume, "secret": source}


def _volume_size(managed: ManagedRedis, there_bytes: int) -> str:
    written = managed.storage.size if managed.storage else None
    if written and managed.volume_bytes >= there_bytes:
        return str(written)
    return f"{ceil(max(managed.volume_bytes, there_bytes) / MIB)}Mi"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
