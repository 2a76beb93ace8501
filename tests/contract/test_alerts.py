"""Alerts ask for series that exist, and tell whom they call what they need.  When they fire: ``tests/chart``."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.chart.alert_cases import CASES
from tests.chart.alert_rules import all_alerts, all_groups
from tests.chart.known_series import API_SERVER, known_series, labels_of, series_named, unknown_values

ROOT = Path(__file__).resolve().parents[2]
ALERTS = sorted(all_alerts().items())


@pytest.mark.parametrize(("name", "alert"), ALERTS, ids=[name for name, _ in ALERTS])
def test_an_alert_asks_for_known_series_and_their_labels_only(name: str, alert: dict[str, Any]) -> None:
    named = series_named(alert["expr"])
    assert named
    assert named <= known_series()
    for series, matchers in re.findall(r"(\w+)\{([^}]*)\}", alert["expr"]):
        asked = set(re.findall(r"(\w+)[=!]", matchers)) - {"namespace", "voiceservice", "job", "pod"}
        assert asked <= labels_of(series) or series in API_SERVER
    assert unknown_values(alert["expr"]) == []


@pytest.mark.parametrize(("name", "alert"), ALERTS, ids=[name for name, _ in ALERTS])
def test_an_alert_says_how_bad_it_is_whom_it_is_about_and_what_to_do(name: str, alert: dict[str, Any]) -> None:
    assert set(alert) == {"alert", "expr", "for", "labels", "annotations"}
    assert alert["labels"]["severity"] in {"info", "warning", "critical"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert not alert["annotations"]["summary"].endswith(".")
    assert alert["annotations"]["description"].endswith(".")


def test_an_alert_is_defined_once() -> None:
    names = Counter(rule["alert"] for group in all_groups() for rule in group["rules"])
    assert [name for name, times in names.items() if times > 1] == []
    assert all(name.startswith("Timbre") for name in names)


def test_every_alert_has_a_case_in_which_it_fires_and_stops() -> None:
    assert {case.alert for case in CASES if case.fires and case.silent} == set(all_alerts())


def test_the_alerts_that_were_promised_are_there() -> None:
    expressions = {name: alert["expr"] for name, alert in ALERTS}
    assert "< 80 and" in expressions["TimbreVoiceHitRateLow"]
    assert expressions["TimbreVoiceHitRateLow"].endswith("> 0.1")
    assert expressions["TimbreDeviceVoiceCacheFull"].endswith("> 0.9")


def test_conditions_that_alerts_ask_for_are_the_operator_s() -> None:
    status = (ROOT / "operator" / "timbre_operator" / "status").rglob("*.py")
    source = "".join(file.read_text("utf-8") for file in status)
    asked = {word for _, alert in ALERTS for word in re.findall(r'(?:type|reason)="(\w+)"', alert["expr"])}
    assert asked == {"Ready", "AutoscalingActive", "AtMaximum"}
    assert [word for word in asked if f'"{word}"' not in source] == []
