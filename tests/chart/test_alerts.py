"""Each alert fires when it should, and stops: promtool plays the cases on the rules as Prometheus gets them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.alert_cases import CASES, Case
from tests.chart.alert_rules import all_alerts, all_groups
from tests.cluster.control_plane import Tools


def _expectation(case: Case, minute: int, *, firing: bool) -> dict[str, Any]:
    alerts = f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}}) or vector(0)'
    return {
        "expr": alerts,
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": "{}", "value": int(firing)}],
    }


def _to_promtool(case: Case) -> dict[str, Any]:
    expected = [_expectation(case, minute, firing=False) for minute in case.silent]
    expected += [_expectation(case, minute, firing=True) for minute in case.fires]
    return {
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
        "promql_expr_test": expected,
    }


def _promtool(*arguments: str) -> str:
    done = subprocess.run([Tools()["promtool"], *arguments], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """All of them in one file."""
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": all_groups()}))
    return file


def _play(rules: Path, tests: list[dict[str, Any]]) -> str:
    file = rules.with_name("cases.yaml")
    file.write_text(yaml.safe_dump({"rule_files": [rules.name], "evaluation_interval": "1m", "tests": tests}))
    return _promtool("test", "rules", str(file))


@pytest.mark.parametrize("alert", sorted(all_alerts()))
def test_it_fires_when_it_should_and_stops(alert: str, rules: Path) -> None:
    cases = [case for case in CASES if case.alert == alert]
    assert any(case.fires for case in cases)
    assert all(case.silent for case in cases)
    assert _play(rules, [_to_promtool(case) for case in cases]) == ""


def test_prometheus_reads_every_rule(rules: Path) -> None:
    assert _promtool("check", "rules", str(rules)) == ""


def _reading(alert: str, minute: int, summary: str, description: str) -> dict[str, Any]:
    """The first case of the alert, and what it says by then of ``studio/narrator``."""
    case = next(case for case in CASES if case.alert == alert)
    rule = all_alerts()[alert]
    labels = {"severity": rule["labels"]["severity"], "namespace": "studio", "voiceservice": "narrator"}
    annotations = {
        "summary": summary, "description": description, "runbook_url": rule["annotations"]["runbook_url"]
    }  # fmt: skip
    expected = {"exp_labels": labels, "exp_annotations": annotations}
    called = {"alertname": alert, "eval_time": f"{minute}m", "exp_alerts": [expected]}
    return _to_promtool(case) | {"alert_rule_test": [called]}


def test_who_is_called_reads_whom_it_is_about_and_how_bad_it_is(rules: Path) -> None:
    """Sums lose the labels of what they sum up, and a percentage is not a ratio."""
    description = "10% of the requests end with a 5xx. Of a 500 the pods' logs name the cause;"
    description += " a 503 is Redis, the engine, or a start."
    assert _play(rules, [_reading("TimbreErrorsHigh", 20, "studio/narrator fails to answer", description)]) == ""


def test_who_is_called_about_a_service_reads_the_reason_of_that_moment(rules: Path) -> None:
    description = "kubectl describe voiceservice narrator -n studio names the pod and the next thing to do."
    reasons = {15: "Crashed", 20: "PodUnschedulable"}
    played = [
        _reading("TimbreServiceNotReady", minute, f"studio/narrator is not ready: {reason}", description)
        for minute, reason in reasons.items()
    ]
    assert _play(rules, played) == ""


def test_a_service_that_is_idle_calls_nobody(rules: Path) -> None:
    """No requests, no look-ups; Redis and the log are well."""
    quiet = {
        "timbre_pending_requests": "0+0x90",
        "timbre_pending_work_seconds": "0+0x90",
        "timbre_change_log_healthy": "1+0x90",
        "timbre_registry_degraded": "0+0x90",
        "timbre_redis_breaker_open": "0+0x90",
        "timbre_voice_stale_reads_total": "0+0x90",
        "redis_up": "1+0x90",
        "redis_aof_last_write_status": "1+0x90",
        "redis_aof_enabled": "1+0x90",
    }
    labels = 'namespace="studio",voiceservice="narrator",pod="narrator-a"'
    series = [{"series": f"{name}{{{labels}}}", "values": values} for name, values in quiet.items()]
    operator = 'timbre_operator_leader{namespace="timbre-system",job="timbre-operator",pod="operator-a"}'
    series.append({"series": operator, "values": "1+0x90"})
    nobody = {"expr": "count(ALERTS) or vector(0)", "eval_time": "80m", "exp_samples": [{"labels": "{}", "value": 0}]}
    assert _play(rules, [{"interval": "1m", "input_series": series, "promql_expr_test": [nobody]}]) == ""
