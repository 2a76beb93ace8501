"""The HPA of the simulation decides as the one in Kubernetes does."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.autoscaling_hpa import PERIOD_SECONDS, Hpa, Look
from benchmarks.autoscaling_simulation import hpa_spec, service_with
from timbre_contract import labels


def an_hpa(**autoscaling: Any) -> Hpa:
    """That which the operator makes, of 1 to 10 pods."""
    return Hpa(hpa_spec(service_with({"maxReplicas": 10, **autoscaling})))


def asking(pods: float) -> dict[str, float]:
    """Series that ask for so many pods."""
    return {labels.QUEUE_DEPTH_SERIES: 0.0, labels.WORK_SECONDS_SERIES: pods * 0.7}


def looks(hpa: Hpa, asked: list[float], replicas: int = 1) -> list[int]:
    """The number of pods after each look."""
    decided = []
    for number, pods in enumerate(asked):
        replicas = hpa.look(asking(pods), replicas, number * PERIOD_SECONDS).replicas
        decided.append(replicas)
    return decided


def test_the_series_that_asks_for_most_wins() -> None:
    series = {labels.QUEUE_DEPTH_SERIES: 40.0, labels.WORK_SECONDS_SERIES: 0.1}
    assert an_hpa().look(series, 1, 0.0).replicas == 3


def test_each_look_may_double_the_pods_or_add_two() -> None:
    assert looks(an_hpa(), [10, 10, 10]) == [3, 6, 10]


def test_within_the_tolerance_nothing_changes() -> None:
    assert looks(an_hpa(), [4.3, 3.7], replicas=4) == [4, 4]


def test_downwards_the_most_cautious_look_of_five_minutes_counts() -> None:
    looks_of_five_minutes = int(300 / PERIOD_SECONDS)
    decided = looks(an_hpa(), [4, *[1] * (looks_of_five_minutes + 1)], replicas=4)
    assert decided[looks_of_five_minutes - 1] == 4
    assert decided[looks_of_five_minutes] == 3


def test_downwards_one_pod_goes_every_two_minutes() -> None:
    decided = looks(an_hpa(), [1.0] * 40, replicas=4)
    assert [decided.index(pods) * PERIOD_SECONDS for pods in (3, 2, 1)] == [0.0, 120.0, 240.0]


def test_without_series_nothing_changes() -> None:
    assert an_hpa().look(None, 4, 0.0) == Look(4, "FailedGetObjectMetric")


@pytest.mark.parametrize(("asked", "replicas", "limited"), [(50, 10, "TooManyReplicas"), (0, 1, "TooFewReplicas")])
def test_bounds_are_kept_and_named(asked: float, replicas: int, limited: str) -> None:
    look = an_hpa().look(asking(asked), replicas, 0.0)
    assert (look.replicas, look.scaling_limited) == (replicas, limited)


def test_policies_that_limit_are_named() -> None:
    assert an_hpa().look(asking(9), 2, 0.0).scaling_limited == "ScaleUpLimit"
    assert an_hpa().look(asking(1), 5, 0.0).scaling_limited == "ScaleDownLimit"


def test_stabilisation_is_named() -> None:
    hpa = an_hpa()
    hpa.look(asking(4), 4, 0.0)
    assert hpa.look(asking(1), 4, 15.0).able_to_scale == "ScaleDownStabilized"


def test_a_direction_may_be_disabled() -> None:
    hpa = an_hpa(behavior={"scaleDown": {"selectPolicy": "Disabled"}})
    assert looks(hpa, [1.0] * 40, replicas=4)[-1] == 4


def test_the_widest_policy_wins_unless_the_narrowest_shall() -> None:
    policies = [
        {"type": "Percent", "value": 100, "periodSeconds": 15},
        {"type": "Pods", "value": 1, "periodSeconds": 15},
    ]
    assert looks(an_hpa(behavior={"scaleUp": {"policies": policies}}), [10], replicas=4) == [8]
    narrow = {"selectPolicy": "Min", "policies": policies}
    assert looks(an_hpa(behavior={"scaleUp": narrow}), [10], replicas=4) == [5]
