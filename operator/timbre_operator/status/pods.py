"""What do kubelet, scheduler and API say about each pod?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from timbre_contract import labels
from timbre_operator.observed import Manifest, Observed


@dataclass(frozen=True)
class Ending:
    """How a container ended."""

    reason: str
    """As kubelet calls it: Error, OOMKilled, Completed, ..."""
    exit_code: int
    words: str
    """Termination message: its last lines."""
    at: datetime | None
    ran_seconds: float | None
    """How long it had run then; None where nobody says."""


@dataclass(frozen=True)
class Container:
    """One container of a pod."""

    name: str
    image: str
    memory_limit: str
    ready: bool
    started: bool
    running: bool
    restarts: int
    waiting: str
    """Why it does not run; empty where it does."""
    waiting_words: str
    least_start_seconds: float
    """So long kubelet's startup probe waits for it before it is stopped; 0 where there is none."""
    ending: Ending | None
    """The last one, of this run or the one before."""


@dataclass(frozen=True)
class Warned:
    """A warning among the events of a pod."""

    reason: str
    words: str


@dataclass(frozen=True)
class Pod:
    """One pod that is not leaving."""

    name: str
    node: str
    phase: str
    reason: str
    """Of the pod as a whole: Evicted, UnexpectedAdmissionError, ..."""
    words: str
    unscheduled: str | None
    """The scheduler's words; None where a node was found."""
    containers: tuple[Container, ...]
    """Those that prepare first."""
    warnings: tuple[Warned, ...]
    """Newest first."""
    claims: tuple[str, ...]
    """PersistentVolumeClaims that it mounts."""

    @property
    def where(self) -> str:
        """As messages name it."""
        return f"pod {self.name} on node {self.node}" if self.node else f"pod {self.name}"


def pods_of(observed: Observed, component: str) -> tuple[Pod, ...]:
    """Newest first; those that were deleted and are on their way do not count."""
    wanted = labels.selector(observed.service.name, component)
    found = [
        manifest
        for manifest in observed.pods
        if wanted.items() <= (manifest["metadata"].get("labels") or {}).items()
        and not manifest["metadata"].get("deletionTimestamp")
    ]
    by_name = sorted(found, key=lambda manifest: str(manifest["metadata"]["name"]))
    # Times are whole seconds: of pods of one second the newest is that which is as the Deployment wants it.
    wanted_now = _wishes(((observed.child("Deployment") or {}).get("spec") or {}).get("template") or {})

    def age(manifest: Manifest) -> tuple[str, bool]:
        return str(manifest["metadata"].get("creationTimestamp")), _wishes(manifest) == wanted_now

    return tuple(_pod(manifest, observed) for manifest in sorted(by_name, key=age, reverse=True))


def conditions_of(manifest: Manifest) -> Mapping[str, Mapping[str, Any]]:
    """Its conditions by their type."""
    return {str(item["type"]): item for item in (manifest.get("status") or {}).get("conditions") or ()}


def moment(text: object) -> datetime | None:
    """A time as the API writes it; None where there is none."""
    return datetime.fromisoformat(text) if isinstance(text, str) else None


def warnings_about(observed: Observed, kind: str, name: str) -> Iterator[Warned]:
    """Newest first."""
    for event in observed.events:
        about = event.get("involvedObject") or event.get("regarding") or {}
        if (about.get("kind"), about.get("name")) == (kind, name):
            yield Warned(str(event.get("reason", "")), str(event.get("message") or event.get("note") or ""))


def _wishes(pod: Manifest) -> list[tuple[object, ...]]:
    """What a spec says of each container that admission leaves as it is."""
    containers = (pod.get("spec") or {}).get("containers") or ()
    return [(item.get("name"), item.get("image"), item.get("resources")) for item in containers]


def _pod(manifest: Manifest, observed: Observed) -> Pod:
    status, spec = manifest.get("status") or {}, manifest.get("spec") or {}
    name = str(manifest["metadata"]["name"])
    scheduled = conditions_of(manifest).get("PodScheduled") or {}
    specs = {item["name"]: item for item in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))}
    statuses = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    return Pod(
        name=name,
        node=str(spec.get("nodeName") or ""),
        phase=str(status.get("phase") or "Pending"),
        reason=str(status.get("reason") or ""),
        words=str(status.get("message") or ""),
        unscheduled=str(scheduled.get("message") or "") if scheduled.get("status") == "False" else None,
        containers=tuple(_container(item, specs.get(item["name"]) or {}) for item in statuses),
        warnings=tuple(warnings_about(observed, "Pod", name)),
        claims=tuple(
            str(volume["persistentVolumeClaim"]["claimName"])
            for volume in spec.get("volumes") or ()
            if "persistentVolumeClaim" in volume
        ),
    )


def _container(status: Mapping[str, Any], spec: Mapping[str, Any]) -> Container:
    state, last = status.get("state") or {}, status.get("lastState") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or last.get("terminated")
    return Container(
        name=str(status["name"]),
        # As it was asked for: the status may show a digest.
        image=str(spec.get("image") or status.get("image") or ""),
        memory_limit=str(((spec.get("resources") or {}).get("limits") or {}).get("memory") or ""),
        ready=bool(status.get("ready")),
        started=bool(status.get("started")),
        running="running" in state,
        restarts=int(status.get("restartCount") or 0),
        waiting=str(waiting.get("reason") or ""),
        waiting_words=str(waiting.get("message") or ""),
        least_start_seconds=_least_start_seconds(spec.get("startupProbe")),
        ending=_ending(ended) if ended else None,
    )


def _least_start_seconds(probe: Mapping[str, Any] | None) -> float:
    """Until the last failure that it forgives, with the defaults of the API; kubelet tells times in whole seconds."""
    if not probe:
        return 0
    periods = int(probe.get("failureThreshold") or 3) - 1
    return max(0, int(probe.get("initialDelaySeconds") or 0) + periods * int(probe.get("periodSeconds") or 10) - 1)


def _ending(terminated: Mapping[str, Any]) -> Ending:
    began, ended = moment(terminated.get("startedAt")), moment(terminated.get("finishedAt"))
    return Ending(
        reason=str(terminated.get("reason") or ""),
        exit_code=int(terminated.get("exitCode") or 0),
        words=str(terminated.get("message") or ""),
        at=ended,
        ran_seconds=(ended - began).total_seconds() if began and ended else None,
    )
