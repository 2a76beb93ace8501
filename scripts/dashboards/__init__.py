"""The two Grafana dashboards of the chart, as code: ``make generate`` writes them to ``charts/timbre/dashboards/``.

``panels`` knows how a panel looks, ``service`` and ``operator`` what is on each dashboard and why.
"""

from __future__ import annotations

import json

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from scripts.dashboards.operator import build_operator_dashboard
from scripts.dashboards.service import build_service_dashboard


def build_dashboards() -> dict[str, Dashboard]:
    """By the name of their files, without its end."""
    return {"service": build_service_dashboard(), "operator": build_operator_dashboard()}


def to_json(dashboard: Dashboard) -> str:
    """As Grafana imports it, always in the same order."""
    return json.dumps(dashboard, cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
