"""How far a rollout is, why it began, and whether it gets on."""

from __future__ import annotations

import pytest

from tests.operator.status.states import (
    ADeployment,
    a_claim,
    a_deployment,
    a_good_state,
    a_pod,
    a_redis_pod,
    a_state,
    an_object,
)
from timbre_operator.voiceservice.status import Condition

_CHANGED = "spec.template.spec.containers[server].image: b, was a"


def _progressing(deployment: ADeployment, changed: str = "") -> Condition:
    return a_state().having(deployment).knowing(changed=changed).condition("Progressing")


_STATES: dict[str, tuple[ADeployment, str, str]] = {
    "two of five are new": (
        a_deployment().rolling_out(2, of=5), "RollingOut", f"2 of 5 pods are new; changed: {_CHANGED}",
    ),
    "nobody has seen the new template": (
        a_deployment().serving(3).not_seen_yet(), "RollingOut", f"the pods are about to be replaced; changed: {_CHANGED}",
    ),
    "the last old pod leaves": (
        a_deployment().rolling_out(3, of=3), "RollingOut", f"all 3 pods are new, 1 old pod is leaving; changed: {_CHANGED}",
    ),
    "two old pods leave": (
        a_deployment().numbers(of=3, pods=5, new=3, ready=5), "RollingOut",
        f"all 3 pods are new, 2 old pods are leaving; changed: {_CHANGED}",
    ),
    "more pods are wanted": (a_deployment().starting(1, of=4), "PodsStarting", "1 of 4 pods serve"),
}  # fmt: skip


@pytest.mark.parametrize("case", _STATES)
def test_progress_is_told_in_numbers_and_with_its_cause(case: str) -> None:
    deployment, reason, message = _STATES[case]
    progressing = _progressing(deployment, _CHANGED)
    assert (progressing.status, progressing.reason, progressing.message) == ("True", reason, message)


def test_an_end_is_an_end() -> None:
    progressing = _progressing(a_deployment().serving(3), _CHANGED)
    assert (progressing.status, progressing.reason) == ("False", "Settled")


def test_a_cause_that_nobody_knows_is_not_told() -> None:
    assert _progressing(a_deployment().rolling_out(2, of=5)).message == "2 of 5 pods are new"


def test_a_rollout_that_is_stuck_says_what_to_do() -> None:
    state = a_state().having(a_deployment().rolling_out(1, of=3).stuck()).knowing(changed=_CHANGED)
    progressing = state.condition("Progressing")
    assert (progressing.status, progressing.reason) == ("False", "ProgressDeadlineExceeded")
    assert progressing.message == (
        f"Deployment narrator does not get on; correct the spec, or go back to the one before; changed: {_CHANGED}; its"
        ' controller says: "ReplicaSet "narrator-7d9c5b8f6d" has timed out progressing."'
    )
    assert state.condition("Degraded").reason == "ProgressDeadlineExceeded"
    assert state.condition("Ready").status == "True"


def test_a_rollout_that_is_stuck_names_the_pod_that_holds_it_up() -> None:
    state = a_state().having(a_deployment().rolling_out(1, of=3).stuck()).with_pods(a_pod().ended(1))
    assert "server ended once with exit code 1" in state.condition("Progressing").message
    assert state.condition("Degraded").reason == "Crashed"


def test_old_pods_serve_while_new_ones_fail() -> None:
    state = (
        a_state().having(a_deployment().rolling_out(1, of=3)).with_pods(a_pod().waiting("ErrImagePull", "not found"))
    )
    assert (state.condition("Ready").status, state.condition("Degraded").reason) == ("True", "ImagePullFailed")
    assert state.condition("Progressing").reason == "RollingOut"


def test_a_new_pod_of_redis_is_progress() -> None:
    revisions = {"currentRevision": "narrator-redis-1", "updateRevision": "narrator-redis-2"}
    rolling = an_object("StatefulSet", "narrator-redis").with_status(**revisions)
    progressing = a_state().having(a_deployment().serving(1), rolling).condition("Progressing")
    assert (progressing.status, progressing.reason) == ("True", "RedisRollingOut")
    done = rolling.with_status(currentRevision="narrator-redis-2")
    assert a_state().having(a_deployment().serving(1), done).condition("Progressing").status == "False"


def test_a_volume_that_grows_is_progress() -> None:
    state = a_state().having(a_deployment().serving(1), a_claim(wanted="8Gi", has="4Gi")).with_pods(a_redis_pod())
    assert state.condition("Progressing").reason == "VolumeGrowing"


def test_a_volume_that_grows_hides_no_rollout_that_is_stuck() -> None:
    state = a_state().having(a_deployment().rolling_out(1, of=3).stuck(), a_claim(wanted="8Gi", has="4Gi"))
    assert state.condition("Progressing").reason == "ProgressDeadlineExceeded"


def test_pods_that_were_added_do_not_end_readiness() -> None:
    assert a_good_state().condition("Ready").reason == "Serving"
    assert a_state().having(a_deployment().starting(1, of=4)).condition("Ready").message.startswith("1 of 4 pods serve")
