"""What does one look at when services are not made true?  All services at a glance, then the operator itself."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models.dashboard import Dashboard as Built

from scripts.dashboards.panels import (
    BAD,
    GOOD,
    WARNING,
    AnyPanel,
    Query,
    board,
    choice,
    graph,
    number,
    numbered,
    rows,
)
from scripts.dashboards.series import EVERY_SERVICE, OPERATOR
from timbre_contract import labels
from timbre_contract import operator_metrics as metrics
from timbre_operator.desired.alerts import SERVICE_LABEL


def build_operator_dashboard() -> Built:
    """One installation of the operator, and what it looks after."""
    made: Dashboard = board(
        "Timbre / Operator", "timbre-operator", "All VoiceServices, and the operator that makes them true."
    )
    homes = f"label_values({EVERY_SERVICE.of(metrics.LEADER)}, namespace)"
    made = made.with_variable(choice("namespace", "Namespace of the operator", homes))
    for title, panels in (("At a glance", _glance()), ("Services", _services()), ("Operator", _operator())):
        made = made.with_row(Row(title))
        for panel in panels:
            made = made.with_panel(panel)
    return numbered(made.build())


def _glance() -> Sequence[AnyPanel]:
    slowest = OPERATOR.quantiles(metrics.RECONCILE_DURATION)[-1]
    errors = OPERATOR.rate(metrics.RECONCILES, 'result="error"')
    return (
        number(
            "Leaders",
            "Replicas that hold the Lease and write. One is right.",
            Query(f"sum({OPERATOR.of(metrics.LEADER)})", "leaders"),
            unit="short",
            steps=((None, BAD), (1, GOOD), (2, BAD)),
        ),
        number(
            "Services",
            "VoiceServices that are looked after.",
            Query(f"max({OPERATOR.of(metrics.SERVICES)})", "services"),
            unit="short",
        ),
        number(
            "Not ready",
            "VoiceServices whose condition Ready is not True.",
            Query("count(" + _condition('type="Ready"', 'status!="True"') + ") or vector(0)", "not ready"),
            unit="short",
            steps=((None, GOOD), (1, WARNING)),
        ),
        number(
            "Errors",
            "Share of the reconciliations that failed and are tried again.",
            Query(f"({errors} or vector(0)) / {OPERATOR.rate(metrics.RECONCILES)}", "errors"),
            unit="percentunit",
            steps=((None, GOOD), (0.01, WARNING), (0.1, BAD)),
        ),
        number(
            "Reconcile, P99",
            "Until 99 % of the reconciliations are done; 1 s is usual.",
            slowest,
            unit="s",
            steps=((None, GOOD), (1, WARNING), (5, BAD)),
        ),
        number(
            "Oldest in the queue",
            "How long the service that is due for longest waits; from 2 minutes on somebody is called.",
            Query(f"max({OPERATOR.of(metrics.QUEUE_AGE)})", "oldest"),
            unit="s",
            steps=((None, GOOD), (30, WARNING), (120, BAD)),
        ),
    )


def _services() -> Sequence[AnyPanel]:
    work = EVERY_SERVICE.of(metrics.SERVICE_SERIES, f'series="{labels.WORK_SECONDS_SERIES}"')
    return (
        rows(
            "Services that are not ready",
            "With the reason; kubectl describe voiceservice says what to do next.",
            Query(_condition('type="Ready"', 'status!="True"'), ""),
            ("namespace", SERVICE_LABEL, "status", "reason"),
            width=12,
        ),
        rows(
            "Services that somebody must look at",
            "Conditions of the type Degraded that hold.",
            Query(_condition('type="Degraded"', 'status="True"'), ""),
            ("namespace", SERVICE_LABEL, "reason"),
            width=12,
        ),
        graph(
            "Pods ready",
            "Of each service.",
            Query(_pods("ready"), "{{namespace}}/{{voiceservice}}"),
            unit="short",
            stacked=True,
        ),
        graph(
            "Pods missing",
            "Of those that each service shall have.",
            Query(f"{_pods('desired')} - {_pods('ready')} > 0", "{{namespace}}/{{voiceservice}}"),
            unit="short",
        ),
        graph(
            "Work that is asked for",
            "Engine seconds per second, of each service: what it is scaled by.",
            Query(f"max by (namespace, {SERVICE_LABEL}) ({work})", "{{namespace}}/{{voiceservice}}"),
            unit="none",
        ),
    )


def _operator() -> Sequence[AnyPanel]:
    return (
        graph(
            "Reconciliations",
            "Per second, by result.",
            Query(OPERATOR.rate(metrics.RECONCILES, by="result"), "{{result}}"),
            unit="ops",
            stacked=True,
        ),
        graph(
            "Time of a reconciliation",
            "From what is to what shall be, with all requests to the API server.",
            *OPERATOR.quantiles(metrics.RECONCILE_DURATION),
            unit="s",
        ),
        graph(
            "Queue",
            "Services that are due, on each replica; only the leader works.",
            Query(OPERATOR.of(metrics.QUEUE_DEPTH), "{{pod}}"),
            unit="short",
        ),
        graph(
            "Leader",
            "1 on the replica that holds the Lease.",
            Query(OPERATOR.of(metrics.LEADER), "{{pod}}"),
            unit="short",
            most=1,
        ),
        graph(
            "Drift put right",
            "Objects that somebody else changed or deleted, per second, by kind. Many are another controller.",
            Query(OPERATOR.rate(metrics.DRIFT_CORRECTIONS, by="kind"), "{{kind}}"),
            unit="ops",
        ),
        graph(
            "Silence of watches",
            "Since when neither an event nor a list has shown what is there; a list is made each minute.",
            Query(OPERATOR.of(metrics.WATCH_AGE), "{{pod}}"),
            unit="s",
            limit=180,
        ),
        graph(
            "Scrapes of pods",
            "Per second, by result.",
            Query(OPERATOR.rate(metrics.SCRAPES, by="result"), "{{result}}"),
            unit="ops",
            stacked=True,
        ),
        graph(
            "Requests to the metrics API",
            "Of HPAs, per second, by status. Each HPA asks for two series every 15 s.",
            Query(OPERATOR.rate(metrics.METRICS_API_REQUESTS, by="status"), "{{status}}"),
            unit="reqps",
            stacked=True,
        ),
        graph(
            "Requests to the API server",
            "Per second, by method and outcome; watches are not counted. At rest there are next to none.",
            Query(OPERATOR.rate(metrics.API_REQUESTS, by="method, outcome"), "{{method}} {{outcome}}"),
            unit="reqps",
            stacked=True,
        ),
        graph(
            "Changes that a watch missed",
            "Found by a list instead, per second, by kind. Should be 0: whoever is between breaks watches.",
            Query(OPERATOR.rate(metrics.WATCH_MISSED, by="kind"), "{{kind}}"),
            unit="ops",
        ),
    )


def _condition(*matchers: str) -> str:
    """One series for each service and reason, although each replica tells of them."""
    series = EVERY_SERVICE.of(metrics.SERVICE_CONDITION, *matchers)
    return f"max by (namespace, {SERVICE_LABEL}, status, reason) ({series})"


def _pods(state: str) -> str:
    series = EVERY_SERVICE.of(metrics.SERVICE_REPLICAS, f'state="{state}"')
    return f"max by (namespace, {SERVICE_LABEL}) ({series})"
