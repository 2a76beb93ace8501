"""A container that ended: memory, time, model, settings or a crash; with its last words."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from tests.operator.status.states import LATELY, LONG_AGO, APod, AState, a_deployment, a_good_state, a_pod, a_state


def _state(*pods: APod | tuple[APod, dict[str, object]]) -> AState:
    return a_state().having(a_deployment().starting(0, of=1)).with_pods(*pods)


def _log(message: str, level: str = "error", **fields: str) -> str:
    return json.dumps({"time": "2026-11-30T11:55:00.000+00:00", "level": level, "message": message, **fields})


def test_a_pod_that_took_too_much_memory_names_the_budgets() -> None:
    pod = a_pod().on("node-7").with_memory_limit("2Gi").ended(137, reason="OOMKilled")
    ready = _state(pod).condition("Ready")
    assert ready.reason == "OOMKilled"
    assert ready.message == (
        "pod narrator-7d9c5b8f6d-x2x4p on node node-7: server was killed because of its limit of 2Gi; raise"
        " spec.resources.limits.memory, or lower spec.voiceCache.host.maxBytes (now 1Gi) or"
        " spec.resultCache.host.maxBytes (now 64Mi)"
    )


def test_a_pod_without_a_limit_was_killed_because_its_node_was_full() -> None:
    assert (
        "the node's memory, for it has no limit"
        in _state(a_pod().ended(137, reason="OOMKilled")).condition("Ready").message
    )


def test_a_server_that_refuses_its_settings_is_quoted() -> None:
    words = "timbre-server: unknown setting TIMBRE_COLOUR; `timbre-server --help` lists those that exist\n"
    ready = _state(a_pod().ended(2, words=words)).condition("Ready")
    assert ready.reason == "SettingsRefused"
    assert "TIMBRE_COLOUR" in ready.message
    assert "correct spec.engine, or what spec.podTemplate adds" in ready.message


def test_a_model_that_cannot_be_loaded_is_quoted() -> None:
    words = f"{_log('listening', 'info')}\n{_log('the engine did not start: /models/voice holds no config.json')}\n"
    ready = _state(a_pod().ended(1, words=words)).condition("Ready")
    assert ready.reason == "ModelLoadFailed"
    assert '"the engine did not start: /models/voice holds no config.json"; correct spec.engine' in ready.message


def test_a_crash_tells_its_exit_code_how_often_and_where_to_read_more() -> None:
    pod = a_pod().ended(1, words="Traceback (most recent call last):\n  ...\nRuntimeError: out of ideas", restarts=4)
    ready = _state(pod).condition("Ready")
    assert ready.reason == "Crashed"
    assert ready.message == (
        "pod narrator-7d9c5b8f6d-x2x4p: server ended 4 times with exit code 1, its last words were"
        ' "RuntimeError: out of ideas"; see more by kubectl -n studio logs narrator-7d9c5b8f6d-x2x4p -c server --previous'
    )


@pytest.mark.parametrize(("code", "name"), [(139, "SIGSEGV"), (134, "SIGABRT"), (132, "SIGILL")])
def test_a_signal_is_called_by_its_name(code: int, name: str) -> None:
    message = _state(a_pod().ended(code, words="Fatal Python error: Aborted\n\nThread 0x1")).condition("Ready").message
    assert f"exit code {code} ({name})" in message
    assert '"Fatal Python error: Aborted"' in message


def test_a_crash_without_words_is_told_without() -> None:
    assert "ended once with exit code 1; see more" in _state(a_pod().ended(1)).condition("Ready").message


def test_a_container_of_the_users_own_crashes_under_its_own_name() -> None:
    pod = a_pod().with_container("proxy", "envoy:1").container(
        name="proxy", ready=False, restartCount=2, state={"waiting": {"reason": "CrashLoopBackOff"}},
        lastState={"terminated": {"exitCode": 2, "reason": "Error", "finishedAt": LONG_AGO}},
    )  # fmt: skip
    ready = _state(pod).condition("Ready")
    assert ready.reason == "Crashed"
    assert ": proxy ended 2 times with exit code 2;" in ready.message


@pytest.mark.parametrize("code", [0, 137, 143])
def test_a_pod_that_was_not_ready_in_time_names_the_budget(code: int) -> None:
    pod = a_pod().ended(code, reason="Completed" if code == 0 else "Error")
    ready = _state(pod.warned("Unhealthy", "Startup probe failed: HTTP probe failed with statuscode: 503")).condition(
        "Ready"
    )
    assert ready.reason == "StartBudgetExceeded"
    assert "raise spec.rollout.startBudget (now 10m), or see what it waits for: kubectl -n studio logs" in ready.message


def test_a_pod_that_fell_while_it_started_was_not_late() -> None:
    pod = a_pod().ended(1).warned("Unhealthy", "Startup probe failed: HTTP probe failed with statuscode: 503")
    assert _state(pod).condition("Ready").reason == "Crashed"


@pytest.mark.parametrize(("seconds", "reason"), [(28, "Starting"), (597, "StartBudgetExceeded")])
def test_a_pod_that_somebody_else_stopped_was_not_late(seconds: int, reason: str) -> None:
    """Its probe forgives 299 failures, one each 2 s."""
    began = datetime.fromisoformat(LATELY) - timedelta(seconds=seconds)
    pod = a_pod().with_startup_probe(periodSeconds=2, failureThreshold=300).ended(0, began=began.isoformat())
    state = _state(pod.warned("Unhealthy", "Startup probe failed: HTTP probe failed with statuscode: 503"))
    assert state.condition("Ready").reason == reason


def test_only_the_newest_word_about_a_probe_counts() -> None:
    name = "narrator-7d9c5b8f6d-x2x4p"
    state = _state(a_pod().ended(137)).warned("Pod", name, "BackOff", "Back-off restarting failed container server")
    late = state.warned("Pod", name, "Unhealthy", "Startup probe failed: HTTP probe failed with statuscode: 503")
    assert late.condition("Ready").reason == "StartBudgetExceeded"
    before = late.warned("Pod", name, "Unhealthy", "Liveness probe failed: Get ...: context deadline exceeded")
    assert before.condition("Ready").reason == "StartBudgetExceeded"


def test_a_pod_that_liveness_stopped_was_not_late() -> None:
    pod = a_pod().ended(137).warned("Unhealthy", "Liveness probe failed: Get ...: context deadline exceeded")
    assert _state(pod).condition("Ready").reason == "Crashed"


def test_a_pod_that_starts_for_the_first_time_is_not_late() -> None:
    pod = a_pod().not_ready().container(started=False)
    state = _state(pod.warned("Unhealthy", "Startup probe failed: HTTP probe failed with statuscode: 503"))
    assert state.condition("Ready").reason == "Starting"


def test_a_container_that_prepares_and_ends_well_is_no_crash() -> None:
    prepared = {"name": "fetch", "image": "x", "ready": True, "started": False, "restartCount": 0,
                "state": {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": LONG_AGO}}}  # fmt: skip
    assert (
        a_good_state().with_pods(a_pod().with_status(initContainerStatuses=[prepared])).condition("Degraded").status
        == "False"
    )


def test_memory_is_told_before_the_crash_that_it_caused() -> None:
    killed = a_pod("narrator-2").ended(137, reason="OOMKilled")
    assert _state(a_pod("narrator-1").ended(1), killed).condition("Ready").reason == "OOMKilled"
