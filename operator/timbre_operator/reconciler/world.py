"""What does a turn find around it, the same for every VoiceService?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from timbre_operator.metrics import Metrics
from timbre_operator.observed import Failure, OptionalKind
from timbre_operator.ports import Cluster, LoadSource
from timbre_operator.reconciler.live import Live
from timbre_operator.settings import Release


def _moment() -> datetime:
    return datetime.now(UTC)


@dataclass
class Surroundings:
    """What the cluster has besides the services; the resync asks for it."""

    kinds: frozenset[OptionalKind] = frozenset()
    silent_kinds: Mapping[OptionalKind, str] = field(default_factory=dict)
    """Optional kinds whose API group does not answer, and why; what is known of them stays."""
    metrics_api: str | None = None
    """Why an HPA cannot read the series; None while it can."""
    failures: tuple[Failure, ...] = ()
    """Kinds that may not be listed."""


@dataclass(frozen=True, kw_only=True)
class World:
    """Everything outside of the decision."""

    cluster: Cluster
    live: Live
    load: LoadSource
    release: Release
    metrics: Metrics
    clock: Callable[[], float]
    """Seconds that only grow."""
    now: Callable[[], datetime] = _moment
    surroundings: Surroundings = field(default_factory=Surroundings)
