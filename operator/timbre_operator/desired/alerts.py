"""When is somebody called about one service, and what are they told?

Each alert has a page of ``docs/runbooks/`` of its name.  Those about the operator and about the release are in the chart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from timbre_contract import metrics
from timbre_contract.metrics import MetricSpec
from timbre_operator.desired.inputs import Manifest
from timbre_operator.desired.workload import fewest_replicas
from timbre_operator.observed import LEAST_RATE
from timbre_operator.voiceservice import VoiceService

SERVICE_LABEL: Final = "voiceservice"
"""Put on every series by the PodMonitors: names of pods tell the service only by a pattern."""
RUNBOOKS: Final = "https://github.com/timbre-dev/timbre/blob/main/docs/runbooks"
FULL_RATIO: Final = 0.9
"""From the articles that the project began with: alert where the cache on the GPU is more than 90 % full."""
SLOW_FIRST_AUDIO_SECONDS: Final = 1.2
"""From the same articles, which promise 95 % of answers within 1.2 s."""
FAILED_RATIO: Final = 0.05
"""One request in twenty is refused or fails: a user meets it within minutes."""
FAILED_REQUESTS: Final = 'status=~"5..",status!="504"'
"""Labels of requests that failed by our fault: with 504 a client asked for what is kept only, and nothing is."""
UNTRACED_RATIO: Final = 0.9
"""Of answers: private texts and single recordings are some of the traffic, where nearly all of it is so a cache is no use."""
LONG_QUEUE_RATIO: Final = 0.5
"""Of maxPending, at which requests are refused: what remains is the time to act."""

REDIS_UP: Final = "redis_up"
REDIS_USED_BYTES: Final = "redis_memory_used_bytes"
REDIS_MAX_BYTES: Final = "redis_memory_max_bytes"
REDIS_WRITES: Final = "redis_aof_last_write_status"
REDIS_KEEPS_FILE: Final = "redis_aof_enabled"
"""Names of redis_exporter 1.88 (docs/metrics.md has ours)."""


def build_alerts(service: VoiceService, *, scraped: bool) -> list[Manifest]:
    """``rules`` of the service; those that tell of missing series only where our PodMonitors scrape."""
    return [
        *_about_voices(service),
        *(_about_finished_speech(service) if service.spec.result_cache.enabled else ()),
        *_about_requests(service),
        *_about_redis(service),
        *(_about_silence(service) if scraped else ()),
    ]


def _about_voices(service: VoiceService) -> Iterator[Manifest]:
    lookups = metrics.VOICE_CACHE_LOOKUPS
    # Every look-up ends as a hit of some tier or as a miss of the last one; a series may not exist yet.
    hits = f"(sum(rate({_series(service, lookups, outcome='hit')}[5m])) or vector(0))"
    misses = f"(sum(rate({_series(service, lookups, tier='redis', outcome='miss')}[5m])) or vector(0))"
    target = service.spec.autoscaling.targets.hit_rate_percent
    yield _alert(
        service,
        "TimbreVoiceHitRateLow",
        f"100 * {hits} / ({hits} + {misses}) < {target} and {hits} + {misses} > {LEAST_RATE}",
        lasting="10m",
        summary=f"{_named(service)} finds fewer than {target} % of voices without extraction",
        description='Only {{ $value | printf "%.0f" }} % of the look-ups of voices were hits; each miss costs seconds of'
        " engine time. Look whether clients send one-off recordings, then give voices more memory.",
    )
    held = _series(service, metrics.VOICE_CACHE_BYTES, tier="device")
    room = _series(service, metrics.VOICE_CACHE_CAPACITY, tier="device")
    yield _alert(
        service,
        "TimbreDeviceVoiceCacheFull",
        f"{held} / {room} > {FULL_RATIO}",
        lasting="15m",
        severity="info",
        summary=f"Voices of {_named(service)} fill their budget on the GPU of {{{{ $labels.pod }}}}",
        description="{{ $value | humanizePercentage }} of the budget is in use. That costs nothing until voices are evicted"
        " that come back: compare the hit rate of the device tier, and raise voiceCache.device.maxBytes if it falls.",
    )
    yield _alert(
        service,
        "TimbreStaleVoiceSpoken",
        f"sum(increase({_series(service, metrics.VOICE_STALE_READS)}[10m])) > 0",
        lasting="0m",
        severity="critical",
        summary=f"{_named(service)} spoke a voice more than a second after it had been replaced or deleted",
        description="Sampled uses say so. Look whether Redis stood still or fell back in time, and set"
        " TIMBRE_FRESHNESS__MODE=strict in podTemplate until it is clear why.",
    )


def _about_finished_speech(service: VoiceService) -> Iterator[Manifest]:
    lookups = metrics.RESULT_CACHE_LOOKUPS
    untraced = f"sum(rate({_series(service, lookups, outcome='bypass')}[10m]))"
    answered = f"sum(rate({_series(service, lookups)}[10m]))"
    yield _alert(
        service,
        "TimbreSpeechNotKept",
        f"{untraced} / {answered} > {UNTRACED_RATIO} and {answered} > {LEAST_RATE}",
        lasting="30m",
        severity="info",
        summary=f"{_named(service)} keeps hardly any of its speech",
        description="{{ $value | humanizePercentage }} of the answers left no trace, so what is said again is made again."
        " Look whether clients send Cache-Control: no-store or a recording with each request, or whether texts match the"
        " patterns of private ones.",
    )


def _about_requests(service: VoiceService) -> Iterator[Manifest]:
    requests = f"sum(rate({_series(service, metrics.REQUESTS)}[5m]))"
    first_audio = metrics.TIME_TO_FIRST_AUDIO.name
    buckets = _selected(service, f"{first_audio}_bucket")
    failures = _selected(service, metrics.REQUESTS.name, FAILED_REQUESTS)
    yield _alert(
        service,
        "TimbreFirstAudioSlow",
        f"histogram_quantile(0.95, sum by (le) (rate({buckets}[5m]))) > {SLOW_FIRST_AUDIO_SECONDS}"
        f" and sum(rate({_selected(service, f'{first_audio}_count')}[5m])) > {LEAST_RATE}",
        lasting="10m",
        summary=f"Every twentieth listener of {_named(service)} waits for more than {SLOW_FIRST_AUDIO_SECONDS} s",
        description="95 % of the first sounds came within {{ $value | humanizeDuration }}. Look whether requests queue"
        " (more pods), or whether voices are extracted (more memory for them).",
    )
    yield _alert(
        service,
        "TimbreErrorsHigh",
        f"sum(rate({failures}[5m])) / {requests} > {FAILED_RATIO} and {requests} > {LEAST_RATE}",
        lasting="5m",
        severity="critical",
        summary=f"{_named(service)} fails to answer",
        description="{{ $value | humanizePercentage }} of the requests end with a 5xx. Of a 500 the pods' logs name the"
        " cause; a 503 is Redis, the engine, or a start.",
    )
    yield _alert(
        service,
        "TimbreRequestsRefused",
        f"sum(rate({_series(service, metrics.REQUESTS, status='429')}[5m])) / {requests} > {FAILED_RATIO}"
        f" and {requests} > {LEAST_RATE}",
        lasting="10m",
        summary=f"{_named(service)} refuses requests",
        description="{{ $value | humanizePercentage }} of the requests end with 429: more is asked for than the pods can"
        " do. See in status.autoscaling why there are not more of them.",
    )
    most = float(service.spec.batching.max_pending.seconds) * LONG_QUEUE_RATIO
    yield _alert(
        service,
        "TimbreQueueLong",
        f"avg({_series(service, metrics.PENDING_WORK)}) > {most:g}",
        lasting="5m",
        summary=f"Requests to {_named(service)} wait for long",
        description="A pod has work for {{ $value | humanizeDuration }} before it; from"
        f" {service.spec.batching.max_pending} on requests are refused. See in status.autoscaling why there are not more pods.",
    )


def _about_redis(service: VoiceService) -> Iterator[Manifest]:
    yield _alert(
        service,
        "TimbreRedisUnreachable",
        f"max(max_over_time({_series(service, metrics.REDIS_BREAKER_OPEN)}[2m])) == 1",
        lasting="5m",
        severity="critical",
        summary=f"Pods of {_named(service)} do not reach their Redis",
        description="Voices in memory are spoken on, enrolments are refused with 503. The condition RedisReady says what"
        " is wrong.",
    )
    yield _alert(
        service,
        "TimbreRegistryDegraded",
        f"max({_series(service, metrics.REGISTRY_DEGRADED)}) == 1",
        lasting="2m",
        severity="critical",
        summary=f"The Redis of {_named(service)} came back empty",
        description="Pods publish the voices that they hold again; those that none of them holds are lost. Don't restart"
        " pods now.",
    )
    yield _alert(
        service,
        "TimbreChangeLogUnhealthy",
        f"{_series(service, metrics.CHANGE_LOG_HEALTHY)} == 0",
        lasting="5m",
        summary=f"{{{{ $labels.pod }}}} of {_named(service)} cannot follow the log of changes",
        description="It asks Redis on each use of a voice, which costs a round trip. Redis is slow, or the pod has too"
        " little CPU.",
    )
    if _exports(service):
        used, room = _selected(service, REDIS_USED_BYTES), _selected(service, REDIS_MAX_BYTES)
        yield _alert(
            service,
            "TimbreRedisMemoryNearlyFull",
            f"{used} / ({room} > 0) > {FULL_RATIO}",
            lasting="15m",
            summary=f"The Redis of {_named(service)} is nearly full",
            description="{{ $value | humanizePercentage }} of maxmemory is in use. Features are evicted next and must be"
            " extracted again; when only recordings are left, enrolments fail. Raise spec.redis.managed.maxMemory.",
        )
    signs = [f"{_series(service, metrics.REDIS_REFUSES_WRITES)} == 1"]
    if _exports(service):
        signs += [f"{_selected(service, name)} == 0" for name in (REDIS_WRITES, REDIS_KEEPS_FILE)]
    yield _alert(
        service,
        "TimbreRedisNotWriting",
        f"count({' or '.join(signs)}) > 0",
        lasting="5m",
        severity="critical",
        summary=f"The Redis of {_named(service)} does not write to its disk",
        description="It cannot, and then it refuses enrolments and deletions with 503; or somebody has turned its file off."
        " Where the disk is full, make room: of a managed one by spec.redis.managed.storage.size. Don't restart it: what is"
        " not on its disk would be lost.",
    )


def _about_silence(service: VoiceService) -> Iterator[Manifest]:
    if fewest_replicas(service) > 0:
        yield _alert(
            service,
            "TimbreServiceDown",
            f"absent({_series(service, metrics.PENDING_REQUESTS)})",
            lasting="5m",
            severity="critical",
            summary=f"No pod of {_named(service)} answers Prometheus",
            description="There is none, or none of them runs. The condition Ready says why.",
        )
    if _exports(service):
        yield _alert(
            service,
            "TimbreRedisDown",
            f"absent({_selected(service, REDIS_UP)} == 1)",
            lasting="5m",
            severity="critical",
            summary=f"The Redis of {_named(service)} is down",
            description="Its exporter gets no answer, or is not there. Look at the pod and its events: its volume, its"
            " memory.",
        )


def _exports(service: VoiceService) -> bool:
    """Whether there is a Redis of ours with an exporter beside it."""
    managed = service.managed_redis
    return managed is not None and managed.exports


def _named(service: VoiceService) -> str:
    return f"{service.namespace}/{service.name}"


def _series(service: VoiceService, metric: MetricSpec, **matchers: str) -> str:
    return _selected(service, metric.name, *(f'{label}="{value}"' for label, value in matchers.items()))


def _selected(service: VoiceService, name: str, *matchers: str) -> str:
    own = f'namespace="{service.namespace}"', f'{SERVICE_LABEL}="{service.name}"'
    return f"{name}{{{','.join((*own, *matchers))}}}"


def _alert(
    service: VoiceService,
    name: str,
    expression: str,
    *,
    lasting: str,
    summary: str,
    description: str,
    severity: str = "warning",
) -> Manifest:
    # Sums have no labels of their own, so these say of whom an alert speaks.
    labels = {"severity": severity, "namespace": service.namespace, SERVICE_LABEL: service.name}
    annotations = {"summary": summary, "description": description, "runbook_url": f"{RUNBOOKS}/{name}.md"}
    return {"alert": name, "expr": expression, "for": lasting, "labels": labels, "annotations": annotations}
