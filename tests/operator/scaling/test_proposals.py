"""The number of pods that a series asks for, as the autoscaler computes it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.operator.desired.children import inputs_of
from tests.operator.manifests import a_service
from timbre_contract import labels
from timbre_operator.desired import build_autoscaler
from timbre_operator.scaling.proposals import asked, replicas_for, targets_of
from timbre_operator.voiceservice.measures import quantity


@pytest.mark.parametrize(
    ("value", "target", "replicas", "wanted"),
    [
        (0.0, "16", 1, 0),
        (16.0, "16", 1, 1),
        (17.0, "16", 1, 1),  # within the tolerance of a tenth
        (17.7, "16", 1, 2),
        (100.0, "16", 1, 7),
        (2.11, "7/10", 3, 3),
        (2.4, "7/10", 3, 4),
        (1.0, "7/10", 3, 2),
        (5.0, "16", 0, 1),
    ],
)
def test_total_over_target_rounded_up_unless_that_is_nearly_what_there_is(
    value: float, target: str, replicas: int, wanted: int
) -> None:
    assert replicas_for(value, Fraction(target), replicas) == wanted


@given(st.floats(0.0, 1e4), st.integers(1, 100))
def test_what_is_proposed_carries_the_load_within_the_tolerance(value: float, replicas: int) -> None:
    wanted = replicas_for(value, Fraction(7, 10), replicas)
    assert wanted * 0.7 * 1.1 + 0.001 >= value


def test_the_targets_are_those_that_the_autoscaler_is_given() -> None:
    service = a_service().scaled_by("HPA", targets={"queueDepth": 32, "utilizationPercent": 55})
    autoscaler = build_autoscaler(inputs_of(service))
    assert autoscaler is not None
    written = {
        metric["object"]["metric"]["name"]: quantity(metric["object"]["target"]["averageValue"])
        for metric in autoscaler["spec"]["metrics"]
    }
    assert targets_of(service.built()) == written


def test_a_proposal_is_reported_with_its_series() -> None:
    proposal = asked(labels.WORK_SECONDS_SERIES, 2.5, Fraction(7, 10), 1).to_proposal()
    assert (proposal.series, proposal.value, proposal.replicas) == (labels.WORK_SECONDS_SERIES, "2500m", 4)
