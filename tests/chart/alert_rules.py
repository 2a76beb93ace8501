"""All alerts that a cluster gets: those of one service, from the operator, and those of the release, from the chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from tests.operator.manifests import AService, a_service
from timbre_operator.desired.alerts import build_alerts

CHART: Final = Path(__file__).resolve().parents[2] / "charts" / "timbre"
HOME: Final = "timbre-system"
"""Namespace of the operator."""

Rule = dict[str, Any]


def service_alerts(service: AService | None = None) -> list[Rule]:
    """Of ``studio/narrator`` with a managed Redis."""
    return build_alerts((service or a_service()).built(), scraped=True)


def release_groups() -> list[dict[str, Any]]:
    """As the chart's template writes them."""
    text = (CHART / "files" / "alerts.yaml").read_text("utf-8").replace("OPERATOR_NAMESPACE", HOME)
    groups: list[dict[str, Any]] = yaml.safe_load(text)["groups"]
    return groups


def all_groups(service: AService | None = None) -> list[dict[str, Any]]:
    """As Prometheus reads them."""
    return [*release_groups(), {"name": "timbre-studio-narrator", "rules": service_alerts(service)}]


def all_alerts() -> dict[str, Rule]:
    """Every alert by its name."""
    return {rule["alert"]: rule for group in all_groups() for rule in group["rules"]}
