"""How does a pod reach its Redis: address, user, and the files with passwords and certificates?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from timbre_operator.desired.inputs import Manifest
from timbre_operator.voiceservice import VoiceService
from timbre_operator.voiceservice.names import REDIS_SUFFIX
from timbre_operator.voiceservice.redis import ExternalRedis, SecretKey

MOUNT: Final = "/etc/timbre/redis"
REDIS_PORT: Final = 6379
POD_USER: Final = "timbre"
POD_PASSWORD_KEY: Final = "password"  # noqa: S105  # the name of a key
OPERATOR_PASSWORD_KEY: Final = "operator-password"  # noqa: S105  # the name of a key


@dataclass(frozen=True)
class RedisAccess:
    """What the server's container gets."""

    environment: tuple[Manifest, ...]
    sources: tuple[Manifest, ...]
    """Of a projected volume at ``MOUNT``; empty where there is no secret."""


def build_redis_access(service: VoiceService) -> RedisAccess:
    """To the managed Redis, or to the external one."""
    redis = service.spec.redis
    if redis is not None and redis.external is not None:
        return _external(redis.external)
    return RedisAccess(
        environment=(
            _variable("URL", f"redis://{managed_address(service)}/0"),
            _variable("MODE", "standalone"),
            _variable("USERNAME", POD_USER),
            _variable("PASSWORD_FILE", f"{MOUNT}/password"),
        ),
        sources=(_source(f"{service.name}{REDIS_SUFFIX}", POD_PASSWORD_KEY, "password"),),
    )


def managed_address(service: VoiceService) -> str:
    """host:port of the managed Redis, without the cluster's domain: pods search it, and it may have any name."""
    return f"{service.name}{REDIS_SUFFIX}.{service.namespace}.svc:{REDIS_PORT}"


def _external(redis: ExternalRedis) -> RedisAccess:
    mode = (redis.mode or "Standalone").lower()
    scheme = "redis" if redis.tls is None else "rediss"
    environment = [
        _variable("URL", f"{scheme}://{redis.address}/{redis.database or 0}"),
        _variable("MODE", mode),
    ]
    sources: list[Manifest] = []
    if redis.username:
        environment.append(_variable("USERNAME", redis.username))

    def mount(variable: str, reference: SecretKey | None, key: str, path: str) -> None:
        if reference is not None:
            environment.append(_variable(variable, f"{MOUNT}/{path}"))
            sources.append(_source(reference.name, reference.key or key, path))

    mount("PASSWORD_FILE", redis.password_secret_ref, "password", "password")
    if redis.sentinel is not None:
        if redis.sentinel.master:
            environment.append(_variable("SENTINEL_MASTER", redis.sentinel.master))
        mount("SENTINEL_PASSWORD_FILE", redis.sentinel.password_secret_ref, "password", "sentinel-password")
    if redis.tls is not None:
        mount("TLS_CA_FILE", redis.tls.ca_secret_ref, "ca.crt", "ca.crt")
        if certificate := redis.tls.certificate_secret_ref:
            mount("TLS_CERT_FILE", SecretKey(name=certificate.name), "tls.crt", "tls.crt")
            mount("TLS_KEY_FILE", SecretKey(name=certificate.name), "tls.key", "tls.key")
    return RedisAccess(tuple(environment), tuple(sources))


def _variable(name: str, value: str) -> Manifest:
    return {"name": f"TIMBRE_REDIS__{name}", "value": value}


def _source(secret: str, key: str, path: str) -> Manifest:
    return {"secret": {"name": secret, "items": [{"key": key, "path": path}]}}
