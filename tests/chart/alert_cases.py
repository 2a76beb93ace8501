"""What makes each alert fire, and what makes it stop, in promtool's notation: ``0+30x60`` is 0, 30, 60 ... once a minute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SERVICE: Final = 'namespace="studio",voiceservice="narrator",pod="narrator-a"'
OPERATOR: Final = 'namespace="timbre-system",job="timbre-operator",pod="operator-a"'
ABOUT: Final = 'namespace="studio",voiceservice="narrator",job="timbre-operator",pod="operator-a"'


@dataclass(frozen=True)
class Case:
    """One course of events; minutes since its begin."""

    alert: str
    series: dict[str, str]
    """Values, one each minute."""
    silent: tuple[int, ...]
    """Not yet, and not any more."""
    fires: tuple[int, ...]


def _of(name: str, who: str, **labels: str) -> str:
    matchers = ",".join([who, *(f'{label}="{value}"' for label, value in labels.items())])
    return f"{name}{{{matchers}}}"


def _service(name: str, **labels: str) -> str:
    return _of(name, SERVICE, **labels)


def _operator(name: str, **labels: str) -> str:
    return _of(name, OPERATOR, **labels)


# Each goes wrong for its first half hour and is well for the next; 30 a minute is 0.5 a second.
CASES: Final = (
    Case(
        "TimbreVoiceHitRateLow",  # 70 % hits, then 97 %
        {
            _service("timbre_voice_cache_lookups_total", tier="host", outcome="hit"): "0+70x30 2100+97x60",
            _service("timbre_voice_cache_lookups_total", tier="redis", outcome="miss"): "0+30x30 900+3x60",
            # Found in Redis: a miss of the host, and no extraction.
            _service("timbre_voice_cache_lookups_total", tier="host", outcome="miss"): "0+60x90",
        },
        silent=(5, 60),
        fires=(15, 29),
    ),
    Case(
        "TimbreVoiceHitRateLow",  # ten look-ups in ten minutes, all of them misses: too few to say anything
        {_service("timbre_voice_cache_lookups_total", tier="redis", outcome="miss"): "0+1x90"},
        silent=(15, 60),
        fires=(),
    ),
    Case(
        "TimbreDeviceVoiceCacheFull",
        {
            _service("timbre_voice_cache_bytes", tier="device"): "91+0x30 89+0x60",
            _service("timbre_voice_cache_capacity_bytes", tier="device"): "100+0x90",
        },
        silent=(14, 60),
        fires=(16, 29),
    ),
    Case(
        "TimbreDeviceVoiceCacheFull",  # a server without a GPU: 0 of 0
        {
            _service("timbre_voice_cache_bytes", tier="device"): "0+0x90",
            _service("timbre_voice_cache_capacity_bytes", tier="device"): "0+0x90",
        },
        silent=(60,),
        fires=(),
    ),
    Case(
        "TimbreSpeechNotKept",  # 95 % leave no trace, then 50 %
        {
            _service("timbre_result_cache_lookups_total", outcome="bypass"): "0+95x45 4275+50x60",
            _service("timbre_result_cache_lookups_total", outcome="miss"): "0+5x45 225+50x60",
        },
        silent=(25, 75),
        fires=(35, 44),
    ),
    Case(
        "TimbreStaleVoiceSpoken",
        {_service("timbre_voice_stale_reads_total"): "0+0x9 1+0x90"},
        silent=(9, 30),
        fires=(11, 18),
    ),
    Case(
        "TimbreFirstAudioSlow",  # one in ten waits for 2 to 5 s, then nobody
        {
            _service("timbre_time_to_first_audio_seconds_bucket", le="1.0"): "0+27x30 810+30x60",
            _service("timbre_time_to_first_audio_seconds_bucket", le="2.0"): "0+27x30 810+30x60",
            _service("timbre_time_to_first_audio_seconds_bucket", le="5.0"): "0+30x90",
            _service("timbre_time_to_first_audio_seconds_bucket", le="+Inf"): "0+30x90",
            _service("timbre_time_to_first_audio_seconds_count"): "0+30x90",
        },
        silent=(8, 60),
        fires=(15, 29),
    ),
    Case(
        "TimbreErrorsHigh",
        {
            _service("timbre_requests_total", route="/v1/audio/speech", status="200"): "0+90x90",
            _service("timbre_requests_total", route="/v1/audio/speech", status="500"): "0+10x30 300+1x60",
        },
        silent=(4, 60),
        fires=(8, 29),
    ),
    Case(
        "TimbreErrorsHigh",  # clients that want nothing made
        {
            _service("timbre_requests_total", route="/v1/audio/speech", status="200"): "0+10x90",
            _service("timbre_requests_total", route="/v1/audio/speech", status="504"): "0+90x90",
        },
        silent=(60,),
        fires=(),
    ),
    Case(
        "TimbreRequestsRefused",
        {
            _service("timbre_requests_total", route="/v1/audio/speech", status="200"): "0+90x90",
            _service("timbre_requests_total", route="/v1/audio/speech", status="429"): "0+10x30 300+1x60",
        },
        silent=(9, 60),
        fires=(13, 29),
    ),
    Case(
        "TimbreRequestsRefused",  # what fails is another alert's business
        {
            _service("timbre_requests_total", route="/v1/audio/speech", status="200"): "0+90x90",
            _service("timbre_requests_total", route="/v1/audio/speech", status="500"): "0+10x90",
        },
        silent=(30, 60),
        fires=(),
    ),
    Case(
        "TimbreQueueLong",
        {_service("timbre_pending_work_seconds"): "16+0x30 14+0x60"},
        silent=(4, 33),
        fires=(6, 29),
    ),
    Case(
        "TimbreRedisUnreachable",  # the breaker lets a probe through now and then
        {_service("timbre_redis_breaker_open"): "1 1 0 1 1 0 1 1 0 1 1 0 0+0x60"},
        silent=(4, 20),
        fires=(6, 11),
    ),
    Case(
        "TimbreRegistryDegraded",
        {_service("timbre_registry_degraded"): "1+0x30 0+0x60"},
        silent=(1, 33),
        fires=(3, 29),
    ),
    Case(
        "TimbreChangeLogUnhealthy",
        {_service("timbre_change_log_healthy"): "0+0x30 1+0x60"},
        silent=(4, 33),
        fires=(6, 29),
    ),
    Case(
        "TimbreRedisMemoryNearlyFull",
        {
            _service("redis_memory_used_bytes"): "950+0x30 800+0x60",
            _service("redis_memory_max_bytes"): "1000+0x90",
        },
        silent=(14, 33),
        fires=(16, 29),
    ),
    Case(
        "TimbreRedisMemoryNearlyFull",  # a Redis without a bound
        {_service("redis_memory_used_bytes"): "950+0x90", _service("redis_memory_max_bytes"): "0+0x90"},
        silent=(60,),
        fires=(),
    ),
    Case(
        "TimbreRedisNotWriting",  # it runs all the while
        {
            _service("redis_aof_last_write_status"): "0+0x30 1+0x60",
            _service("redis_aof_enabled"): "1+0x90",
            _service("redis_up"): "1+0x90",
        },
        silent=(4, 33),
        fires=(6, 29),
    ),
    Case(
        "TimbreRedisNotWriting",  # its file was turned off, whose last write went well
        {_service("redis_aof_last_write_status"): "1+0x90", _service("redis_aof_enabled"): "0+0x30 1+0x60"},
        silent=(4, 33),
        fires=(6, 29),
    ),
    Case(
        "TimbreRedisNotWriting",  # nobody exports what it says of itself, but pods tell what it answers
        {_service("timbre_redis_refuses_writes"): "1+0x30 0+0x60"},
        silent=(4, 33),
        fires=(6, 29),
    ),
    Case(
        "TimbreServiceDown",
        {_service("timbre_pending_requests"): "_x30 0+0x60"},
        silent=(4, 33),
        fires=(6, 29),
    ),
    Case("TimbreRedisDown", {_service("redis_up"): "0+0x30 1+0x60"}, silent=(4, 33), fires=(6, 29)),
    Case("TimbreRedisDown", {_service("redis_up"): "_x30 1+0x60"}, silent=(4, 33), fires=(6, 29)),
    Case("TimbreOperatorDown", {_operator("timbre_operator_leader"): "_x30 1+0x60"}, silent=(4, 33), fires=(6, 29)),
    Case(
        "TimbreOperatorWithoutLeader",
        {_operator("timbre_operator_leader"): "0+0x30 1+0x60"},
        silent=(1, 33),
        fires=(3, 29),
    ),
    Case(
        "TimbreOperatorWithoutLeader",  # two of them
        {
            _operator("timbre_operator_leader"): "1+0x90",
            _operator("timbre_operator_leader").replace("operator-a", "operator-b"): "1+0x30 0+0x60",
        },
        silent=(1, 33),
        fires=(3, 29),
    ),
    Case(
        "TimbreReconcileErrors",
        {
            _operator("timbre_operator_reconcile_total", result="ok"): "0+8x90",
            _operator("timbre_operator_reconcile_total", result="error"): "0+2x30 60+0x60",
        },
        silent=(14, 45),
        fires=(18, 29),
    ),
    Case(
        "TimbreReconcileStalled",
        {
            _operator("timbre_operator_queue_oldest_seconds"): "0+60x30 0+0x60",
            _operator("timbre_operator_leader"): "1+0x90",
        },
        silent=(7, 33),
        fires=(9, 29),
    ),
    Case(
        "TimbreReconcileStalled",  # one that is not the leader does nothing, and shall
        {
            _operator("timbre_operator_queue_oldest_seconds"): "0+60x90",
            _operator("timbre_operator_leader"): "0+0x90",
        },
        silent=(30,),
        fires=(),
    ),
    Case(
        "TimbreReconcileSlow",
        {
            _operator("timbre_operator_reconcile_duration_seconds_bucket", le="5.0"): "0+90x30 2700+100x60",
            _operator("timbre_operator_reconcile_duration_seconds_bucket", le="10.0"): "0+100x90",
            _operator("timbre_operator_reconcile_duration_seconds_bucket", le="+Inf"): "0+100x90",
        },
        silent=(14, 45),
        fires=(18, 29),
    ),
    Case(
        "TimbreWatchStale",
        {_operator("timbre_operator_watch_idle_seconds"): "0+60x30 0+0x60"},
        silent=(5, 33),
        fires=(7, 29),
    ),
    Case(
        "TimbreDriftRepeated",
        {_operator("timbre_operator_drift_corrections_total", kind="Deployment"): "0+1x60 60+0x120"},
        silent=(35, 100),
        fires=(45, 59),
    ),
    Case(
        "TimbreScrapesFailing",
        {
            _operator("timbre_operator_scrapes_total", result="ok"): "0+8x90",
            _operator("timbre_operator_scrapes_total", result="failed"): "0+2x30 60+0x60",
        },
        silent=(9, 45),
        fires=(13, 29),
    ),
    Case(
        "TimbreMetricsApiUnavailable",
        {'aggregator_unavailable_apiservice{name="v1beta2.custom.metrics.k8s.io"}': "1+0x30 0+0x60"},
        silent=(4, 33),
        fires=(6, 29),
    ),
    Case(
        "TimbreServiceNotReady",  # its reason changes again and again: it has not been ready for as long
        {
            _of("timbre_operator_service_condition", ABOUT, type="Ready", status="False", reason="PodUnschedulable"): (
                "1+0x5 _x10 1+0x14 _x60"
            ),
            _of("timbre_operator_service_condition", ABOUT, type="Ready", status="Unknown", reason="Crashed"): (
                "_x6 1+0x9 _x75"
            ),
            _of("timbre_operator_service_condition", ABOUT, type="Ready", status="True", reason="Ready"): "_x31 1+0x60",
            _of(
                "timbre_operator_service_condition", ABOUT, type="Progressing", status="False", reason="Idle"
            ): "1+0x90",
        },
        silent=(14, 40),
        fires=(16, 29),
    ),
    Case(
        "TimbreServiceNotReady",  # somebody wants no pods of it: replicas is 0
        {
            _of(
                "timbre_operator_service_condition", ABOUT, type="Ready", status="False", reason="ScaledToZero"
            ): "1+0x90"
        },
        silent=(30,),
        fires=(),
    ),
    Case(
        "TimbrePodsNotReady",
        {
            _of("timbre_operator_service_replicas", ABOUT, state="desired"): "3+0x90",
            _of("timbre_operator_service_replicas", ABOUT, state="ready"): "2+0x30 3+0x60",
        },
        silent=(14, 33),
        fires=(16, 29),
    ),
    Case(
        "TimbreServiceAtItsMost",
        {
            _of(
                "timbre_operator_service_condition", ABOUT, type="AutoscalingActive", status="True", reason="AtMaximum"
            ): ("1+0x60 _x60")
        },
        silent=(29, 70),
        fires=(31, 59),
    ),
)
