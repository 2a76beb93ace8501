"""What the operator's series and defaults make of an HPA, played in simulated hours."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.autoscaling_plots import draw_day, draw_loop_gain, draw_one_offs
from benchmarks.autoscaling_pods import ONE_OFF, Costs, SimulatedPod
from benchmarks.autoscaling_scenarios import (
    HOUR,
    SPIKE_AT,
    SPIKE_FACTOR,
    SPIKE_SECONDS,
    a_day,
    absorbed,
    at_the_border,
    day_rate,
    demand_at,
    flaps,
    loop_gain,
    one_off_voices,
)
from benchmarks.autoscaling_simulation import Moment, Scenario, Simulation

BEFORE_SECONDS = 600
LOOKS_SECONDS = 30.0
"""Two periods of the HPA."""


@pytest.fixture(scope="module")
def spike() -> Simulation:
    """Ten minutes before it, and two hours from its beginning."""
    return Simulation(a_day(begin=SPIKE_AT - BEFORE_SECONDS, seconds=BEFORE_SECONDS + 2 * HOUR)).run()


@pytest.fixture(scope="module")
def one_offs() -> Simulation:
    """From ten minutes before them on."""
    whole = one_off_voices()
    return Simulation(
        Scenario(
            seconds=HOUR,
            rate=whole.rate,
            one_offs=lambda time: whole.one_offs(HOUR - 600 + time),
            autoscaling=whole.autoscaling,
        )
    ).run()


def test_the_spike_is_four_times_the_load() -> None:
    assert day_rate(SPIKE_AT) == pytest.approx(SPIKE_FACTOR * day_rate(SPIKE_AT - 1), rel=0.01)


def test_a_spike_of_300_percent_is_absorbed_within_two_looks_and_the_start_of_a_pod(spike: Simulation) -> None:
    met = absorbed(spike, BEFORE_SECONDS)
    assert met.ordered <= LOOKS_SECONDS
    assert met.ready <= LOOKS_SECONDS + spike.scenario.start_seconds


def test_no_pod_is_removed_and_made_again_within_ten_minutes(spike: Simulation, one_offs: Simulation) -> None:
    assert (flaps(spike.moments), flaps(one_offs.moments)) == (0, 0)


def test_after_the_spike_there_are_as_few_pods_as_before(spike: Simulation) -> None:
    before = next(moment for moment in spike.moments if moment.time >= BEFORE_SECONDS - 15)
    after = spike.moments[-1]
    assert after.time > BEFORE_SECONDS + SPIKE_SECONDS
    assert after.decided <= before.decided + 1


def test_one_off_voices_at_a_constant_rate_raise_the_pods_and_their_extractions_are_named(one_offs: Simulation) -> None:
    assert max(moment.decided for moment in one_offs.moments) >= 4
    rates = [moment.rate for moment in one_offs.moments[2:]]
    assert max(rates) < 2 * min(rates)  # chance, and nothing else
    up = [decision for _, decision in one_offs.decisions if decision.to > decision.from_ and decision.from_]
    assert {decision.reason for decision in up[:2]} == {"ExtractionWork"}
    assert up[0].message is not None
    assert "because the hit rate fell from" in up[0].message


def test_a_load_between_two_numbers_of_pods_settles_on_one_of_them() -> None:
    moments = Simulation(at_the_border(seconds=2 * HOUR)).run().moments
    assert sum(after.decided != before.decided for before, after in pairwise(moments)) <= 1


def test_round_robin_never_runs_away_because_a_miss_is_a_transfer() -> None:
    shared = [demand_at(pods, shared_tier=True) for pods in (4, 5)]
    assert loop_gain(shared) < 0.1


def test_without_the_shared_tier_it_would() -> None:
    assert min(demand_at(pods, shared_tier=False) for pods in (3, 12)) > 12 * 0.7


def test_a_removed_and_remade_pod_is_a_flap_and_an_overshoot_is_none() -> None:
    def played(*decided: int) -> list[Moment]:
        return [Moment(60.0 * number, 0, 0, 0, 0, pods, 0, 0, 0, 0) for number, pods in enumerate(decided)]

    assert flaps(played(1, 4, 3, 2)) == 0
    assert flaps(played(2, 1, 2)) == 1
    assert flaps(played(2, 1, *[1] * 10, 2)) == 0


def test_a_pod_extracts_what_came_with_its_request_and_fetches_what_it_lacks() -> None:
    pod = SimulatedPod("a", 0.0, Costs(), slots=1)
    for voice in (1, 1, 2, ONE_OFF):
        pod.arrive(voice, 0.0)
    pod.work(10.0)
    counters = pod.sample(10.0).counters
    assert counters["timbre_engine_demand_seconds_total{extraction}"] == pytest.approx(2.8)
    assert counters["timbre_engine_demand_seconds_total{transfer}"] == pytest.approx(2 * 0.015)
    assert counters["timbre_voice_cache_lookups_total{device,miss}"] == 3
    assert counters["timbre_voice_cache_lookups_total{redis,miss}"] == 1
    assert counters["timbre_queued_requests"] == 0


def test_a_pod_with_a_long_queue_refuses_and_counts_what_it_was_asked() -> None:
    pod = SimulatedPod("a", 0.0, Costs(), slots=1, max_pending=1.0)
    for _ in range(100):
        pod.arrive(1, 0.0)
    assert pod.refused > 80
    assert pod.sample(0.0).counters["timbre_engine_demand_seconds_total{synthesis}"] == pytest.approx(9.375)


def test_equal_simulations_are_drawn_equally(spike: Simulation, one_offs: Simulation, tmp_path: Path) -> None:

    for place in ("one", "two"):
        drawn = [
            draw_one_offs(one_offs, folder=tmp_path / place),
            draw_loop_gain([1.0, 1.1], [1.0, 3.0], folder=tmp_path / place),
        ]
    for path in drawn:
        assert path.read_bytes() == (tmp_path / "one" / path.name).read_bytes()
        assert ET.parse(path).getroot().tag.endswith("svg")
    assert [path.name for path in draw_day(spike, around=(0.0, HOUR), folder=tmp_path)] == [
        "autoscaling-day.svg",
        "autoscaling-spike.svg",
    ]
