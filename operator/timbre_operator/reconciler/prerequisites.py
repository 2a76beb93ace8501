"""What has to be known before the children can be built: passwords, referenced Secrets, the size of the volume?"""

from __future__ import annotations

import base64
import binascii
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from timbre_contract import labels
from timbre_operator.desired import Inputs, RedisPasswords
from timbre_operator.desired.redis import build_password_secret
from timbre_operator.desired.redis_access import OPERATOR_PASSWORD_KEY, POD_PASSWORD_KEY
from timbre_operator.desired.references import missing_references, referenced_secrets, secrets_checksum
from timbre_operator.errors import ClusterError, Conflict, NotLeading
from timbre_operator.kinds import SECRET
from timbre_operator.observed import Failure, Manifest, OptionalKind, controller_uid
from timbre_operator.plan import Key
from timbre_operator.ports import Cluster
from timbre_operator.reconciler.live import Live
from timbre_operator.reconciler.memory import Memory
from timbre_operator.reconciler.volume import claimed_bytes
from timbre_operator.settings import Release
from timbre_operator.voiceservice import VoiceService
from timbre_operator.voiceservice.names import ACL_SUFFIX, REDIS_SUFFIX

_PASSWORD_BYTES: Final = 32
"""256 bits: a hash of it tells nobody the password."""
_UNKNOWN: Final = RedisPasswords(pods="", operator="")

logger = logging.getLogger("timbre.reconciler")


@dataclass(frozen=True, kw_only=True)
class Prerequisites:
    """What the builders need, and which of their children have to wait."""

    inputs: Inputs
    secrets: Mapping[str, Mapping[str, str]]
    """Contents of the Secrets that lead to the Redis, and of others that were read."""
    missing: tuple[str, ...] = ()
    """Sentences about what the spec names and is not there."""
    waiting: frozenset[Key] = frozenset()
    """Children that can be neither built nor judged now."""
    failures: tuple[Failure, ...] = ()


class Gathering:
    """Collects them."""

    def __init__(self, cluster: Cluster, live: Live, release: Release, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._live = live
        self._release = release
        self._clock = clock

    async def gather(self, service: VoiceService, kinds: frozenset[OptionalKind], memory: Memory) -> Prerequisites:
        """Of one service; makes the passwords of its Redis where there are none."""
        inputs = Inputs(service=service, release=self._release, redis_passwords=_UNKNOWN, kinds=kinds)
        named = await self._named(inputs, memory)
        if service.managed_redis is None:
            return named
        inputs = replace(named.inputs, volume_bytes=claimed_bytes(service, self._live))
        managed = await self._managed(inputs, memory)
        return replace(managed, missing=named.missing, failures=(*named.failures, *managed.failures))

    async def _managed(self, inputs: Inputs, memory: Memory) -> Prerequisites:
        service = inputs.service
        name = service.name + REDIS_SUFFIX
        key = Key("Secret", service.namespace, name)
        known = self._live.find("Secret", service.namespace, name)
        if known is None and (standing := memory.reads.standing(key, "", self._clock())) is not None:
            return _without_passwords(inputs, standing)
        try:
            secret = known or await self._password_secret(inputs, key, memory)
        except NotLeading:
            raise
        except ClusterError as error:
            return _without_passwords(inputs, memory.reads.add(key, "", error, self._clock()))
        if controller_uid(secret) != service.metadata.uid:
            memory.contested.add(key)  # somebody else's passwords are not used; the plan says that it is not ours
            return _without_passwords(inputs)
        passwords = _passwords(secret)
        if passwords is None:
            words = f"Secret {name} lacks a password; delete it, and it is made anew"
            failure = Failure(kind="Secret", name=name, reason="Damaged", message=words)
            return _without_passwords(inputs, failure)
        return Prerequisites(
            inputs=replace(inputs, redis_passwords=passwords), secrets={name: secret.get("data") or {}}
        )

    async def _password_secret(self, inputs: Inputs, key: Key, memory: Memory) -> Manifest:
        """As it is there; made where it is not.  The answer counts, not what was sent: another operator may be faster."""
        namespace, name = key.namespace, key.name
        if key in memory.doubtful and (found := await self._cluster.fetch(SECRET, namespace, name)) is not None:
            return found
        fresh = RedisPasswords(
            pods=secrets.token_urlsafe(_PASSWORD_BYTES), operator=secrets.token_urlsafe(_PASSWORD_BYTES)
        )
        wanted = build_password_secret(replace(inputs, redis_passwords=fresh))
        try:
            made = await self._cluster.create(wanted)
        except Conflict:
            there = await self._cluster.fetch(SECRET, namespace, name)
            if there is None:
                raise
            return there
        self._live.put(made, quietly=True)
        logger.info("passwords made", extra={"fields": {"namespace": namespace, "object": f"Secret/{name}"}})
        return made

    async def _named(self, inputs: Inputs, memory: Memory) -> Prerequisites:
        """Other people's Secrets, read anew each time: they are not ours to watch, and a change has to reach the pods."""
        service = inputs.service
        contents: dict[str, Mapping[str, str]] = {}
        failures: list[Failure] = []
        for name in referenced_secrets(service):
            key = Key("Secret", service.namespace, name)
            if (standing := memory.reads.standing(key, "", self._clock())) is not None:
                failures.append(standing)
                continue
            try:
                secret = await self._cluster.fetch(SECRET, service.namespace, name)
            except ClusterError as error:
                failures.append(memory.reads.add(key, "", error, self._clock()))
                continue
            if secret is not None:
                contents[name] = secret.get("data") or {}
        missing = () if failures else missing_references(service, contents)
        # What is not there, or could not be read, rolls no pods: new ones would not start.
        checksum = self._running_checksum(service) if missing or failures else secrets_checksum(service, contents)
        return Prerequisites(
            inputs=replace(inputs, secrets_checksum=checksum),
            secrets=contents,
            missing=missing,
            failures=tuple(failures),
        )

    def _running_checksum(self, service: VoiceService) -> str:
        deployment = self._live.find("Deployment", service.namespace, service.name)
        if deployment is None or controller_uid(deployment) != service.metadata.uid:
            return ""
        annotations = deployment["spec"]["template"]["metadata"].get("annotations") or {}
        return str(annotations.get(labels.CONFIG_CHECKSUM_ANNOTATION, ""))


def _without_passwords(inputs: Inputs, *failures: Failure) -> Prerequisites:
    """What is made of them stays as it is; everything else goes on."""
    namespace, name = inputs.service.namespace, inputs.service.name
    waiting = frozenset(
        {
            Key("Secret", namespace, name + REDIS_SUFFIX),
            Key("Secret", namespace, name + ACL_SUFFIX),
            Key("StatefulSet", namespace, name + REDIS_SUFFIX),
        }
    )
    return Prerequisites(inputs=inputs, secrets={}, waiting=waiting, failures=failures)


def _passwords(secret: Manifest) -> RedisPasswords | None:
    """None where one is missing or no text."""
    data = secret.get("data") or {}
    try:
        pods, operator = (base64.b64decode(data[key]).decode() for key in (POD_PASSWORD_KEY, OPERATOR_PASSWORD_KEY))
    except (KeyError, binascii.Error, UnicodeDecodeError):
        return None
    return RedisPasswords(pods=pods, operator=operator) if pods and operator else None
