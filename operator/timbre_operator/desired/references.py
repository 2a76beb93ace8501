"""Which Secrets does a spec name, which of them are missing, and when have they changed?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from timbre_operator.desired.redis_access import OPERATOR_PASSWORD_KEY
from timbre_operator.voiceservice import VoiceService
from timbre_operator.voiceservice.names import REDIS_SUFFIX
from timbre_operator.voiceservice.redis import ExternalRedis, SecretKey

Contents = Mapping[str, Mapping[str, str]]
"""Name of a Secret or ConfigMap -> its data as the API gives it (base64 in a Secret); what is not there is left out."""


@dataclass(frozen=True)
class Reference:
    """One key of one object that the spec names."""

    kind: Literal["Secret", "ConfigMap"]
    name: str
    key: str
    field: str
    """Path of the field that names it."""

    def missing_from(self, contents: Contents) -> str | None:
        """A sentence that says what to do; None where it is there."""
        if self.name not in contents:
            return f"{self.field} names {self.kind} {self.name}, which is not there; create it, with the key {self.key}"
        if not contents[self.name].get(self.key):
            return (
                f"{self.field} names the key {self.key} of {self.kind} {self.name}, which is not there or empty; add it"
            )
        return None


def redis_references(service: VoiceService) -> tuple[Reference, ...]:
    """What leads to the service's Redis, the managed one's Secret included."""
    redis = service.spec.redis
    if redis is not None and redis.external is not None:
        return tuple(_external(redis.external))
    return (Reference("Secret", service.name + REDIS_SUFFIX, OPERATOR_PASSWORD_KEY, "the managed Redis"),)


def referenced_secrets(service: VoiceService) -> tuple[str, ...]:
    """Names of the Secrets whose contents the operator has to read, each once."""
    return tuple(dict.fromkeys(reference.name for reference in redis_references(service)))


def missing_references(service: VoiceService, secrets: Contents) -> tuple[str, ...]:
    """A sentence for everything that the spec names and that is not there; the operator's own Secret is none of it."""
    if service.managed_redis is not None:
        return ()
    found = (reference.missing_from(secrets) for reference in redis_references(service))
    return tuple(sentence for sentence in found if sentence)


def secrets_checksum(service: VoiceService, secrets: Contents) -> str:
    """Of the keys that pods of a service with an external Redis read at their start; empty where there are none."""
    if service.managed_redis is not None:
        return ""
    values = {
        f"{reference.name}/{reference.key}": secrets.get(reference.name, {}).get(reference.key, "")
        for reference in redis_references(service)
    }
    # 64 bits tell two contents apart, and too few to find a password by.
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16] if values else ""


def _external(redis: ExternalRedis) -> Iterator[Reference]:
    root = "spec.redis.external"

    def of(reference: SecretKey | None, key: str, field: str) -> Iterator[Reference]:
        if reference is not None:
            yield Reference("Secret", reference.name, reference.key or key, f"{root}.{field}")

    yield from of(redis.password_secret_ref, "password", "passwordSecretRef")
    if redis.sentinel is not None:
        yield from of(redis.sentinel.password_secret_ref, "password", "sentinel.passwordSecretRef")
    if redis.tls is not None:
        yield from of(redis.tls.ca_secret_ref, "ca.crt", "tls.caSecretRef")
        if certificate := redis.tls.certificate_secret_ref:
            for key in ("tls.crt", "tls.key"):
                yield Reference("Secret", certificate.name, key, f"{root}.tls.certificateSecretRef")
