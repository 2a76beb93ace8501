"""The series of a service, whatever its pods do."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.operator.scaling.pods import APod
from timbre_contract import labels
from timbre_operator.observed import LEAST_RATE, Load, PodSample
from timbre_operator.scaling.ledger import JOB_WEIGHT, STANDING_LOOKS, Ledger
from timbre_operator.scaling.silence import HOLD_SECONDS, PATIENCE_PERIODS

PERIOD = 5.0


class Scene:
    """Pods and a ledger; each step is one period, in which every pod does what it is told."""

    def __init__(self, *names: str) -> None:
        self.pods = {name: APod() for name in names}
        self.silent: set[str] = set()
        self.ledger = Ledger()
        self.now = 1000.0
        self.step()

    def step(self, count: int = 1, **per_pod: float) -> None:
        for _ in range(count):
            for pod in self.pods.values():
                pod.does(PERIOD, **per_pod)
            self.now += PERIOD
            self.ledger.advance(self.samples(), self.now)

    def samples(self) -> Mapping[str, PodSample | None]:
        return {name: None if name in self.silent else pod.sample() for name, pod in self.pods.items()}

    @property
    def load(self) -> Load:
        load = self.ledger.load()
        assert load is not None
        return load

    @property
    def work(self) -> float:
        return self.series(labels.WORK_SECONDS_SERIES)

    @property
    def queue(self) -> float:
        return self.series(labels.QUEUE_DEPTH_SERIES)

    def series(self, name: str) -> float:
        series = self.ledger.series()
        assert series is not None
        return series[name]


def test_work_is_what_all_pods_are_asked_to_do_per_second() -> None:
    scene = Scene("a", "b")
    scene.step(60, synthesis=0.5, extraction=0.2, transfer=0.1)

    assert scene.work == pytest.approx(2 * 0.8)
    assert scene.load.extraction_seconds == pytest.approx(2 * 0.2)


def test_pods_that_were_never_heard_are_named_and_no_number_is_served() -> None:
    ledger = Ledger()
    for look in range(PATIENCE_PERIODS + 1):
        assert ledger.load() is None
        ledger.advance({"a": None}, look * PERIOD)
    assert ledger.load() == Load(measured=False, held=True, silent_pods=("a",))
    assert ledger.series() is None


def test_before_two_samples_nothing_is_known_and_nothing_is_served() -> None:
    ledger, pod = Ledger(), APod(synthesis=5000.0, queued=7)
    ledger.advance({"a": pod.sample()}, 0.0)
    assert (ledger.load(), ledger.series()) == (None, None)

    pod.does(PERIOD, synthesis=2.0)
    ledger.advance({"a": pod.sample()}, PERIOD)
    load = ledger.load()
    assert load is not None
    assert (load.work_seconds, load.queue_depth) == (pytest.approx(2.0), 7)


def test_a_service_without_pods_is_at_rest() -> None:
    scene = Scene()

    assert set(scene.ledger.series().values()) == {0.0}  # type: ignore[union-attr]


def test_a_rise_is_there_within_half_a_minute_and_a_fall_takes_minutes() -> None:
    scene = Scene("a")
    scene.step(60, synthesis=1.0)
    scene.step(6, synthesis=4.0)
    assert scene.work > 3.8
    scene.step(6, synthesis=1.0)
    assert scene.work > 2.5
    scene.step(120, synthesis=1.0)
    assert scene.work == pytest.approx(1.0, rel=0.05)


def test_at_rest_every_series_is_exactly_zero() -> None:
    scene = Scene("a", "b")
    scene.step(20, synthesis=3.0, extraction=1.0)
    scene.pods["a"].queued = 5
    scene.step()
    scene.pods["a"].queued = 0
    scene.step(150)

    assert set(scene.ledger.series().values()) == {0.0}  # type: ignore[union-attr]
    assert scene.load.extraction_seconds == 0.0


def test_the_queue_is_the_sum_over_pods_and_goes_at_once() -> None:
    scene = Scene("a", "b")
    scene.pods["a"].queued, scene.pods["b"].queued = 20, 5
    scene.step(STANDING_LOOKS)
    assert scene.queue == 25
    del scene.pods["a"]
    scene.step()
    assert scene.queue == 5


def test_a_burst_that_is_gone_at_the_next_looks_is_no_queue() -> None:
    scene = Scene("a")
    scene.pods["a"].queued = 50
    scene.step(STANDING_LOOKS - 1)
    assert scene.queue == 0
    scene.step()
    assert scene.queue == 50
    scene.pods["a"].queued = 30
    scene.step()
    assert scene.queue == 30


def test_jobs_that_wait_are_a_number_of_the_service_and_count_less() -> None:
    scene = Scene("a", "b")
    counters = {"timbre_jobs_pending": 8.0}
    for look in range(STANDING_LOOKS):
        now = scene.now + (look + 1) * PERIOD
        scene.ledger.advance({"a": PodSample(counters=counters), "b": PodSample(counters=counters)}, now)

    assert scene.queue == 8 * JOB_WEIGHT


def test_a_restarted_process_changes_nothing_about_the_rate() -> None:
    scene = Scene("a")
    scene.step(60, synthesis=1.0)
    scene.pods["a"].restarts()
    scene.step(1, synthesis=1.0)

    assert scene.work == pytest.approx(1.0)


def test_pods_that_come_and_go_change_nothing_about_what_the_service_is_asked_to_do() -> None:
    scene = Scene("a")
    scene.step(60, synthesis=1.2)
    scene.pods["b"], scene.pods["c"] = APod(), APod()
    scene.step(1, synthesis=0.4)
    scene.step(30, synthesis=0.4)
    assert scene.work == pytest.approx(1.2, rel=0.03)
    del scene.pods["a"]
    scene.step(1, synthesis=0.6)
    assert scene.work == pytest.approx(1.2, rel=0.03)


def test_a_pod_that_is_not_heard_a_few_times_counts_as_before() -> None:
    scene = Scene("a", "b")
    scene.step(60, synthesis=1.0)
    scene.silent.add("b")
    scene.step(PATIENCE_PERIODS, synthesis=1.0)

    assert scene.work == pytest.approx(2.0)
    assert (scene.load.silent_pods, scene.load.held) == ((), False)


def test_after_that_it_is_named_and_the_totals_do_not_fall() -> None:
    scene = Scene("a", "b")
    scene.step(60, synthesis=1.0)
    scene.pods["a"].queued = 9
    scene.step(1, synthesis=1.0)
    scene.silent.add("b")
    scene.pods["a"].queued = 0
    scene.step(PATIENCE_PERIODS, synthesis=1.0)
    scene.pods["a"].queued = 4
    scene.step(STANDING_LOOKS, synthesis=1.0)
    assert (scene.load.silent_pods, scene.load.held) == (("b",), True)
    scene.pods["a"].queued = 0
    scene.step(30)
    assert scene.work == pytest.approx(2.0, rel=0.01)
    assert scene.queue == 4


def test_totals_that_are_held_may_rise() -> None:
    scene = Scene("a", "b")
    scene.step(60, synthesis=1.0)
    scene.silent.add("b")
    scene.step(PATIENCE_PERIODS + 1, synthesis=1.0)
    scene.step(10, synthesis=5.0)

    assert scene.work == pytest.approx(6.0, rel=0.02)


def test_after_five_minutes_a_silent_pod_counts_no_more() -> None:
    scene = Scene("a", "b")
    scene.step(60, synthesis=1.0)
    scene.silent.add("b")
    scene.step(PATIENCE_PERIODS + 1 + int(HOLD_SECONDS / PERIOD), synthesis=1.0)
    assert not scene.load.held
    assert scene.load.silent_pods == ("b",)
    scene.step(200, synthesis=1.0)
    assert scene.work == pytest.approx(1.0, rel=0.01)


def test_where_no_pod_answers_for_that_long_no_number_is_served_rather_than_a_wrong_one() -> None:
    scene = Scene("a", "b")
    scene.step(60, synthesis=1.0)
    scene.silent |= {"a", "b"}
    scene.step(PATIENCE_PERIODS + 1 + int(HOLD_SECONDS / PERIOD))

    assert scene.ledger.series() is None
    assert scene.load.held
    assert scene.load.work_seconds == pytest.approx(2.0)


def test_a_pod_that_is_heard_again_counts_as_it_is() -> None:
    scene = Scene("a", "b")
    scene.step(60, synthesis=1.0)
    scene.silent.add("b")
    scene.step(20, synthesis=1.0)
    scene.silent.clear()
    scene.step(1, synthesis=1.0)

    assert (scene.load.silent_pods, scene.load.held) == ((), False)
    assert scene.work == pytest.approx(2.0)


def test_a_deleted_pod_that_was_silent_holds_nothing() -> None:
    scene = Scene("a", "b")
    scene.step(60, synthesis=1.0)
    scene.silent.add("b")
    scene.step(PATIENCE_PERIODS + 1, synthesis=1.0)
    del scene.pods["b"]
    scene.step(1, synthesis=1.0)

    assert (scene.load.silent_pods, scene.load.held) == ((), False)


def test_the_hit_rate_is_that_of_five_minutes_over_all_pods() -> None:
    scene = Scene("a", "b")
    scene.step()
    assert scene.load.hit_rate_percent is None
    scene.step(10, lookups=4.0, extractions=1.0)
    assert scene.load.hit_rate_percent == 75
    scene.step(60, lookups=4.0)
    assert scene.load.hit_rate_percent == 100
    scene.step(60)
    assert scene.load.hit_rate_percent is None


def test_a_service_that_has_just_begun_has_had_few_lookups() -> None:
    """Two voices that no tier had: two extractions, a hit rate of nothing, and no reason to judge by."""
    scene = Scene("a")
    scene.step()
    scene.step(1, lookups=2.0, extractions=2.0)
    assert scene.load.hit_rate_percent == 0
    assert scene.load.lookups_per_second < LEAST_RATE
    scene.step(60, lookups=4.0)
    assert scene.load.lookups_per_second > LEAST_RATE


@pytest.mark.parametrize("tiers", [("device", "host", "redis"), ("host", "redis"), ("device", "host"), ("host",)])
def test_a_hit_of_any_tier_is_a_hit(tiers: tuple[str, ...]) -> None:
    scene = Scene("a")
    scene.pods["a"].tiers = tiers
    scene.step(10, lookups=10.0, missed=1.0)
    assert scene.load.hit_rate_percent == 90


def test_a_voice_that_waits_for_its_extraction_is_a_miss_already() -> None:
    scene = Scene("a")
    scene.step(10, lookups=10.0, missed=4.0, extractions=0.5)
    assert scene.load.hit_rate_percent == 60


def test_the_last_half_minute_is_told_apart_from_the_minutes_before() -> None:
    scene = Scene("a")
    scene.step(60, synthesis=1.0, lookups=10.0, extractions=0.5)
    scene.step(6, synthesis=1.0, extraction=2.0, lookups=10.0, extractions=9.0)

    trend = scene.load.trend
    assert (trend.hit_rate_before_percent, trend.hit_rate_percent) == (95, 10)
    assert trend.synthesis_before_seconds == pytest.approx(1.0)
    assert trend.extraction_before_seconds == 0.0


def test_the_most_that_waited_in_half_a_minute_is_remembered() -> None:
    scene = Scene("a")
    scene.pods["a"].queued = 40
    scene.step(STANDING_LOOKS)
    scene.pods["a"].queued = 0
    scene.step(5)
    assert scene.load.trend.queue_peak == 40
    scene.step()
    assert scene.load.trend.queue_peak == 0


def test_a_voice_that_several_pods_cannot_enrol_is_told_once_and_forgotten_with_its_mistake() -> None:
    scene = Scene("a", "b")
    scene.pods["a"].refused_voices = ("voice_eve: gone", "voice_ann: no audio")
    scene.pods["b"].refused_voices = ("voice_eve: gone",)
    scene.step()
    assert scene.load.refused_voices == ("voice_ann: no audio", "voice_eve: gone")
    scene.pods["a"].refused_voices = scene.pods["b"].refused_voices = ()
    scene.step()
    assert scene.load.refused_voices == ()


def test_a_pod_whose_warm_up_was_cut_off_is_cold_until_its_hit_rate_tells_more() -> None:
    scene = Scene("a", "b")
    scene.pods["b"].warm = False
    scene.step()
    assert scene.load.cold_pods == ("b",)
    scene.step(60)
    assert scene.load.cold_pods == ()


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), -5.0])
def test_nonsense_from_a_pod_counts_as_nothing(nonsense: float) -> None:
    scene = Scene("a")
    pod = scene.pods["a"]
    pod.queued = nonsense
    scene.step()
    pod.synthesis = nonsense
    scene.step()

    assert (scene.queue, scene.work) == (0.0, 0.0)
