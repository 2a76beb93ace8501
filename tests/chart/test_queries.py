"""Every question of dashboards and alerts is asked of a real Prometheus that scraped a real server under load."""

from __future__ import annotations

from typing import Final

import pytest

from tests.chart.alert_rules import all_alerts
from tests.chart.known_series import EXPORTER
from tests.chart.panels import Asked, all_asked
from tests.chart.prometheus import Prometheus

_NO_GPU: Final = "this machine has no GPU"
_NOTHING_HERE: Final = {
    "service: GPU use": _NO_GPU,
    "service: GPU memory": _NO_GPU,
    "service: GPU temperature": _NO_GPU,
    "service: Changes of the device tier's budget": _NO_GPU,
    "operator: Changes that a watch missed": "no watch breaks here",
}
"""Panels that have no data here, and why."""


def _named(asked: Asked) -> str:
    return f"{asked.dashboard}: {asked.panel}"


@pytest.mark.parametrize("asked", [one for one in all_asked() if _named(one) not in _NOTHING_HERE], ids=_named)
def test_a_panel_shows_something(asked: Asked, prometheus: Prometheus) -> None:
    assert prometheus.values_in_time(asked.filled_in)


@pytest.mark.parametrize("asked", [one for one in all_asked() if _named(one) in _NOTHING_HERE], ids=_named)
def test_a_panel_without_data_asks_no_nonsense(asked: Asked, prometheus: Prometheus) -> None:
    assert prometheus.values(asked.filled_in) == []


@pytest.mark.parametrize("alert", sorted(all_alerts()))
def test_an_alert_asks_no_nonsense(alert: str, prometheus: Prometheus) -> None:
    prometheus.values(all_alerts()[alert]["expr"])


def test_prometheus_plays_all_rules(prometheus: Prometheus) -> None:
    rules = prometheus.rules()
    assert {rule["name"] for rule in rules} == set(all_alerts())
    assert [rule["lastError"] for rule in rules if rule["health"] == "err"] == []


@pytest.mark.parametrize("series", sorted(EXPORTER))
def test_the_exporter_has_the_series_that_we_name(series: str, prometheus: Prometheus) -> None:
    assert prometheus.values_in_time(f'{series}{{pod="narrator-redis-0"}}')
