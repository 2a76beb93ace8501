"""What does the operator need of the world?  Contracts are written once, here; adapters fulfil them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from timbre_operator.observed import Load, Manifest, OptionalKind, PodSample, RedisFacts


@dataclass(frozen=True, order=True)
class ServiceKey:
    """Which VoiceService."""

    namespace: str
    name: str


@dataclass(frozen=True)
class Kind:
    """A kind of objects, as the API addresses it."""

    api_version: str
    kind: str
    plural: str


@dataclass(frozen=True)
class Listing:
    """All objects of a kind at one moment."""

    items: tuple[Manifest, ...]
    resource_version: str
    """Of the moment: what has a larger one is newer than this list."""


@dataclass(frozen=True)
class Discovered:
    """Which optional kinds an API server serves."""

    kinds: frozenset[OptionalKind]
    silent: Mapping[OptionalKind, str] = field(default_factory=dict)
    """Kinds whose API group does not say whether it has them, and why."""


class Cluster(Protocol):
    """The API server.

    Every method raises an error of ``timbre_operator.errors``: ``Forbidden``, ``Invalid``, ``Conflict``, ``NotFound``,
    ``Unavailable`` (it may go through later), each with the message of the API server and never with a secret.
    """

    async def apply(self, manifest: Manifest, *, manager: str, subresource: str = "", new: bool = False) -> Manifest:
        """Server-side apply, forced; returns the object as it is now.

        Raises: Conflict: it is ``new`` and an object of this name is there, or it has a uid and that one is gone.
        """
        ...

    async def create(self, manifest: Manifest) -> Manifest:
        """Raises: Conflict: an object of this name is there."""
        ...

    async def delete(self, manifest: Manifest, *, orphan: bool = False) -> None:
        """Deletes exactly this object (by uid), its dependents later, or never where ``orphan``; no error if it is gone."""
        ...

    async def fetch(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        """None where there is no such object."""
        ...

    async def find(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> list[Manifest]:
        """All of the kind that have these labels and fields; of all namespaces where none is named."""
        ...

    async def snapshot(self, kind: Kind, *, namespace: str = "", labels: Mapping[str, str] | None = None) -> Listing:
        """The same, with the moment that it is of."""
        ...

    async def annotate(self, kind: Kind, namespace: str, name: str, annotations: Mapping[str, str | None]) -> None:
        """Merges annotations into an object that is not ours (a pod); None removes one; no error if it is gone."""
        ...

    async def optional_kinds(self) -> Discovered:
        """Those that this API server serves now; a group that does not answer raises nothing and hides no other one."""
        ...

    async def custom_metrics(self) -> frozenset[str] | None:
        """What ``custom.metrics.k8s.io`` offers, as ``voiceservices.timbre.dev/timbre_queue_depth``; None without it.

        Raises:
            Unavailable: it is registered, and whoever shall serve it does not.
        """
        ...

    async def may(self, verb: str, kind: Kind, namespace: str = "") -> bool:
        """Whether we have this right, in all namespaces where none is named; True where the API server does not tell."""
        ...

    async def announce(self, regarding: Manifest, event: EventNote) -> None:
        """Posts an Event about an object; the same words again are counted, not repeated."""
        ...


@dataclass(frozen=True)
class EventNote:
    """What shall be seen below ``kubectl describe``."""

    type: Literal["Normal", "Warning"]
    reason: str
    """One word in CamelCase."""
    message: str


@dataclass(frozen=True, kw_only=True)
class RedisTarget:
    """How a Redis is reached, passwords and certificates read from their Secrets already."""

    mode: str
    """standalone, sentinel or cluster."""
    address: str
    """host:port, several separated by commas."""
    database: int = 0
    appends: bool = False
    """Whether it was set up to write an append-only file: where it does not, somebody has turned that off."""
    username: str = ""
    password: str = field(default="", repr=False)
    sentinel_master: str = ""
    sentinel_password: str = field(default="", repr=False)
    tls: bool = False
    ca_pem: str = ""
    certificate_pem: str = ""
    key_pem: str = field(default="", repr=False)


class RedisProbe(Protocol):
    """A short look at a Redis."""

    async def look(self, target: RedisTarget) -> RedisFacts:
        """What it says of itself, within a few seconds; whatever is wrong is in the facts, nothing is raised."""
        ...

    async def tune(self, target: RedisTarget, settings: Mapping[str, str]) -> Mapping[str, str]:
        """Sets what a running Redis can be told (CONFIG SET); returns what it refused, with its words."""
        ...


class PodScraper(Protocol):
    """The admin port of a server's pod."""

    async def scrape(self, address: str) -> PodSample | None:
        """Its metrics and its hottest voices; ``address`` is host:port.  None where it does not answer in time."""
        ...


class SeriesSource(Protocol):
    """What the metrics API serves."""

    def services(self) -> Sequence[ServiceKey]:
        """Those that exist now."""
        ...

    def series(self, key: ServiceKey) -> Mapping[str, float] | None:
        """Every series of a service by its name, always numbers; None where there is no such service."""
        ...


class LoadSource(Protocol):
    """What services were asked to do lately."""

    def load(self, key: ServiceKey) -> Load | None:
        """None before its pods were asked for the first time."""
        ...


class Live(Protocol):
    """What is in the cluster now, from watches: read without a request."""

    def services(self) -> Mapping[ServiceKey, Mapping[str, Any]]:
        """Manifests of all VoiceServices."""
        ...

    def pods(self, key: ServiceKey) -> tuple[Manifest, ...]:
        """Pods of one service, the server's and its Redis'."""
        ...
