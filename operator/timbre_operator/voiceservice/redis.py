"""Which Redis do the pods of a VoiceService share?

Nothing here has a default that the API server writes: absence means managed, and a default inside one of two alternatives
would stay behind when a user changes to the other one.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from timbre_operator.voiceservice.measures import Size
from timbre_operator.voiceservice.model import KeyName, Model, ObjectName, Rule, Text

DEFAULT_MAX_MEMORY: Final = Size("1Gi")
"""Room for 8,000 voices with a 10 s recording each (130 KiB), by the articles that the project began with."""
VOLUME_FACTOR: Final = 4
"""Size of the volume where it is not written, in multiples of the memory: the file peaks at three, plus room to grow."""
_PEAK_FACTOR: Final = 3
"""While an append-only file is rewritten, the old one, the new one and what was written meanwhile lie side by side."""

_NODE: Final = r"^([A-Za-z0-9][-A-Za-z0-9.]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$"


class SecretKey(Model):
    """A key of a Secret in the namespace of the VoiceService."""

    name: ObjectName
    """The Secret."""
    key: KeyName | None = None
    """Its key; password for a password, ca.crt for certificates."""


class SecretName(Model):
    """A Secret in the namespace of the VoiceService."""

    name: ObjectName
    """The Secret."""


class Storage(Model):
    """The volume of the managed Redis."""

    size: Size | None = None
    """Its size, four times maxMemory where it is not written; it can grow, never shrink."""
    class_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """Its storage class; the cluster's default where it is not written.  Never changes."""
    on_delete: Literal["Retain", "Delete"] | None = None
    """Whether the voices outlive the VoiceService: Retain (also where it is not written) or Delete."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(oldSelf.size) || !has(self.size) || !isQuantity(self.size) || !isQuantity(oldSelf.size)"
            " || quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0",
            "write the size that it had, or a larger one; a volume cannot shrink",
        ),
    )


def _has(spec: str, path: str) -> str:
    """Whether the spec has a field, and all that it lies in.

    ``self.?redis.?managed`` says the same in short, and forgets how long a text may be: the API server estimates a cost without
    bound then, and refuses the CRD.
    """
    parts = path.split(".")
    return " && ".join(f"has({spec}.{'.'.join(parts[: depth + 1])})" for depth in range(len(parts)))


_CLASS: Final = "redis.managed.storage.className"
CLASS_STAYS: Final = Rule(
    f"({_has('self', 'redis.external')}) || ({_has('oldSelf', 'redis.external')})"
    f" || ({_has('self', _CLASS)} ? {_has('oldSelf', _CLASS)} && self.{_CLASS} == oldSelf.{_CLASS}"
    f" : !({_has('oldSelf', _CLASS)}))",
    f"write the {_CLASS} that it had; to move to another one, export the voices and import them again",
)
"""Of the spec: a rule of a part is not asked where the part is new, and the volume is there without one."""


class ManagedRedis(Model):
    """A Redis of its own, run by the operator: one pod with an append-only file on a volume."""

    max_memory: Size | None = None
    """What it may hold, 1Gi where it is not written; the hottest features stay, voices are never evicted.  Another value
    makes a new pod with another limit, which reads its file before it answers."""
    storage: Storage | None = None
    """Its volume."""
    exporter: Literal["Enabled", "Disabled"] | None = None
    """Whether a container beside it serves metrics for Prometheus on port 9121; Enabled where it is not written."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.maxMemory) || !isQuantity(self.maxMemory)"
            " || quantity(self.maxMemory).compareTo(quantity('64Mi')) >= 0",
            "write a maxMemory of 64Mi or more",
            lambda managed: managed.max_memory is None or managed.max_memory.bytes >= Size("64Mi").bytes,
        ),
        Rule(
            "!has(self.storage) || !has(self.storage.size) || !isQuantity(self.storage.size)"
            " || has(self.maxMemory) && !isQuantity(self.maxMemory)"
            " || quantity(self.storage.size).compareTo("
            "quantity(has(self.maxMemory) ? self.maxMemory : '1Gi')"
            ".add(quantity(has(self.maxMemory) ? self.maxMemory : '1Gi'))"
            ".add(quantity(has(self.maxMemory) ? self.maxMemory : '1Gi'))) >= 0",
            "write a storage.size of at least three times maxMemory (1Gi where it is not written);"
            " an append-only file peaks at that",
            lambda managed: managed.volume_bytes >= _PEAK_FACTOR * managed.memory.bytes,
        ),
    )

    @property
    def memory(self) -> Size:
        """What it may hold, default included."""
        return self.max_memory or DEFAULT_MAX_MEMORY

    @property
    def volume_bytes(self) -> int:
        """Size of its volume, default included."""
        written = self.storage.size if self.storage else None
        return written.bytes if written else VOLUME_FACTOR * self.memory.bytes

    @property
    def exports(self) -> bool:
        """Whether it has an exporter."""
        return self.exporter != "Disabled"

    @property
    def retained(self) -> bool:
        """Whether the volume outlives the VoiceService."""
        return self.storage is None or self.storage.on_delete != "Delete"


class Sentinel(Model):
    """How the Sentinels are asked."""

    master: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """Name under which they know the master; mymaster where it is not written."""
    password_secret_ref: SecretKey | None = None
    """Password of the Sentinels themselves."""


class Tls(Model):
    """TLS to an external Redis; {} uses the certificates of the system."""

    ca_secret_ref: SecretKey | None = None
    """Certificates that the server's certificate must come from."""
    certificate_secret_ref: SecretName | None = None
    """Our own certificate, a Secret of type kubernetes.io/tls, for a server that asks for one."""


class ExternalRedis(Model):
    """A Redis that somebody else runs: 7.0 or newer, with maxmemory-policy volatile-lru or noeviction."""

    mode: Literal["Standalone", "Sentinel", "Cluster"] | None = None
    """What the address leads to; Standalone where it is not written."""
    address: Text
    """host:port, several separated by commas; the Sentinels in mode Sentinel, some nodes in mode Cluster."""
    database: Annotated[int, Field(ge=0, le=1023)] | None = None
    """Number of the database."""
    username: Text | None = None
    """ACL user; the default user where it is not written."""
    password_secret_ref: SecretKey | None = None
    """Where the password is."""
    sentinel: Sentinel | None = None
    """How the Sentinels are asked, in mode Sentinel."""
    tls: Tls | None = None
    """TLS; not written = none."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.address.split(',').all(node, node.matches('" + _NODE.replace("\\", "\\\\") + "'))",
            "write address as host:port, several separated by commas, without redis:// and without a password",
            lambda redis: all(re.fullmatch(_NODE, node) for node in redis.address.split(",")),
        ),
        Rule(
            "has(self.mode) && self.mode != 'Standalone' || !self.address.contains(',')",
            "write one address, or mode: Sentinel or mode: Cluster for several",
            lambda redis: (redis.mode or "Standalone") != "Standalone" or "," not in redis.address,
        ),
        Rule(
            "!has(self.database) || self.database == 0 || !has(self.mode) || self.mode != 'Cluster'",
            "remove database; a cluster has database 0 only",
            lambda redis: not redis.database or redis.mode != "Cluster",
        ),
        Rule(
            "!has(self.sentinel) || has(self.mode) && self.mode == 'Sentinel'",
            "remove sentinel, or write mode: Sentinel",
            lambda redis: redis.sentinel is None or redis.mode == "Sentinel",
        ),
    )


class Redis(Model):
    """The Redis that all pods share: a managed one unless external is written."""

    managed: ManagedRedis | None = None
    """A Redis of its own; {} and nothing at all mean the same."""
    external: ExternalRedis | None = None
    """A Redis that somebody else runs."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!(has(self.managed) && has(self.external))",
            "write either managed or external",
            lambda redis: redis.managed is None or redis.external is None,
        ),
    )
