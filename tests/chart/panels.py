"""The panels of the shipped dashboards, as Grafana reads them, and their questions as Prometheus is asked them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.chart.alert_rules import CHART, HOME

DASHBOARDS: Final = ("service", "operator")
_VARIABLES: Final = {
    # Grafana's is four scrapes, at least.
    "service": {"$__rate_interval": "15s", "$namespace": "studio", "$voiceservice": "narrator"},
    "operator": {"$__rate_interval": "15s", "$namespace": HOME},
}


@dataclass(frozen=True)
class Asked:
    """One query of one panel."""

    dashboard: str
    panel: str
    expression: str
    """As it is in the file."""

    @property
    def filled_in(self) -> str:
        """With values for the variables."""
        expression = self.expression
        for variable, value in _VARIABLES[self.dashboard].items():
            expression = expression.replace(variable, value)
        return expression


def dashboard(name: str) -> dict[str, Any]:
    """The file."""
    shipped: dict[str, Any] = json.loads((CHART / "dashboards" / f"{name}.json").read_text("utf-8"))
    return shipped


def panels(name: str) -> list[dict[str, Any]]:
    """All panels that show something."""
    return [panel for panel in dashboard(name)["panels"] if panel["type"] != "row"]


def all_asked() -> Iterator[Asked]:
    """Every query of every dashboard."""
    for name in DASHBOARDS:
        for panel in panels(name):
            for target in panel["targets"]:
                yield Asked(name, panel["title"], target["expr"])
