"""The HPA as its documentation and its controller have it, in as much time as a simulation gives it.

References: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/ (algorithm, stabilisation, policies);
kubernetes ``pkg/controller/podautoscaler/horizontal.go`` (``stabilizeRecommendationWithBehaviors``,
``convertDesiredReplicasWithBehaviorRate``) for what the documentation leaves open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import Any, Final

from timbre_operator.scaling.proposals import replicas_for
from timbre_operator.voiceservice.measures import quantity

PERIOD_SECONDS: Final = 15.0
"""Default of ``--horizontal-pod-autoscaler-sync-period``."""


@dataclass(frozen=True)
class Look:
    """What one look decided, and what the HPA says about it in its conditions."""

    replicas: int
    able_to_scale: str = "ReadyForNewScale"
    scaling_limited: str = ""
    """Empty while nothing limits it."""


@dataclass
class Hpa:
    """One HorizontalPodAutoscaler, made from the ``spec`` of its manifest."""

    spec: Mapping[str, Any]
    _recommendations: list[tuple[float, int]] = field(default_factory=list)
    _changes: list[tuple[float, int]] = field(default_factory=list)
    """When pods were added (positive) or removed."""

    @property
    def targets(self) -> Mapping[str, Fraction]:
        """``averageValue`` of each series."""
        metrics = (metric["object"] for metric in self.spec["metrics"])
        return {metric["metric"]["name"]: quantity(metric["target"]["averageValue"]) for metric in metrics}

    def look(self, series: Mapping[str, float] | None, replicas: int, now: float) -> Look:
        """How many pods there are to be from now on; without series nothing changes."""
        if series is None:
            return Look(replicas, "FailedGetObjectMetric")
        wanted = max(replicas_for(series[name], target, replicas) for name, target in self.targets.items())
        stable, able = self._stabilised(wanted, replicas, now)
        limited, why = self._limited(stable, replicas, now)
        if limited != replicas:
            self._changes.append((now, limited - replicas))
        return Look(limited, able, why)

    def _stabilised(self, wanted: int, replicas: int, now: float) -> tuple[int, str]:
        windows = {name: self._rules(name)["stabilizationWindowSeconds"] for name in ("scaleUp", "scaleDown")}
        lowest = min([wanted, *(r for at, r in self._recommendations if at > now - windows["scaleUp"])])
        highest = max([wanted, *(r for at, r in self._recommendations if at > now - windows["scaleDown"])])
        self._recommendations = [item for item in self._recommendations if item[0] > now - max(windows.values())]
        self._recommendations.append((now, wanted))
        stable = min(max(replicas, lowest), highest)
        if stable == wanted:
            return stable, "ReadyForNewScale"
        return stable, "ScaleUpStabilized" if wanted >= replicas else "ScaleDownStabilized"

    def _limited(self, wanted: int, replicas: int, now: float) -> tuple[int, str]:
        least, most = self.spec["minReplicas"], self.spec["maxReplicas"]
        if wanted > replicas:
            limit = max(replicas, self._limit("scaleUp", replicas, now))
            if wanted > min(limit, most):
                return min(limit, most), "ScaleUpLimit" if limit < most else "TooManyReplicas"
        elif wanted < replicas:
            limit = min(replicas, self._limit("scaleDown", replicas, now))
            if wanted < max(limit, least):
                return max(limit, least), "ScaleDownLimit" if limit > least else "TooFewReplicas"
        bounded = min(max(wanted, least), most)
        return bounded, "" if bounded == wanted else "TooFewReplicas" if bounded > wanted else "TooManyReplicas"

    def _limit(self, direction: str, replicas: int, now: float) -> int:
        rules = self._rules(direction)
        if rules["selectPolicy"] == "Disabled":
            return replicas
        proposals = [self._proposal(direction, policy, replicas, now) for policy in rules["policies"]]
        widest = max if direction == "scaleUp" else min
        narrowest = min if direction == "scaleUp" else max
        return narrowest(proposals) if rules["selectPolicy"] == "Min" else widest(proposals)

    def _proposal(self, direction: str, policy: Mapping[str, Any], replicas: int, now: float) -> int:
        changed = sum(change for at, change in self._changes if at > now - policy["periodSeconds"])
        at_start, value = replicas - changed, policy["value"]
        if direction == "scaleUp":
            return at_start + value if policy["type"] == "Pods" else ceil(at_start * (1 + value / 100))
        return at_start - value if policy["type"] == "Pods" else int(at_start * (1 - value / 100))

    def _rules(self, direction: str) -> Mapping[str, Any]:
        rules: Mapping[str, Any] = self.spec["behavior"][direction]
        policies: Sequence[Any] = rules.get("policies") or ()
        defaults = {"stabilizationWindowSeconds": 300 if direction == "scaleDown" else 0, "selectPolicy": "Max"}
        return {**defaults, **rules, "policies": policies or _DEFAULT_POLICIES[direction]}


# https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#default-behavior
_DEFAULT_POLICIES: Final[Mapping[str, Sequence[Mapping[str, Any]]]] = {
    "scaleUp": [
        {"type": "Percent", "value": 100, "periodSeconds": 15},
        {"type": "Pods", "value": 4, "periodSeconds": 15},
    ],
    "scaleDown": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}
