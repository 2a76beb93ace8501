"""What is Prometheus' operator told about the service: what to scrape, and when to call somebody?"""

from __future__ import annotations

from typing import Final, Literal

from timbre_contract import api, labels, metrics
from timbre_operator.desired.inputs import Inputs, Manifest
from timbre_operator.desired.ownership import child
from timbre_operator.observed import OptionalKind
from timbre_operator.voiceservice import VoiceService

_API_VERSION: Final = "monitoring.coreos.com/v1"
_SERVICE_LABEL: Final = "voiceservice"
"""Put on every series by the PodMonitor: names of pods tell the service only by a pattern."""
_LEAST_LOOKUPS_PER_SECOND: Final = 0.1
"""Thirty look-ups in five minutes: below, one cold voice moves the rate by more than three percent."""
_FULL_RATIO: Final = 0.9
"""From the articles that the project began with: alert where the cache on the GPU is more than 90 % full."""


def build_pod_monitor(inputs: Inputs) -> Manifest | None:
    """What to scrape; None where it is not wanted or the kind is missing."""
    service = inputs.service
    if not _wanted(service.spec.monitoring.pod_monitor, OptionalKind.POD_MONITOR, inputs):
        return None
    spec = {
        "selector": {"matchLabels": labels.selector(service.name, labels.SERVER_COMPONENT)},
        "podMetricsEndpoints": [
            {
                "port": "admin",
                "path": api.METRICS_PATH,
                "interval": "15s",
                "relabelings": [{"action": "replace", "targetLabel": _SERVICE_LABEL, "replacement": service.name}],
            }
        ],
    }
    return child(service, _API_VERSION, "PodMonitor", component=labels.SERVER_COMPONENT, spec=spec)


def build_prometheus_rule(inputs: Inputs) -> Manifest | None:
    """When to call somebody; None where it is not wanted or the kind is missing."""
    service = inputs.service
    if not _wanted(service.spec.monitoring.prometheus_rule, OptionalKind.PROMETHEUS_RULE, inputs):
        return None
    spec = {"groups": [{"name": f"timbre-{service.namespace}-{service.name}", "rules": _alerts(service)}]}
    return child(service, _API_VERSION, "PrometheusRule", component=labels.SERVER_COMPONENT, spec=spec)


def _wanted(choice: Literal["Auto", "Enabled", "Disabled"], kind: OptionalKind, inputs: Inputs) -> bool:
    """Enabled without the kind makes nothing either; status says so."""
    return choice != "Disabled" and kind in inputs.kinds


def _alerts(service: VoiceService) -> list[Manifest]:
    def series(name: str, **matchers: str) -> str:
        chosen = {"namespace": service.namespace, _SERVICE_LABEL: service.name, **matchers}
        return f"{name}{{{','.join(f'{label}={value!r}' for label, value in chosen.items())}}}".replace("'", '"')

    lookups = metrics.VOICE_CACHE_LOOKUPS.name
    # Every look-up ends as a hit of some tier or as a miss of the last one; a series may not exist yet.
    hits = f"(sum(rate({series(lookups, outcome='hit')}[5m])) or vector(0))"
    misses = f"(sum(rate({series(lookups, tier='redis', outcome='miss')}[5m])) or vector(0))"
    target = service.spec.autoscaling.targets.hit_rate_percent
    held, room = metrics.VOICE_CACHE_BYTES.name, metrics.VOICE_CACHE_CAPACITY.name
    return [
        _alert(
            "TimbreVoiceHitRateLow",
            f"100 * {hits} / ({hits} + {misses}) < {target} and {hits} + {misses} > {_LEAST_LOOKUPS_PER_SECOND}",
            "10m",
            f"Of the voices of {service.name} fewer than {target} % are found without extraction; each other one costs"
            " seconds of engine time. More memory for voices, or fewer one-off voices, helps.",
        ),
        _alert(
            "TimbreDeviceVoiceCacheFull",
            f"{series(held, tier='device')} / {series(room, tier='device')} > {_FULL_RATIO}",
            "15m",
            f"The voices of {service.name} fill more than 90 % of their budget on a GPU; raise voiceCache.device.maxBytes"
            " where memory is free.",
        ),
        _alert(
            "TimbreStaleVoiceSpoken",
            f"sum(increase({series(metrics.VOICE_STALE_READS.name)}[10m])) > 0",
            "0m",
            f"{service.name} spoke a voice more than a second after it had been replaced or deleted.",
            severity="critical",
        ),
        _alert(
            "TimbreRedisUnreachable",
            f"max(max_over_time({series(metrics.REDIS_BREAKER_OPEN.name)}[2m])) == 1",
            "5m",
            f"Pods of {service.name} do not reach their Redis; voices in memory go on, enrolment does not.",
            severity="critical",
        ),
    ]


def _alert(name: str, expression: str, lasting: str, meaning: str, *, severity: str = "warning") -> Manifest:
    return {
        "alert": name,
        "expr": expression,
        "for": lasting,
        "labels": {"severity": severity},
        "annotations": {"summary": meaning},
    }
