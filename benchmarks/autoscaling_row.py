"""Does the autoscaler meet a spike in time, leave pods in peace, and never run away?  Simulated; the plots of the docs."""

from __future__ import annotations

from itertools import pairwise

from benchmarks.autoscaling_plots import draw_day, draw_loop_gain, draw_one_offs
from benchmarks.autoscaling_scenarios import (
    HOUR,
    ONE_OFFS_AT,
    SPIKE_AT,
    a_day,
    absorbed,
    at_the_border,
    demand_at,
    flaps,
    loop_gain,
    one_off_voices,
)
from benchmarks.autoscaling_simulation import Simulation
from benchmarks.measuring import Bar, Result

LOOKS_SECONDS = 30.0
"""Two periods of the HPA."""
PODS = 12


def autoscaling() -> Result:
    """A day, an hour of one-off voices, a load between two numbers of pods, and round robin."""
    day, one_offs = Simulation(a_day()).run(), Simulation(one_off_voices()).run()
    border = Simulation(at_the_border()).run()
    shared = [demand_at(pods, shared_tier=True) for pods in range(1, PODS + 1)]
    alone = [demand_at(pods, shared_tier=False) for pods in range(1, PODS + 1)]
    draw_day(day, around=(SPIKE_AT - 300, SPIKE_AT + HOUR))
    draw_one_offs(one_offs)
    draw_loop_gain(shared, alone)
    spike, rise = absorbed(day, SPIKE_AT), absorbed(one_offs, ONE_OFFS_AT)
    start = day.scenario.start_seconds
    return Result(
        "autoscaling",
        "simulated: S(n) = 0.5 + n/16 s, pods start in 90 s, +300 % within a second, round robin",
        bars=[
            Bar("+300 %: enough pods ordered", spike.ordered, "s", LOOKS_SECONDS),
            Bar("+300 %: enough pods serve", spike.ready, "s", LOOKS_SECONDS + start),
            # A minute on top, for what piled up while the pods started.
            Bar("+300 %: requests wait under 1 s again", spike.calm, "s", LOOKS_SECONDS + start + 60),
            Bar("a day: pods removed and made again within 10 min", flaps(day.moments), "pods", 0),
            Bar("a day: fewest pods at night", min(moment.decided for moment in day.moments[-240:]), "pods", 1),
            Bar("between one pod and two, 6 h: changes", _changes(border), "changes", 1),
            Bar("one-off voices: enough pods ordered", rise.ordered, "s", 2 * LOOKS_SECONDS),
            Bar("one-off voices: pods removed and made again", flaps(one_offs.moments), "pods", 0),
            Bar("loop gain of round robin", loop_gain(shared), "pods per pod", 1.0),
        ],
        figures={
            "spike": vars(spike),
            "one_offs": vars(rise),
            "demand_without_shared_tier": alone,
            "demand_with_shared_tier": shared,
            "decisions_of_one_offs": [
                f"{time:.0f} s: {it.from_} -> {it.to} {it.reason}" for time, it in one_offs.decisions
            ],
        },
    )


def _changes(simulation: Simulation) -> int:
    return sum(after.decided != before.decided for before, after in pairwise(simulation.moments))
