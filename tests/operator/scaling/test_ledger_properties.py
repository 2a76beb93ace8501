"""What holds for every history of a service."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.operator.scaling.pods import APod
from timbre_contract import labels
from timbre_operator.observed import PodSample
from timbre_operator.scaling.counters import CounterReader
from timbre_operator.scaling.ledger import Ledger
from timbre_operator.scaling.silence import HOLD_SECONDS, PATIENCE_PERIODS

PERIOD = 5.0
NAMES = ("a", "b", "c")


@dataclass(frozen=True)
class Step:
    """What happens in one period, by pod."""

    demand: dict[str, float]
    present: frozenset[str]
    answering: frozenset[str]
    restarting: frozenset[str]
    queued: dict[str, int] = field(default_factory=dict)


sets = st.frozensets(st.sampled_from(NAMES))
steps = st.builds(
    Step,
    demand=st.fixed_dictionaries({name: st.floats(0.0, 10.0) for name in NAMES}),
    present=sets,
    answering=sets,
    restarting=sets,
    queued=st.fixed_dictionaries({name: st.integers(0, 50) for name in NAMES}),
)


class World:
    """Plays steps to a ledger."""

    def __init__(self) -> None:
        self.pods: dict[str, APod] = {}
        self.ledger = Ledger()
        self.now = 0.0

    def play(self, step: Step) -> None:
        self.pods = {name: self.pods.get(name) or APod() for name in sorted(step.present)}
        for name, pod in self.pods.items():
            if name in step.restarting:
                pod.restarts()
            pod.does(PERIOD, synthesis=step.demand[name])
            pod.queued = step.queued.get(name, 0)
        self.now += PERIOD
        self.ledger.advance(self.samples(step), self.now)

    def samples(self, step: Step) -> dict[str, PodSample | None]:
        return {name: pod.sample() if name in step.answering else None for name, pod in self.pods.items()}


@settings(deadline=None, max_examples=60)
@given(st.lists(steps, max_size=40))
def test_every_series_is_a_number_that_is_not_negative(history: list[Step]) -> None:
    world = World()
    for step in history:
        world.play(step)
        for value in (world.ledger.series() or {}).values():
            assert isfinite(value)
            assert value >= 0.0


@settings(deadline=None, max_examples=60)
@given(st.lists(steps, max_size=40))
def test_a_held_total_never_falls(history: list[Step]) -> None:
    world, before, was_held = World(), None, False
    for step in history:
        world.play(step)
        load, series = world.ledger.load(), world.ledger.series()
        if load is not None and load.held and was_held and before and series:
            assert series[labels.WORK_SECONDS_SERIES] >= before[labels.WORK_SECONDS_SERIES]
            assert series[labels.QUEUE_DEPTH_SERIES] >= before[labels.QUEUE_DEPTH_SERIES]
        before, was_held = series, load is not None and load.held


@settings(deadline=None, max_examples=60)
@given(st.lists(steps, max_size=25), st.permutations(NAMES))
def test_the_order_of_the_pods_changes_nothing(history: list[Step], order: list[str]) -> None:
    world, shuffled = World(), Ledger()
    for step in history:
        world.play(step)
        samples = world.samples(step)
        shuffled.advance({name: samples[name] for name in order if name in samples}, world.now)
        assert shuffled.series() == pytest.approx(world.ledger.series())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0.0, 10.0), st.booleans()), min_size=2, max_size=40))
def test_nothing_that_a_pod_was_asked_to_do_is_lost_but_what_came_before_a_restart(
    history: list[tuple[float, bool]],
) -> None:
    reader, pod = CounterReader(), APod()
    asked = told = 0.0
    reader.read(pod.sample(), 0.0)
    for number, (demand, restarts) in enumerate(history, 1):
        if restarts and demand > 0.0:
            pod.restarts()
        pod.does(PERIOD, synthesis=demand)
        progress = reader.read(pod.sample(), number * PERIOD)
        assert progress is not None
        asked += demand * PERIOD
        told += progress.rates.synthesis * PERIOD
    # A process that began anew and did more than the old one ever had looks like one that went on.
    assert told <= asked * (1 + 1e-9) + 1e-9
    if not any(restarts for _, restarts in history):
        assert told == pytest.approx(asked)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sets(st.sampled_from(NAMES), min_size=1), min_size=1, max_size=30), st.floats(0.1, 20.0))
def test_a_constant_demand_is_told_as_it_is_however_the_pods_share_it(present: list[set[str]], demand: float) -> None:
    """The pods that are there share it; each lives on for one period after others came, as it does under a Service."""
    world = World()
    world.play(Step(dict.fromkeys(NAMES, 0.0), frozenset(NAMES), frozenset(NAMES), frozenset()))
    share = Step(dict.fromkeys(NAMES, demand / 3), frozenset(NAMES), frozenset(NAMES), frozenset())
    for _ in range(20):
        world.play(share)
    for names in present:
        shares = {name: demand / len(names) if name in names else 0.0 for name in NAMES}
        world.play(Step(shares, frozenset(NAMES), frozenset(NAMES), frozenset()))
        series = world.ledger.series()
        assert series is not None
        assert series[labels.WORK_SECONDS_SERIES] == pytest.approx(demand)


@settings(deadline=None, max_examples=60)
@given(st.lists(steps, max_size=20))
def test_rest_is_exactly_zero_after_whatever_was_before(history: list[Step]) -> None:
    world = World()
    for step in history:
        world.play(step)
    everybody = frozenset(NAMES)
    idle = Step(dict.fromkeys(NAMES, 0.0), everybody, everybody, frozenset())
    for _ in range(200):  # 1000 s: sixteen time constants
        world.play(idle)
    assert set((world.ledger.series() or {"": -1.0}).values()) == {0.0}


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 3 * PATIENCE_PERIODS + int(HOLD_SECONDS / PERIOD)))
def test_a_hold_lasts_five_minutes_at_most(silent_periods: int) -> None:
    world = World()
    everybody, one = frozenset(NAMES), frozenset(NAMES[:1])
    busy = Step(dict.fromkeys(NAMES, 1.0), everybody, everybody, frozenset())
    for _ in range(10):
        world.play(busy)
    for _ in range(silent_periods):
        world.play(Step(dict.fromkeys(NAMES, 1.0), everybody, one, frozenset()))
    load = world.ledger.load()
    assert load is not None
    since_seconds = (silent_periods - PATIENCE_PERIODS - 1) * PERIOD
    assert load.held == (0.0 <= since_seconds < HOLD_SECONDS)
