"""How does the operator itself reach the Redis of a service?"""

from __future__ import annotations

import base64

from timbre_operator.desired.redis_access import OPERATOR_PASSWORD_KEY, managed_address
from timbre_operator.desired.redis_config import OPERATOR_USER
from timbre_operator.desired.references import Contents, redis_references
from timbre_operator.observed import RedisFacts, RedisProblem
from timbre_operator.ports import RedisTarget
from timbre_operator.voiceservice import VoiceService
from timbre_operator.voiceservice.names import REDIS_SUFFIX
from timbre_operator.voiceservice.redis import ExternalRedis, SecretKey, Sentinel, Tls


def redis_target(service: VoiceService, secrets: Contents) -> RedisTarget | RedisFacts:
    """Where to look and as whom; facts with the problem where a Secret is missing and no look is possible.

    ``secrets`` holds those that ``references.redis_references`` name.
    """
    redis = service.spec.redis
    external = redis.external if redis else None
    address = external.address if external else managed_address(service)
    sentences = [missing for reference in redis_references(service) if (missing := reference.missing_from(secrets))]
    if sentences:
        return _without(address, "; ".join(sentences))
    try:
        return _external(external, secrets) if external else _managed(service, secrets)
    except ValueError:
        return _without(address, "a password or a certificate in a Secret is no text in UTF-8; write it again")


def _without(address: str, detail: str) -> RedisFacts:
    return RedisFacts(address=address, problem=RedisProblem.SECRET_MISSING, detail=detail)


def _managed(service: VoiceService, secrets: Contents) -> RedisTarget:
    password = SecretKey(name=service.name + REDIS_SUFFIX, key=OPERATOR_PASSWORD_KEY)
    return RedisTarget(
        mode="standalone",
        address=managed_address(service),
        appends=True,
        username=OPERATOR_USER,
        password=_value(secrets, password, ""),
    )


def _external(redis: ExternalRedis, secrets: Contents) -> RedisTarget:
    sentinel, tls = redis.sentinel or Sentinel(), redis.tls or Tls()
    certificate = tls.certificate_secret_ref
    own = SecretKey(name=certificate.name) if certificate else None
    return RedisTarget(
        mode=(redis.mode or "Standalone").lower(),
        address=redis.address,
        database=redis.database or 0,
        username=redis.username or "",
        password=_value(secrets, redis.password_secret_ref, "password"),
        sentinel_master=sentinel.master or "mymaster",
        sentinel_password=_value(secrets, sentinel.password_secret_ref, "password"),
        tls=redis.tls is not None,
        ca_pem=_value(secrets, tls.ca_secret_ref, "ca.crt"),
        certificate_pem=_value(secrets, own, "tls.crt"),
        key_pem=_value(secrets, own, "tls.key"),
    )


def _value(secrets: Contents, reference: SecretKey | None, key: str) -> str:
    """Without the line end that editors leave, as the server reads it from its file; empty where nothing is named.

    Raises:
        ValueError: it is no text.
    """
    if reference is None:
        return ""
    return base64.b64decode(secrets[reference.name][reference.key or key]).decode().strip()
