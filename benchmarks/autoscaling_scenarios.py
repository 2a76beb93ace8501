"""What is played to the autoscaler, and what is read off it?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from benchmarks.autoscaling_pods import Costs
from benchmarks.autoscaling_simulation import Moment, Scenario, Simulation
from timbre_operator.scaling.proposals import targets_of

HOUR: Final = 3600
TARGET: Final = 0.7
"""``targets.utilizationPercent`` by default."""
SPIKE_AT, SPIKE_SECONDS, SPIKE_FACTOR = 14 * HOUR, 45 * 60, 4.0
"""A promotion at two in the afternoon: +300 % from one second to the next, the articles' figure."""
ONE_OFFS_AT, ONE_OFFS_SECONDS = HOUR, HOUR
NIGHT_RATE, DAY_RATE = 2.0, 8.0
"""Requests per second at four in the morning and in the afternoon."""
FLAP_SECONDS: Final = 600.0
"""Whoever removes a pod and makes another one within ten minutes should have kept it."""


def day_rate(time: float) -> float:
    """Requests per second over a day, and the spike."""
    calm = NIGHT_RATE + (DAY_RATE - NIGHT_RATE) * (1 - math.cos((time / HOUR - 4) * math.pi / 12)) / 2
    return calm * (SPIKE_FACTOR if SPIKE_AT <= time < SPIKE_AT + SPIKE_SECONDS else 1.0)


def a_day(*, begin: int = 0, seconds: int = 24 * HOUR, seed: int = 1) -> Scenario:
    """Or a part of one."""
    return Scenario(
        seconds=seconds, rate=lambda time: day_rate(begin + time), autoscaling={"maxReplicas": 10}, seed=seed
    )


def one_off_voices(*, seed: int = 1) -> Scenario:
    """A constant five requests a second; for one hour every fifth brings a recording that nobody has seen before."""

    def share(time: float) -> float:
        return 0.2 if ONE_OFFS_AT <= time < ONE_OFFS_AT + ONE_OFFS_SECONDS else 0.0

    return Scenario(
        seconds=4 * HOUR, rate=lambda _time: 5.0, one_offs=share, autoscaling={"maxReplicas": 10}, seed=seed
    )


def at_the_border(*, seconds: int = 6 * HOUR, seed: int = 1) -> Scenario:
    """A constant load that is exactly what one pod shall carry, and 5 %: between one pod and two."""
    rate = 1.05 * TARGET / Costs().sentence
    return Scenario(seconds=seconds, rate=lambda _time: rate, seed=seed)


def held_at(pods: int, *, shared_tier: bool) -> Scenario:
    """A constant load on a fixed number of pods."""
    costs = Costs(shared_tier=shared_tier)
    bounds = {"minReplicas": pods, "maxReplicas": pods}
    return Scenario(seconds=HOUR // 2, rate=lambda _time: 16.0, autoscaling=bounds, costs=costs)


def demand_at(pods: int, *, shared_tier: bool) -> float:
    """Engine seconds per second that so many pods are asked for: round robin makes each of them load each voice."""
    moments = Simulation(held_at(pods, shared_tier=shared_tier)).run().moments
    settled = [moment.work for moment in moments if moment.time >= HOUR / 4]
    return sum(settled) / len(settled)


def loop_gain(demands: Sequence[float]) -> float:
    """How much of a pod the load grows with each pod that comes, at most; from 1 on it would never end.

    ``demands`` are those of 1, 2, 3 ... pods.
    """
    return max((after - before) / TARGET for before, after in pairwise(demands))


@dataclass(frozen=True)
class Absorbed:
    """How a rise was met, in seconds after it began."""

    ordered: float
    """Until there were to be enough pods."""
    ready: float
    """Until enough served."""
    calm: float
    """Until requests waited less than a second again (95 of 100)."""


def cost_of_a_request(scenario: Scenario, time: float) -> float:
    """Engine seconds, on average."""
    return scenario.costs.sentence + scenario.one_offs(time) * scenario.costs.extraction


def absorbed(simulation: Simulation, at: float) -> Absorbed:
    """Of a rise at that time of the scenario."""
    scenario = simulation.scenario
    target = float(targets_of(simulation.service)["timbre_work_seconds"])
    needed = math.ceil(scenario.rate(at) * cost_of_a_request(scenario, at) / target - 1e-9)
    after = [moment for moment in simulation.moments if moment.time > at]
    orders = [moment for moment in simulation.moments if moment.time >= at]

    def first(moments: Sequence[Moment], claim: Callable[[Moment], bool]) -> float:
        return next(moment.time for moment in moments if claim(moment)) - at

    ready = first(after, lambda moment: moment.ready >= needed)
    calm_after = [moment for moment in after if moment.time - at >= ready]
    return Absorbed(
        ordered=first(orders, lambda moment: moment.decided >= needed),
        ready=ready,
        calm=first(calm_after, lambda moment: moment.wait_p95 < 1.0),
    )


def flaps(moments: Sequence[Moment]) -> int:
    """How often a pod was removed and another one made within ten minutes."""
    changes = [
        (after.time, after.decided - before.decided)
        for before, after in pairwise(moments)
        if after.decided != before.decided
    ]
    return sum(
        earlier_change < 0 < change and time - earlier < FLAP_SECONDS
        for (earlier, earlier_change), (time, change) in pairwise(changes)
    )
