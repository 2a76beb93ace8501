"""Every metric that the operator exports: its name, kind, labels and meaning, for code, dashboards and alerts."""

from typing import Final

from timbre_contract.metrics import MetricKind, MetricSpec

# One converge is a handful of requests to the API server, of some milliseconds each; the bound that matters is 1 s.
_RECONCILE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

LEADER: Final = MetricSpec(
    "timbre_operator_leader", MetricKind.GAUGE, "1 while this replica holds the Lease and writes, else 0."
)
SERVICES: Final = MetricSpec(
    "timbre_operator_services", MetricKind.GAUGE, "VoiceServices that the operator looks after."
)
RECONCILES: Final = MetricSpec(
    "timbre_operator_reconcile_total",
    MetricKind.COUNTER,
    "Reconciliations by result (ok, error): error = refused, and not just by a first conflict, which heals at once.",
    ("result",),
)
RECONCILE_DURATION: Final = MetricSpec(
    "timbre_operator_reconcile_duration_seconds",
    MetricKind.HISTOGRAM,
    "How long one reconciliation took.",
    (),
    _RECONCILE_SECONDS,
)
QUEUE_DEPTH: Final = MetricSpec(
    "timbre_operator_queue_depth", MetricKind.GAUGE, "VoiceServices that are due and wait to be reconciled."
)
QUEUE_AGE: Final = MetricSpec(
    "timbre_operator_queue_oldest_seconds",
    MetricKind.GAUGE,
    "How long the VoiceService that is due for longest waits or is being worked on, in seconds; 0 without one.",
)
WATCH_AGE: Final = MetricSpec(
    "timbre_operator_watch_idle_seconds",
    MetricKind.GAUGE,
    "Since when neither an event nor a list has shown that the most silent watch misses nothing, in seconds.",
)
WATCH_MISSED: Final = MetricSpec(
    "timbre_operator_watch_missed_total",
    MetricKind.COUNTER,
    "Changes that a list brought and a watch had not told of ten seconds later, by kind.",
    ("kind",),
)
API_REQUESTS: Final = MetricSpec(
    "timbre_operator_api_requests_total",
    MetricKind.COUNTER,
    "Requests to the API server by HTTP method (REVIEW: a question what it may do) and outcome (ok, or the reason of the"
    " refusal); watches are not counted.",
    ("method", "outcome"),
)
DRIFT_CORRECTIONS: Final = MetricSpec(
    "timbre_operator_drift_corrections_total",
    MetricKind.COUNTER,
    "Objects that somebody else had changed or deleted and that were put right, by kind.",
    ("kind",),
)
SCRAPES: Final = MetricSpec(
    "timbre_operator_scrapes_total",
    MetricKind.COUNTER,
    "Scrapes of the services' pods by result (ok, failed).",
    ("result",),
)
METRICS_API_REQUESTS: Final = MetricSpec(
    "timbre_operator_metrics_api_requests_total",
    MetricKind.COUNTER,
    "Requests to custom.metrics.k8s.io by HTTP status.",
    ("status",),
)
SERVICE_REPLICAS: Final = MetricSpec(
    "timbre_operator_service_replicas",
    MetricKind.GAUGE,
    "Pods of a VoiceService by state (desired, existing, ready), as its status has them.",
    ("namespace", "voiceservice", "state"),
)
SERVICE_CONDITION: Final = MetricSpec(
    "timbre_operator_service_condition",
    MetricKind.GAUGE,
    "1 for each condition of a VoiceService as it is now, with its status (True, False, Unknown) and reason.",
    ("namespace", "voiceservice", "type", "status", "reason"),
)
SERVICE_SERIES: Final = MetricSpec(
    "timbre_operator_service_series",
    MetricKind.GAUGE,
    "What the autoscaler of a VoiceService is told now, by series.",
    ("namespace", "voiceservice", "series"),
)
SERVICE_DECISION: Final = MetricSpec(
    "timbre_operator_service_decision",
    MetricKind.GAUGE,
    "1 for the reason of the last decision about the number of pods of a VoiceService.",
    ("namespace", "voiceservice", "reason"),
)

OPERATOR_METRICS: Final = (
    LEADER,
    SERVICES,
    RECONCILES,
    RECONCILE_DURATION,
    QUEUE_DEPTH,
    QUEUE_AGE,
    WATCH_AGE,
    WATCH_MISSED,
    API_REQUESTS,
    DRIFT_CORRECTIONS,
    SCRAPES,
    METRICS_API_REQUESTS,
    SERVICE_REPLICAS,
    SERVICE_CONDITION,
    SERVICE_SERIES,
    SERVICE_DECISION,
)
"""What ``/metrics`` of the operator exports.  Those about one service come from every replica alike."""
