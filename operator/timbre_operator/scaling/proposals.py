"""How many pods does each series ask for, as the autoscaler computes it?

References: kubernetes ``pkg/controller/podautoscaler/replica_calculator.go``, ``GetObjectPerPodMetricReplicas``: total over
target, rounded up, unless that is within the tolerance of what there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Final

from timbre_contract import labels
from timbre_operator.voiceservice import VoiceService
from timbre_operator.voiceservice.measures import to_milli, to_quantity
from timbre_operator.voiceservice.status import Proposal

TOLERANCE: Final = Fraction(1, 10)
"""The autoscaler's default (``--horizontal-pod-autoscaler-tolerance``)."""


@dataclass(frozen=True)
class Asked:
    """What one series asks for."""

    series: str
    value: float
    target: Fraction
    """What one pod shall carry of it."""
    replicas: int
    """Before bounds, policies and stabilisation."""

    def to_proposal(self) -> Proposal:
        """As the status has it."""
        return Proposal(series=self.series, value=to_quantity(self.value), replicas=self.replicas)


def targets_of(service: VoiceService) -> Mapping[str, Fraction]:
    """What one pod shall carry of each series that scales."""
    targets = service.spec.autoscaling.targets
    return {
        labels.QUEUE_DEPTH_SERIES: Fraction(targets.queue_depth),
        labels.WORK_SECONDS_SERIES: Fraction(targets.utilization_percent, 100),
    }


def asked(series: str, value: float, target: Fraction, replicas: int) -> Asked:
    """What a series asks for while there are ``replicas`` pods."""
    return Asked(series, value, target, replicas_for(value, target, replicas))


def replicas_for(value: float, target: Fraction, replicas: int, tolerance: Fraction = TOLERANCE) -> int:
    """The number of pods for a total, read in thousandths."""
    milli, target_milli = to_milli(value), target * 1000
    if replicas > 0 and abs(milli / (target_milli * replicas) - 1) <= tolerance:
        return replicas
    return ceil(milli / target_milli)
