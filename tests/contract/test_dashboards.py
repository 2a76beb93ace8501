"""The shipped dashboards are what the code draws, are Grafana's, and ask for series that exist."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from scripts.dashboards import build_dashboards, to_json
from tests.chart.alert_rules import CHART
from tests.chart.known_series import EXPORTER, known_series, labels_of, series_named, unknown_values
from tests.chart.panels import DASHBOARDS, Asked, all_asked, dashboard, panels

PANELS = [pytest.param(panel, id=f"{name}: {panel['title']}") for name in DASHBOARDS for panel in panels(name)]
PROMISED = {
    "service": (
        "timbre_requests_total", "timbre_request_duration_seconds", "timbre_time_to_first_audio_seconds",
        "timbre_voice_cache_lookups_total", "timbre_voice_extraction_seconds", "timbre_device_utilization_ratio",
        "timbre_device_memory_bytes", "timbre_device_temperature_celsius", "timbre_queued_requests",
        "timbre_pending_work_seconds", "timbre_operator_service_replicas", "timbre_operator_service_decision",
        "timbre_voice_cache_bytes", "timbre_voice_cache_capacity_bytes", "timbre_voice_cache_evictions_total",
        "timbre_voice_invalidation_lag_seconds", "timbre_voice_stale_reads_total", "timbre_redis_breaker_open",
    ),
    "operator": (
        "timbre_operator_reconcile_total", "timbre_operator_reconcile_duration_seconds", "timbre_operator_queue_depth",
        "timbre_operator_drift_corrections_total", "timbre_operator_leader", "timbre_operator_scrapes_total",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_file_is_what_the_code_draws(name: str) -> None:
    """``make generate`` makes it."""
    assert (CHART / "dashboards" / f"{name}.json").read_text("utf-8") == to_json(build_dashboards()[name])


def test_every_drawn_dashboard_is_shipped() -> None:
    assert {file.stem for file in (CHART / "dashboards").glob("*.json")} == set(build_dashboards()) == set(DASHBOARDS)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_grafana_s_own_types_read_the_file_back(name: str) -> None:
    shipped = dashboard(name)
    assert json.loads(to_json(Dashboard.from_json(shipped))) == shipped


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: dict[str, Any]) -> None:
    read = Panel.from_json(panel)
    assert read.title
    assert (read.description or "").endswith(".")
    assert read.targets
    assert panel["datasource"]["uid"] == "${datasource}"
    assert panel["type"] == "table" or panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize("panel", PANELS)
def test_a_graph_of_several_series_names_each(panel: dict[str, Any]) -> None:
    legends = [target["legendFormat"] for target in panel["targets"] if panel["type"] != "table"]
    assert all(legends)
    assert len(set(legends)) == len(legends)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_panel_has_an_id_and_a_place_of_its_own(name: str) -> None:
    shown = dashboard(name)["panels"]
    ids = Counter(panel["id"] for panel in shown)
    assert [number for number, times in ids.items() if times > 1] == []
    taken: set[tuple[int, int]] = set()
    for panel in shown:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


@pytest.mark.parametrize("name", DASHBOARDS)
def test_variables_that_queries_use_can_be_chosen(name: str) -> None:
    chosen = {variable["name"] for variable in dashboard(name)["templating"]["list"]}
    queries = [asked.expression for asked in all_asked() if asked.dashboard == name]
    queries += [variable["query"] for variable in dashboard(name)["templating"]["list"] if variable["type"] == "query"]
    used = {variable for query in queries for variable in re.findall(r"\$(\w+)", query)} - {"__rate_interval"}
    assert "datasource" in chosen
    assert used == chosen - {"datasource"}


@pytest.mark.parametrize("asked", list(all_asked()), ids=lambda asked: f"{asked.dashboard}: {asked.panel}")
def test_a_panel_asks_for_known_series_and_their_labels_only(asked: Asked) -> None:
    named = series_named(asked.expression)
    assert named
    assert named <= known_series()
    for series, matchers in re.findall(r"(\w+)\{([^}]*)\}", asked.expression):
        own = set(re.findall(r"(\w+)[=!]", matchers)) - {"namespace", "voiceservice", "job", "pod"}
        assert own <= labels_of(series) or series in EXPORTER
    assert unknown_values(asked.expression) == []


@pytest.mark.parametrize("name", DASHBOARDS)
def test_what_was_promised_is_shown(name: str) -> None:
    shown = {series for asked in all_asked() if asked.dashboard == name for series in series_named(asked.expression)}
    assert [metric for metric in PROMISED[name] if not any(series.startswith(metric) for series in shown)] == []


def test_variables_ask_for_known_series() -> None:
    for name in DASHBOARDS:
        for variable in dashboard(name)["templating"]["list"]:
            if variable["type"] == "query":
                assert (
                    series_named(variable["query"].rpartition(",")[0].removeprefix("label_values(")) <= known_series()
                )
