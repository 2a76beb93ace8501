"""How far is the Deployment, and does it get on?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from timbre_operator.observed import Manifest, Observed
from timbre_operator.status.finding import Finding, Verdict, quoted
from timbre_operator.status.pods import conditions_of
from timbre_operator.voiceservice.names import REDIS_SUFFIX

SETTLED: Final = "Settled"
STUCK: Final = "ProgressDeadlineExceeded"


@dataclass(frozen=True)
class Rollout:
    """The numbers of a Deployment."""

    desired: int
    pods: int
    new: int
    ready: int
    available: int
    seen: bool
    """Whether its controller has seen the newest spec."""

    @classmethod
    def of(cls, deployment: Manifest) -> Rollout:
        """From its spec and status; what its controller leaves out is zero."""
        spec, status = deployment["spec"], deployment.get("status") or {}
        generation = deployment["metadata"].get("generation") or 0
        return cls(
            desired=int(spec.get("replicas", 1)),
            pods=int(status.get("replicas") or 0),
            new=int(status.get("updatedReplicas") or 0),
            ready=int(status.get("readyReplicas") or 0),
            available=int(status.get("availableReplicas") or 0),
            seen=int(status.get("observedGeneration") or 0) >= generation,
        )

    @property
    def settled(self) -> bool:
        """Whether all pods there shall be are there, new and serving, and no others."""
        return self.seen and self.desired == self.pods == self.new == self.ready


def rollout_of(observed: Observed) -> Rollout | None:
    """None before there is a Deployment of ours."""
    deployment = observed.child("Deployment")
    return Rollout.of(deployment) if deployment else None


def stuck(observed: Observed) -> Finding | None:
    """The Deployment's controller has seen no progress for too long."""
    deployment = observed.child("Deployment")
    condition = conditions_of(deployment).get("Progressing") if deployment else None
    if condition is None or condition.get("reason") != STUCK:
        return None
    return Finding(
        STUCK,
        f"Deployment {observed.service.name} does not get on; correct the spec, or go back to the one before"
        f"{_changed(observed)}; its controller says: {quoted(str(condition.get('message', '')))}",
    )


def progressing(observed: Observed, trouble: Finding | None) -> Verdict:
    """The condition Progressing; ``trouble`` is what holds the pods up, if anything does."""
    if halted := stuck(observed):
        return Verdict.false(Finding(STUCK, trouble.message if trouble else halted.message))
    rollout = rollout_of(observed)
    if rollout is None:
        return Verdict("True", "Creating", "the objects of the service are being made")
    if not rollout.seen or rollout.new < rollout.desired or rollout.pods > rollout.new:
        return Verdict("True", "RollingOut", _rolling(observed, rollout))
    if rollout.ready < rollout.desired:
        return Verdict("True", "PodsStarting", f"{rollout.ready} of {rollout.desired} pods serve")
    return _redis_rollout(observed) or Verdict("False", SETTLED, "every pod is as the spec says")


def _rolling(observed: Observed, rollout: Rollout) -> str:
    if not rollout.seen:
        return f"the pods are about to be replaced{_changed(observed)}"
    if rollout.new >= rollout.desired:
        old = rollout.pods - rollout.new
        return f"all {rollout.new} pods are new, {old} old {'pods are' if old > 1 else 'pod is'} leaving{_changed(observed)}"
    return f"{rollout.new} of {rollout.desired} pods are new{_changed(observed)}"


def _changed(observed: Observed) -> str:
    return f"; changed: {observed.changed}" if observed.changed else ""


def _redis_rollout(observed: Observed) -> Verdict | None:
    stateful_set = observed.child("StatefulSet", REDIS_SUFFIX)
    status = (stateful_set or {}).get("status") or {}
    update = status.get("updateRevision")
    if not update or update == status.get("currentRevision"):
        return None
    return Verdict("True", "RedisRollingOut", f"pod {observed.service.name}{REDIS_SUFFIX}-0 is being replaced")
