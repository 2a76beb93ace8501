"""Which pod is missed least when there are to be fewer?

Kubernetes removes pods with a lower cost first, and pods without one count 0: new pods, which hold nothing yet, go before old
ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from timbre_operator.observed import PodSample
from timbre_operator.scaling.counters import IN_FLIGHT, gauge

ANNOTATION: Final = "controller.kubernetes.io/pod-deletion-cost"
"""Kubernetes' own; https://kubernetes.io/docs/reference/labels-annotations-taints/#pod-deletion-cost"""
LEAST_SECONDS: Final = 30.0
"""Between two changes: the annotation's documentation asks not to follow a metric with it, and no autoscaler of ours removes
two pods within that time."""
HEAT_STEPS: Final = 20
"""How finely pods are told apart by what they hold, which changes slowly: by five percent of the hottest."""
FLIGHT_STEPS: Final = 4
"""And by what they do just now, which never stays: by quarters of the busiest, or their order would change at each look."""


@dataclass(frozen=True)
class DeletionCosts:
    """What each pod is to be annotated with; 0 = no annotation needed."""

    costs: Mapping[str, int]
    since: float
    """When they were decided."""


def deletion_costs(samples: Mapping[str, PodSample], previous: DeletionCosts, now: float) -> DeletionCosts:
    """The costs by name of the pod; ``previous`` itself while the order of the pods is the same or has just changed.

    Counted are requests in flight, and the heat of voices that no other pod of the service holds, each in parts of the pod
    that has most of it.
    """
    if now - previous.since < LEAST_SECONDS:
        return previous
    costs = _costs(samples)
    there = {pod: previous.costs.get(pod, 0) for pod in costs}
    if _order(costs) == _order(there):
        return previous
    return DeletionCosts(costs, now)


def _costs(samples: Mapping[str, PodSample]) -> dict[str, int]:
    if len(samples) < 2:
        return dict.fromkeys(samples, 0)
    in_flight = {pod: gauge(sample, IN_FLIGHT) for pod, sample in samples.items()}
    heat = _unique_heat(samples)
    most_in_flight, most_heat = max(in_flight.values()), max(heat.values())
    return {
        pod: round(FLIGHT_STEPS * _share(in_flight[pod], most_in_flight)) * HEAT_STEPS // FLIGHT_STEPS
        + round(HEAT_STEPS * _share(heat[pod], most_heat))
        for pod in samples
    }


def _unique_heat(samples: Mapping[str, PodSample]) -> dict[str, float]:
    holders = Counter(voice.digest for sample in samples.values() for voice in sample.held)
    return {
        pod: sum(max(0.0, voice.heat) for voice in sample.held if holders[voice.digest] == 1)
        for pod, sample in samples.items()
    }


def _share(part: float, most: float) -> float:
    return part / most if most > 0.0 else 0.0


def _order(costs: Mapping[str, int]) -> list[frozenset[str]]:
    """Pods from the least to the most missed; those of one cost together."""
    return [frozenset(pod for pod in costs if costs[pod] == cost) for cost in sorted(set(costs.values()))]
