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
from timbre_operator.voiceservice.results import ResultCache

Contents = Mapping[str, Mapping[str, str]]
"""Name of a Secret or ConfigMap -> its data as the API gives it (base64 in a Secret); what is not there is left out."""


@dataclass(frozen=True)
class Reference:
    """One key of one object that the spec names, or all of it."""

    kind: Literal["Secret", "ConfigMap"]
    name: str
    key: str
    """Empty where all keys count."""
    field: str
    """Path of the field that names it."""

    def missing_from(self, contents: Contents) -> str | None:
        """A sentence that says what to do; None where it is there."""
        if self.name not in contents:
            what = f", with the key {self.key}" if self.key else ""
            return f"{self.field} names {self.kind} {self.name}, which is not there; create it{what}"
        if self.key and not contents[self.name].get(self.key):
            return (
                f"{self.field} names the key {self.key} of {self.kind} {self.name}, which is not there or empty; add it"
            )
        return None

    def found_in(self, contents: Contents) -> Iterator[tuple[str, str]]:
        """What a pod reads there, each with where it is."""
        data = contents.get(self.name, {})
        for key in (self.key,) if self.key else data:
            yield f"{self.name}/{key}", data.get(key, "")


def redis_references(service: VoiceService) -> tuple[Reference, ...]:
    """What leads to the service's Redis, the managed one's Secret included."""
    redis = service.spec.redis
    if redis is not None and redis.external is not None:
        return tuple(_external(redis.external))
    return (Reference("Secret", service.name + REDIS_SUFFIX, OPERATOR_PASSWORD_KEY, "the managed Redis"),)


def pod_references(service: VoiceService) -> tuple[Reference, ...]:
    """What of other people's Secrets the server's pods read when they start."""
    redis = () if service.managed_redis is not None else redis_references(service)
    return (*redis, *_results(service.spec.result_cache))


def referenced_secrets(service: VoiceService) -> tuple[str, ...]:
    """Names of the Secrets of others whose contents the operator has to read, each once."""
    return tuple(dict.fromkeys(reference.name for reference in pod_references(service)))


def missing_references(service: VoiceService, secrets: Contents) -> tuple[str, ...]:
    """A sentence for everything that the spec names and that is not there; the operator's own Secret is none of it."""
    found = (reference.missing_from(secrets) for reference in pod_references(service))
    return tuple(sentence for sentence in found if sentence)


def secrets_checksum(service: VoiceService, secrets: Contents) -> str:
    """Of what pods read of them at their start; empty where there is nothing."""
    values = dict(found for reference in pod_references(service) for found in reference.found_in(secrets))
    # 64 bits tell two contents apart, and too few to find a password by.
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16] if values else ""


def _results(cache: ResultCache) -> Iterator[Reference]:
    root = "spec.resultCache"
    if not cache.enabled:
        return
    if cache.storage == "Bucket" and cache.bucket is not None and (secret := cache.bucket.credentials_secret_ref):
        yield Reference("Secret", secret.name, "", f"{root}.bucket.credentialsSecretRef")
    if key := cache.encryption_key_secret_ref:
        yield Reference("Secret", key.name, key.key, f"{root}.encryptionKeySecretRef")
    if cache.links is not None:
        keys = cache.links.keys_secret_ref
        yield Reference("Secret", keys.name, keys.key, f"{root}.links.keysSecretRef")


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
