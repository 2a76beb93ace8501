"""The rules for another adapter, as documented, give Prometheus' view of the series that the operator serves."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.control_plane import ROOT, Tools
from timbre_contract import labels
from timbre_contract.operator_metrics import SERVICE_SERIES
from timbre_operator.scaling.causes import Reason

PAGE = (ROOT / "docs" / "autoscaling.md").read_text("utf-8")


def rules() -> list[dict[str, Any]]:
    (block,) = re.findall(r"```yaml\n(rules:.*?)```", PAGE, re.DOTALL)
    return list(yaml.safe_load(block)["rules"])


def query(rule: dict[str, Any]) -> str:
    """As the adapter asks for one service."""
    filled = {
        "<<.Series>>": SERVICE_SERIES.name,
        "<<.LabelMatchers>>": 'namespace="studio",voiceservice="narrator"',
        "<<.GroupBy>>": "voiceservice",
    }
    text = str(rule["metricsQuery"])
    for place, words in filled.items():
        text = text.replace(place, words)
    return text


def test_each_series_that_scales_has_a_rule() -> None:
    assert {rule["name"]["as"] for rule in rules()} == {labels.QUEUE_DEPTH_SERIES, labels.WORK_SECONDS_SERIES}


def test_rules_use_the_metric_and_the_labels_that_the_operator_exports() -> None:
    for rule in rules():
        assert rule["seriesQuery"] == f'{SERVICE_SERIES.name}{{series="{rule["name"]["as"]}"}}'
        assert set(rule["resources"]["overrides"]) | {"series"} == set(SERVICE_SERIES.labels)
        assert rule["resources"]["overrides"]["voiceservice"]["group"] == labels.GROUP


def test_prometheus_answers_each_with_the_number_that_both_replicas_of_the_operator_tell(tmp_path: Path) -> None:
    name = SERVICE_SERIES.name
    stored = [
        {"series": f'{name}{{namespace="{namespace}",voiceservice="narrator",series="{series}",pod="{pod}"}}', "values": value}
        for namespace, value in (("studio", "7"), ("elsewhere", "99"))
        for series in (labels.QUEUE_DEPTH_SERIES, labels.WORK_SECONDS_SERIES)
        for pod in ("operator-0", "operator-1")
    ]  # fmt: skip
    asked = [
        {"expr": query(rule), "eval_time": "0m", "exp_samples": [{"labels": '{voiceservice="narrator"}', "value": 7}]}
        for rule in rules()
    ]
    file = tmp_path / "test.yaml"
    file.write_text(json.dumps({"tests": [{"interval": "1m", "input_series": stored, "promql_expr_test": asked}]}))
    done = subprocess.run(
        [Tools()["promtool"], "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_of_a_decision_is_explained(reason: Reason) -> None:
    assert f"| `{reason}` |" in PAGE
