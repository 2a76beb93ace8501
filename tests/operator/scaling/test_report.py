"""Each change of the number of pods has a cause, and what holds it back has a name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.operator.scaling.services import AScene, a_scene
from timbre_contract import labels
from timbre_operator.observed import Load
from timbre_operator.scaling import report
from timbre_operator.scaling.causes import Reason
from timbre_operator.voiceservice.status import AutoscalingStatus, Decision

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def told(*scenes: AScene) -> AutoscalingStatus:
    """The report after these moments, a minute apart."""
    status: AutoscalingStatus | None = None
    for number, scene in enumerate(scenes):
        status = report(status, scene.observed(), NOW + timedelta(minutes=number))
    assert status is not None
    return status


def newest(*scenes: AScene) -> Decision:
    decisions = told(*scenes).decisions
    assert decisions
    return decisions[0]


def reasons(*scenes: AScene) -> list[str]:
    return [decision.reason for decision in told(*scenes).decisions or ()]


def test_the_inputs_are_the_series_with_what_each_asks_for() -> None:
    inputs = told(a_scene().asked(queue=40, work=1.0)).inputs
    assert inputs is not None
    assert [(item.series, item.value, item.replicas) for item in inputs] == [
        (labels.QUEUE_DEPTH_SERIES, "40", 3),
        (labels.WORK_SECONDS_SERIES, "1", 2),
    ]


def test_the_first_decision_is_where_it_began() -> None:
    decision = newest(a_scene().with_pods(2))
    assert (decision.from_, decision.to, decision.reason) == (0, 2, Reason.STARTED)
    assert decision.time == "2026-11-23T12:00:00Z"


def test_a_queue_that_grew_is_the_cause() -> None:
    decision = newest(a_scene(), a_scene().with_pods(3).asked(queue=40, work=0.9))
    assert (decision.from_, decision.to, decision.reason) == (1, 3, Reason.QUEUE_DEPTH)
    assert decision.message == "40 requests wait and a pod shall have 16"
    assert decision.time == "2026-11-23T12:01:00Z"
    assert decision.proposals is not None
    assert [proposal.replicas for proposal in decision.proposals] == [3, 2]


def test_a_queue_that_is_gone_when_we_look_is_still_the_cause() -> None:
    assert newest(a_scene(), a_scene().with_pods(3).asked(queue_peak=48.0)).reason == Reason.QUEUE_DEPTH


def test_speech_that_is_asked_for_is_the_cause() -> None:
    decision = newest(a_scene(), a_scene().with_pods(3).asked(work=2.0, extraction=0.2))
    assert decision.reason == Reason.SYNTHESIS_WORK
    assert decision.message == "2.00 engine seconds are asked for per second and a pod shall do 0.7"


def test_a_hit_rate_that_fell_is_named_as_the_cause() -> None:
    busy = (
        a_scene()
        .with_pods(4)
        .asked(work=2.5, extraction=1.9, hit_rate_before_percent=96, hit_rate_percent=41, synthesis_before_seconds=0.6)
    )
    decision = newest(a_scene().asked(work=0.6), busy)
    assert decision.reason == Reason.EXTRACTION_WORK
    assert decision.message == (
        "2.50 engine seconds are asked for per second and a pod shall do 0.7; 1.90 of them for extractions, because the"
        " hit rate fell from 96 % to 41 %"
    )


def test_extractions_that_are_as_many_as_ever_are_not_blamed_for_more_speech() -> None:
    busy = (
        a_scene()
        .with_pods(5)
        .asked(work=3.0, extraction=1.0, extraction_before_seconds=1.0, synthesis_before_seconds=0.5)
    )
    assert newest(a_scene(), busy).reason == Reason.SYNTHESIS_WORK


def test_a_few_extractions_are_not_the_cause() -> None:
    decision = newest(a_scene(), a_scene().with_pods(3).asked(work=2.0, extraction=0.4, synthesis_before_seconds=1.5))
    assert decision.reason == Reason.SYNTHESIS_WORK


def test_extractions_without_look_ups_are_enrolments() -> None:
    decision = newest(a_scene(), a_scene().with_pods(3).asked(work=2.0, extraction=1.8))
    assert decision.reason == Reason.EXTRACTION_WORK
    assert decision.message is not None
    assert decision.message.endswith("1.80 of them for extractions")


def test_a_load_that_fell_is_the_cause_of_fewer_pods() -> None:
    decision = newest(a_scene().with_pods(3).asked(work=2.0), a_scene().with_pods(2).asked(work=0.1))
    assert (decision.from_, decision.to, decision.reason) == (3, 2, Reason.LOAD_FELL)
    assert decision.message == "the load asks for fewer pods: queue_depth 0.00 for 0, work_seconds 0.10 for 1"


def test_a_bound_that_keeps_it_from_more_is_named_with_the_cause() -> None:
    decision = newest(a_scene(), a_scene().with_pods(5).asked(work=6.0))
    assert decision.reason == Reason.SYNTHESIS_WORK
    assert decision.message is not None
    assert decision.message.endswith(". maxReplicas 5 keeps it from 9")


def test_a_minimum_that_was_raised_is_the_cause() -> None:
    assert newest(a_scene(), a_scene().scaled_by(minReplicas=3).with_pods(3)).reason == Reason.BOUNDS


def test_somebody_who_set_the_number_is_the_cause() -> None:
    decision = newest(a_scene(), a_scene().with_pods(4))
    assert decision.reason == Reason.SOMEBODY
    assert decision.message == "somebody set the number; the load asks for 0"


def test_with_class_external_the_number_is_somebody_else_s_and_the_load_is_told() -> None:
    external = a_scene().scaled_by("External")
    status = told(external, external.with_pods(3).asked(work=2.0))
    assert status.class_ == "External"
    assert status.inputs is not None
    assert status.decisions is not None
    assert status.decisions[0].reason == Reason.SOMEBODY


def test_with_class_none_there_is_nothing_to_explain() -> None:
    assert told(a_scene(), a_scene().scaled_by("None")) == AutoscalingStatus(class_="None")


@pytest.mark.parametrize(
    ("scene", "reason"),
    [
        (a_scene().with_pods(5).asked(work=6.0), Reason.BOUNDS),
        (a_scene().asked(work=6.0).judged(ScalingLimited=("True", "ScaleUpLimit")), Reason.BEHAVIOR),
        (a_scene().with_pods(3).judged(AbleToScale=("True", "ScaleDownStabilized")), Reason.STABILIZATION),
        (a_scene().with_pods(3).judged(ScalingLimited=("True", "ScaleDownLimit")), Reason.BEHAVIOR),
        (a_scene().with_load(Load(silent_pods=("narrator-1",), held=True)), Reason.STALE),
        (a_scene().judged(ScalingActive=("False", "FailedGetObjectMetric")), Reason.UNREADABLE),
    ],
)
def test_what_holds_the_number_is_named_once(scene: AScene, reason: Reason) -> None:
    assert reasons(scene, scene, scene) == [reason, Reason.STARTED]


@pytest.mark.parametrize(
    "scene",
    [
        a_scene(),
        a_scene().asked(work=6.0),  # the autoscaler has not looked yet
        a_scene().with_pods(3).asked(work=2.0),
        a_scene().with_pods(2).judged(ScalingActive=("False", "ScalingDisabled")),
        a_scene().judged(AbleToScale=("True", "ScaleDownStabilized")),  # at its minimum anyway
    ],
)
def test_where_nothing_holds_it_nothing_is_said(scene: AScene) -> None:
    assert reasons(scene, scene) == [Reason.STARTED]


def test_who_cannot_read_the_series_is_told_why() -> None:
    blind = a_scene().judged(ScalingActive=("False", "FailedGetObjectMetric"))
    assert newest(blind, blind).message == "the autoscaler cannot read the series: in its own words"
    assert newest(blind, blind.unread("there is no APIService")).message == (
        "the autoscaler cannot read the series: there is no APIService"
    )


def test_between_two_changes_there_is_one_word_about_what_holds_it() -> None:
    at_most = a_scene().with_pods(5).asked(work=6.0)
    stale = at_most.with_load(Load(silent_pods=("narrator-1",), held=True))
    assert reasons(at_most, at_most, stale) == [Reason.STALE, Reason.STARTED]
    assert reasons(at_most, at_most, at_most.with_pods(4).asked(work=0.1)) == [
        Reason.LOAD_FELL,
        Reason.BOUNDS,
        Reason.STARTED,
    ]


def test_a_change_and_what_holds_after_it_are_two_things_even_for_one_reason() -> None:
    raised = a_scene().scaled_by(minReplicas=5).with_pods(5)
    assert reasons(a_scene(), raised, raised.asked(work=6.0)) == [Reason.BOUNDS, Reason.BOUNDS, Reason.STARTED]


def test_the_last_five_are_kept_newest_first() -> None:
    loads = [(1, 0.5), (3, 2.0), (2, 1.0), (4, 2.5), (1, 0.5), (5, 4.0), (2, 1.0)]
    decisions = told(*(a_scene().with_pods(pods).asked(work=work) for pods, work in loads)).decisions or ()
    assert [(decision.from_, decision.to) for decision in decisions] == [(5, 2), (1, 5), (4, 1), (2, 4), (3, 2)]


def test_steps_in_one_direction_for_one_reason_are_one_move() -> None:
    falling = a_scene().asked(work=0.1).judged(ScalingLimited=("True", "ScaleDownLimit"))
    scenes = [a_scene().with_pods(5).asked(work=3.3), *(falling.with_pods(pods) for pods in (4, 4, 3, 3, 2))]
    decisions = told(*scenes).decisions
    assert decisions is not None
    move, first = decisions
    assert (move.from_, move.to, move.reason, move.time) == (5, 2, Reason.LOAD_FELL, "2026-11-23T12:05:00Z")
    assert first.reason == Reason.STARTED


def test_a_step_long_after_the_last_one_is_a_move_of_its_own() -> None:
    quiet = a_scene().with_pods(3).asked(work=2.0)
    falling = a_scene().asked(work=0.1)
    scenes = [quiet, falling.with_pods(2), *[falling.with_pods(2).asked(work=1.4)] * 5, falling.with_pods(1)]
    assert reasons(*scenes) == [Reason.LOAD_FELL, Reason.LOAD_FELL, Reason.STARTED]


def test_a_step_back_is_a_move_of_its_own() -> None:
    scenes = [a_scene().with_pods(pods).asked(work=work) for pods, work in ((1, 0.5), (3, 2.0), (1, 0.5), (3, 2.0))]
    assert reasons(*scenes)[:3] == [Reason.SYNTHESIS_WORK, Reason.LOAD_FELL, Reason.SYNTHESIS_WORK]


def test_noise_is_not_written_down() -> None:
    status = told(a_scene().asked(work=0.50))
    assert told(a_scene().asked(work=0.50), a_scene().asked(work=0.54)) == status
    assert told(a_scene().asked(work=0.50), a_scene().asked(work=0.60)) != status
    assert told(a_scene().asked(work=0.50), a_scene().asked(work=0.0)) != status


def test_a_value_that_asks_for_another_number_is_never_noise() -> None:
    inputs = told(a_scene().asked(work=0.76), a_scene().asked(work=0.78)).inputs
    assert inputs is not None
    assert inputs[1].replicas == 2


def test_while_the_load_is_unknown_the_last_report_stays() -> None:
    before = told(a_scene().asked(work=0.5))
    assert told(a_scene().asked(work=0.5), a_scene().with_load(None).with_pods(3)) == before
    assert told(a_scene().with_load(None)) == AutoscalingStatus(class_="HPA")
    assert told(a_scene().with_pods(None)) == AutoscalingStatus(class_="HPA")
