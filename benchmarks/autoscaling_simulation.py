"""A day of a service: clients, pods that take time to start, the operator's series and decisions, and the HPA.

What decides is the product's own code: the ledger of ``timbre_operator.scaling``, its report and its deletion costs, and the HPA
that ``timbre_operator.desired`` builds.  Simulated are the pods and the HPA's controller (``autoscaling_hpa``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any, Final

import numpy as np

from benchmarks.autoscaling_hpa import PERIOD_SECONDS, Hpa, Look
from benchmarks.autoscaling_pods import ONE_OFF, Costs, SimulatedPod
from timbre_contract import labels
from timbre_operator.desired import Inputs, RedisPasswords, build_autoscaler
from timbre_operator.observed import Observed
from timbre_operator.scaling import DeletionCosts, Ledger, deletion_costs, report
from timbre_operator.settings import default_release
from timbre_operator.voiceservice import VoiceService, from_manifest
from timbre_operator.voiceservice.status import AutoscalingStatus, Decision

SCRAPE_SECONDS: Final = 5.0
_BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_UID: Final = "simulated"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What happens to a service."""

    seconds: int
    rate: Callable[[float], float]
    """Requests per second at a time."""
    one_offs: Callable[[float], float] = lambda _time: 0.0
    """Share of requests that bring their own recording."""
    voices: int = 2000
    """Enrolled ones, asked for as by Zipf's law; Redis has all of them."""
    session_requests: int = 20
    """How often a speaker is asked for in a row before another one takes its turn: chapters of a book, turns of a call."""
    session_gap_seconds: float = 5.0
    """Between two requests of a session, so that so many seconds' requests are of different speakers."""
    slots: int = 50
    """Voices per device: the upper bound of the articles that the project began with."""
    start_seconds: float = 90.0
    """From the creation of a pod until it serves: image and model are on the node."""
    autoscaling: Mapping[str, Any] = field(default_factory=dict)
    """Of the spec of the VoiceService."""
    costs: Costs = field(default_factory=Costs)
    seed: int = 1


@dataclass(frozen=True)
class Moment:
    """The service at one look of the HPA."""

    time: float
    rate: float
    """Requests per second since the last look."""
    work: float
    queue: float
    desired: int
    """Pods that there were to be before it."""
    decided: int
    """And after it."""
    ready: int
    wait_p95: float
    """From arrival to the engine, of requests that began since the last look."""
    refused: int
    hit_rate: float
    """Percent, NaN without look-ups."""


class Simulation:
    """Plays a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.service = service_with(scenario.autoscaling)
        self.hpa = Hpa(hpa_spec(self.service))
        self.moments: list[Moment] = []
        self.decisions: list[tuple[float, Decision]] = []
        """All that were ever reported, with their time, the oldest first."""
        self._chance = np.random.default_rng(scenario.seed)
        weights = 1 / np.arange(1, scenario.voices + 1)
        self._popularity = np.cumsum(weights / weights.sum())
        self._speakers: list[int] = []
        """Those of the sessions that are under way."""
        self._ledger = Ledger()
        self._costs = DeletionCosts({}, -inf)
        self._status: AutoscalingStatus | None = None
        self._looked = Look(self.hpa.spec["minReplicas"])
        self._pods: list[SimulatedPod] = []
        self._made = self._turn = self._arrivals = 0

    def run(self) -> Simulation:
        """All of it."""
        self._scale(self._looked.replicas, -self.scenario.start_seconds)
        for second in range(self.scenario.seconds):
            now = float(second)
            if now % SCRAPE_SECONDS == 0:
                self._scrape(now)
            if now % PERIOD_SECONDS == 0:
                self._look(now)
            self._arrive(now)
            for pod in self._pods:
                pod.work(now + 1)
            self._pods = [pod for pod in self._pods if not (pod.leaving and pod.idle)]
        return self

    def _arrive(self, now: float) -> None:
        ready = [pod for pod in self._pods if pod.ready_at <= now and not pod.leaving]
        count = int(self._chance.poisson(self.scenario.rate(now)))
        times = np.sort(self._chance.random(count)) + now
        one_offs = self._chance.random(count) < self.scenario.one_offs(now)
        places = self._chance.integers(self._sessions(now), size=count)
        ends = self._chance.random(count) * self.scenario.session_requests < 1.0
        for time, place, is_one_off, is_last in zip(
            times.tolist(), places.tolist(), one_offs.tolist(), ends.tolist(), strict=True
        ):
            self._turn += 1
            ready[self._turn % len(ready)].arrive(ONE_OFF if is_one_off else self._speakers[place], time)
            if is_last:
                self._speakers[place] = self._new_speaker()
        self._arrivals += count

    def _sessions(self, now: float) -> int:
        """How many are under way: requests are of one of them by chance."""
        wanted = max(1, round(self.scenario.rate(now) * self.scenario.session_gap_seconds))
        while len(self._speakers) < wanted:
            self._speakers.append(self._new_speaker())
        del self._speakers[wanted:]
        return wanted

    def _new_speaker(self) -> int:
        return int(np.searchsorted(self._popularity, self._chance.random()))

    def _scrape(self, now: float) -> None:
        """Pods that start answer as well: their admin port is there before their model."""
        samples = {pod.name: pod.sample(now) for pod in self._pods if not pod.leaving}
        self._ledger.advance(samples, now)
        self._costs = deletion_costs(samples, self._costs, now)

    def _look(self, now: float) -> None:
        there = self._there()
        series = self._ledger.series()
        self._looked = self.hpa.look(series, len(there), now)
        self._remember(series or {}, len(there), now)
        self._scale(self._looked.replicas, now)
        self._report(now)

    def _scale(self, replicas: int, now: float) -> None:
        while len(self._there()) < replicas:
            self._made += 1
            ready_at = now + self.scenario.start_seconds
            self._pods.append(SimulatedPod(f"pod-{self._made}", ready_at, self.scenario.costs, self.scenario.slots))
        # As a ReplicaSet chooses: those that are not ready, then the cheapest, then the youngest.
        order = sorted(
            self._there(), key=lambda pod: (pod.ready_at <= now, self._costs.costs.get(pod.name, 0), -pod.ready_at)
        )
        for pod in order[: max(0, len(order) - replicas)]:
            pod.leaving = True

    def _there(self) -> list[SimulatedPod]:
        return [pod for pod in self._pods if not pod.leaving]

    def _remember(self, series: Mapping[str, float], desired: int, now: float) -> None:
        waits = sorted(wait for pod in self._pods for wait in pod.waits)
        load = self._ledger.load()
        self.moments.append(
            Moment(
                time=now,
                rate=self._arrivals / PERIOD_SECONDS,
                work=series.get(labels.WORK_SECONDS_SERIES, 0.0),
                queue=series.get(labels.QUEUE_DEPTH_SERIES, 0.0),
                desired=desired,
                decided=self._looked.replicas,
                ready=sum(pod.ready_at <= now for pod in self._there()),
                wait_p95=waits[int(0.95 * len(waits))] if waits else 0.0,
                refused=sum(pod.refused for pod in self._pods),
                hit_rate=float("nan") if load is None or load.hit_rate_percent is None else load.hit_rate_percent,
            )
        )
        self._arrivals = 0
        for pod in self._pods:
            pod.waits.clear()
            pod.refused = 0

    def _report(self, now: float) -> None:
        """As the operator would, a moment after the HPA looked."""
        owners = [{"uid": _UID, "controller": True}]
        metadata = {"name": self.service.name, "namespace": self.service.namespace, "ownerReferences": owners}
        conditions = [
            {"type": "AbleToScale", "status": "True", "reason": self._looked.able_to_scale},
            {
                "type": "ScalingLimited",
                "status": str(bool(self._looked.scaling_limited)),
                "reason": self._looked.scaling_limited,
            },
        ]
        found = (
            {"kind": "Deployment", "metadata": metadata, "spec": {"replicas": self._looked.replicas}},
            {"kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": {}, "status": {"conditions": conditions}},
        )
        observed = Observed(service=self.service, found=found, load=self._ledger.load())
        self._status = report(self._status, observed, _BEGAN + timedelta(seconds=now))
        newest = (self._status.decisions or (None,))[0]
        if newest is not None and (not self.decisions or self.decisions[-1][1] != newest):
            self.decisions.append((now, newest))


def service_with(autoscaling: Mapping[str, Any]) -> VoiceService:
    return from_manifest(
        {
            "apiVersion": labels.API_VERSION,
            "kind": labels.KIND,
            "metadata": {"name": "narrator", "namespace": "studio", "uid": _UID},
            "spec": {"autoscaling": {"class": "HPA", **autoscaling}},
        }
    )


def hpa_spec(service: VoiceService) -> Mapping[str, Any]:
    """That of the HPA which the operator makes."""
    inputs = Inputs(service=service, release=default_release("0"), redis_passwords=RedisPasswords("", ""))
    manifest = build_autoscaler(inputs)
    assert manifest is not None
    spec: Mapping[str, Any] = manifest["spec"]
    return spec
