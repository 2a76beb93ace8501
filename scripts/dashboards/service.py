"""What does one look at when one service is slow, wrong or expensive?  Rows go from what listeners notice to its causes."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models.dashboard import Dashboard as Built

from scripts.dashboards.listeners import glance_panels, requests_panels
from scripts.dashboards.panels import board, choice, numbered
from scripts.dashboards.pods import device_panels, engine_panels, replicas_panels
from scripts.dashboards.voices import freshness_panels, results_panels, voices_panels
from timbre_contract import metrics
from timbre_operator.desired.alerts import SERVICE_LABEL


def build_service_dashboard() -> Built:
    """One VoiceService at a time; the operator's dashboard lists all of them."""
    known = metrics.PENDING_REQUESTS.name
    made: Dashboard = board(
        "Timbre / Voice service", "timbre-service", "One VoiceService: what listeners notice, and why."
    )
    made = made.with_variable(choice("namespace", "Namespace", f"label_values({known}, namespace)"))
    services = f'label_values({known}{{namespace="$namespace"}}, {SERVICE_LABEL})'
    made = made.with_variable(choice(SERVICE_LABEL, "Voice service", services))
    for title, panels in (
        ("At a glance", glance_panels()),
        ("Requests", requests_panels()),
        ("Finished speech", results_panels()),
        ("Voices", voices_panels()),
        ("Freshness and Redis", freshness_panels()),
        ("Engine and queue", engine_panels()),
        ("GPU", device_panels()),
        ("Pods, and why there are this many", replicas_panels()),
    ):
        made = made.with_row(Row(title))
        for panel in panels:
            made = made.with_panel(panel)
    return numbered(made.build())
