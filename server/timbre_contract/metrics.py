"""Every metric that Timbre exports: its name, kind, labels and meaning, for code, dashboards and documentation."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class MetricKind(StrEnum):
    """Prometheus' kinds."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class MetricSpec:
    """One metric; label values are bounded sets, never client input."""

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds, for histograms."""


# 5 ms to 60 s, doubling or so: below lies a cache hit, above only the longest texts on the slowest engines.
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# The same, finer where a listener notices: 100 to 500 ms.
_FIRST_AUDIO_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)
_EXTRACTION_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_BATCH_SIZES = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 64.0)

REQUESTS: Final = MetricSpec(
    "timbre_requests_total",
    MetricKind.COUNTER,
    "Finished requests by route template and HTTP status.",
    ("route", "status"),
)
REQUEST_DURATION: Final = MetricSpec(
    "timbre_request_duration_seconds",
    MetricKind.HISTOGRAM,
    "From the first byte of the request to the last byte of the response.",
    ("route",),
    _REQUEST_SECONDS,
)
TIME_TO_FIRST_AUDIO: Final = MetricSpec(
    "timbre_time_to_first_audio_seconds",
    MetricKind.HISTOGRAM,
    "From the start of a speech request to its first synthesised samples.",
    (),
    _FIRST_AUDIO_SECONDS,
)
AUDIO_SECONDS: Final = MetricSpec(
    "timbre_audio_seconds_total", MetricKind.COUNTER, "Playing time of the speech sent to clients, in seconds."
)
PENDING_REQUESTS: Final = MetricSpec(
    "timbre_pending_requests", MetricKind.GAUGE, "Speech requests that were admitted and are not finished."
)
QUEUED_REQUESTS: Final = MetricSpec(
    "timbre_queued_requests",
    MetricKind.GAUGE,
    "Requests that were admitted and that the engine has not taken yet; what the service is scaled by.",
)
PENDING_WORK: Final = MetricSpec(
    "timbre_pending_work_seconds",
    MetricKind.GAUGE,
    "Predicted engine time of all admitted, unfinished work, in seconds.",
)
BATCH_SIZE: Final = MetricSpec(
    "timbre_batch_size", MetricKind.HISTOGRAM, "Jobs in a batch when the engine took it.", (), _BATCH_SIZES
)
ENGINE_BUSY: Final = MetricSpec(
    "timbre_engine_busy_seconds_total", MetricKind.COUNTER, "Time that the engine spent on batches, in seconds."
)
ENGINE_DEMAND: Final = MetricSpec(
    "timbre_engine_demand_seconds_total",
    MetricKind.COUNTER,
    "Predicted time that requests asked for as they arrived, in seconds, at the efficiency of full batches, by kind"
    " (synthesis, extraction, transfer); what the service is scaled by.",
    ("kind",),
)
VOICE_CACHE_LOOKUPS: Final = MetricSpec(
    "timbre_voice_cache_lookups_total",
    MetricKind.COUNTER,
    "Look-ups of voice features for speech by tier (device, host, redis) and outcome (hit, miss); an enrolment is none.",
    ("tier", "outcome"),
)
VOICE_CACHE_BYTES: Final = MetricSpec(
    "timbre_voice_cache_bytes", MetricKind.GAUGE, "Bytes of voice features held, by tier.", ("tier",)
)
VOICE_CACHE_CAPACITY: Final = MetricSpec(
    "timbre_voice_cache_capacity_bytes",
    MetricKind.GAUGE,
    "Bytes of voice features that may be held, by tier.",
    ("tier",),
)
VOICE_CACHE_EVICTIONS: Final = MetricSpec(
    "timbre_voice_cache_evictions_total",
    MetricKind.COUNTER,
    "Voices dropped from a tier, by cause (capacity, pressure, erased).",
    ("tier", "cause"),
)
VOICE_EXTRACTION: Final = MetricSpec(
    "timbre_voice_extraction_seconds",
    MetricKind.HISTOGRAM,
    "From asking for the extraction of a voice to its features, waiting included, by what asked (speech, enrolment).",
    ("cause",),
    _EXTRACTION_SECONDS,
)

# A millisecond where the log is healthy, up to the second that a change may take (docs/caching.md), and beyond.
_LAG_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

VOICE_CACHE_HIT_RATIO: Final = MetricSpec(
    "timbre_voice_cache_hit_ratio",
    MetricKind.GAUGE,
    "Share of the voice look-ups of the last 5 minutes that needed no extraction of their own: one that several wait for"
    " counts once, one that an enrolment began not at all. NaN without look-ups.",
)
VOICE_WORKING_SET: Final = MetricSpec(
    "timbre_voice_working_set_bytes",
    MetricKind.GAUGE,
    "Memory for features with which the target share of look-ups would be hits, in bytes.",
)
VOICE_INVALIDATION_LAG: Final = MetricSpec(
    "timbre_voice_invalidation_lag_seconds",
    MetricKind.HISTOGRAM,
    "From the entry of a change in the log, by Redis' clock, to its effect on this pod.",
    (),
    _LAG_SECONDS,
)
VOICE_STALE_READS: Final = MetricSpec(
    "timbre_voice_stale_reads_total",
    MetricKind.COUNTER,
    "Sampled uses of a voice that the registry, asked afterwards, had changed more than a second before.",
)
VOICE_UNCHECKED_USES: Final = MetricSpec(
    "timbre_voice_unchecked_uses_total",
    MetricKind.COUNTER,
    "Uses of a voice in memory whose freshness could not be checked because Redis was away.",
)
CHANGE_LOG_HEALTHY: Final = MetricSpec(
    "timbre_change_log_healthy",
    MetricKind.GAUGE,
    "1 while this pod follows the log of changes closely enough to speak voices without asking, else 0.",
)
REGISTRY_DEGRADED: Final = MetricSpec(
    "timbre_registry_degraded",
    MetricKind.GAUGE,
    "1 after Redis was found emptied, until what the pods held is published again, else 0.",
)
REDIS_BREAKER_OPEN: Final = MetricSpec(
    "timbre_redis_breaker_open", MetricKind.GAUGE, "1 while nobody asks Redis because it does not answer, else 0."
)
REDIS_REFUSES_WRITES: Final = MetricSpec(
    "timbre_redis_refuses_writes",
    MetricKind.GAUGE,
    "1 while Redis answers this pod and takes no writes because it cannot write to its disk, else 0.",
)
RESULT_CACHE_LOOKUPS: Final = MetricSpec(
    "timbre_result_cache_lookups_total",
    MetricKind.COUNTER,
    "Answered speech requests by where their speech came from: said before (hit), said before of a text that says the same"
    " words (similar), made for this request (miss), made for another one at the same time (coalesced), made and kept nowhere"
    " (bypass).",
    ("outcome",),
)
RESULT_CACHE_BYTES: Final = MetricSpec(
    "timbre_result_cache_bytes", MetricKind.GAUGE, "Bytes of finished speech held, by tier.", ("tier",)
)
DEVICE_MEMORY: Final = MetricSpec(
    "timbre_device_memory_bytes",
    MetricKind.GAUGE,
    "Memory of the device as NVML and torch report it, by kind (total, used, free, allocated, reserved).",
    ("kind",),
)
DEVICE_UTILIZATION: Final = MetricSpec(
    "timbre_device_utilization_ratio",
    MetricKind.GAUGE,
    "Share of time in which the device ran a kernel, 0 to 1; no series where no device says so.",
)
DEVICE_TEMPERATURE: Final = MetricSpec(
    "timbre_device_temperature_celsius",
    MetricKind.GAUGE,
    "Temperature of the device; no series where none says so.",
)
VOICE_CACHE_RESIZES: Final = MetricSpec(
    "timbre_voice_cache_resizes_total",
    MetricKind.COUNTER,
    "Changes of the device tier's budget, by reason (pressure, out_of_memory, demand).",
    ("reason",),
)

SERVER_METRICS: Final = (
    REQUESTS,
    REQUEST_DURATION,
    TIME_TO_FIRST_AUDIO,
    AUDIO_SECONDS,
    QUEUED_REQUESTS,
    PENDING_REQUESTS,
    PENDING_WORK,
    BATCH_SIZE,
    ENGINE_BUSY,
    ENGINE_DEMAND,
    VOICE_CACHE_LOOKUPS,
    VOICE_CACHE_BYTES,
    VOICE_CACHE_CAPACITY,
    VOICE_CACHE_EVICTIONS,
    VOICE_EXTRACTION,
    VOICE_CACHE_HIT_RATIO,
    VOICE_WORKING_SET,
    VOICE_CACHE_RESIZES,
    VOICE_INVALIDATION_LAG,
    VOICE_STALE_READS,
    VOICE_UNCHECKED_USES,
    CHANGE_LOG_HEALTHY,
    REGISTRY_DEGRADED,
    REDIS_BREAKER_OPEN,
    REDIS_REFUSES_WRITES,
    RESULT_CACHE_LOOKUPS,
    RESULT_CACHE_BYTES,
    DEVICE_MEMORY,
    DEVICE_UTILIZATION,
    DEVICE_TEMPERATURE,
)
"""What ``/metrics`` of the server exports, in the order of the documentation."""
