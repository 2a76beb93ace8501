"""What was found about one VoiceService at one moment?  Facts only: ``desired``, ``plan``, ``status`` and ``scaling`` decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from timbre_contract.metrics import MetricSpec
from timbre_operator.voiceservice import VoiceService

Manifest = Mapping[str, Any]


class OptionalKind(StrEnum):
    """Kinds that a cluster may lack; asked again and again, for they may come later."""

    SCALED_OBJECT = "scaledobjects.keda.sh"
    POD_MONITOR = "podmonitors.monitoring.coreos.com"
    PROMETHEUS_RULE = "prometheusrules.monitoring.coreos.com"


class RedisProblem(StrEnum):
    """What is wrong with a Redis; the reason of the condition RedisReady."""

    SECRET_MISSING = "SecretMissing"  # noqa: S105  # a reason, not a secret
    UNREACHABLE = "Unreachable"
    TLS_FAILED = "TLSFailed"
    AUTH_FAILED = "AuthFailed"
    LOADING = "Loading"
    TOO_OLD = "VersionTooOld"
    POLICY_EVICTS_VOICES = "PolicyEvictsVoices"
    FULL = "Full"
    READ_ONLY = "ReadOnly"
    DISK_WRITE_FAILED = "DiskWriteFailed"
    RESTART_DROPS_VOICES = "RestartDropsVoices"
    APPEND_ONLY_OFF = "AppendOnlyOff"


@dataclass(frozen=True, kw_only=True)
class RedisFacts:
    """What a Redis said of itself when it was asked last."""

    address: str
    version: str = ""
    policy: str = ""
    """``maxmemory-policy``; empty where the server does not tell (ElastiCache forbids CONFIG)."""
    used_bytes: int = 0
    max_bytes: int = 0
    """0 = no bound, or unknown."""
    appends: bool | None = None
    """Whether all of its servers write an append-only file; None where one does not tell."""
    problem: RedisProblem | None = None
    """None while all is well."""
    detail: str = ""
    """One sentence beside the problem, without secrets."""


@dataclass(frozen=True, kw_only=True)
class Trend:
    """The last half minute beside the five minutes before it: tells why the load changes."""

    hit_rate_percent: int | None = None
    """Of the last half minute; None without look-ups."""
    hit_rate_before_percent: int | None = None
    synthesis_before_seconds: float = 0.0
    """Engine seconds demanded per second, for speech."""
    extraction_before_seconds: float = 0.0
    """The same for extractions."""
    queue_peak: float = 0.0
    """The most that waited in the last half minute: an autoscaler may have seen it when nobody else looked."""


LEAST_RATE: Final = 0.1
"""Thirty requests or look-ups in five minutes: below, a single one moves a share by more than three percent."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a service was asked to do lately, over all of its pods."""

    queue_depth: int = 0
    """Requests that wait for an engine and did so at the last looks too."""
    work_seconds: float = 0.0
    """Engine seconds demanded per second, smoothed."""
    working_set_bytes: int = 0
    hit_rate_percent: int | None = None
    """Voice look-ups of five minutes that needed no extraction; None without look-ups."""
    lookups_per_second: float = 0.0
    """Voice look-ups of these five minutes; below ``LEAST_RATE`` their share says nothing."""
    extraction_seconds: float = 0.0
    """The part of ``work_seconds`` that extractions are."""
    trend: Trend = Trend()
    silent_pods: tuple[str, ...] = ()
    """Pods that could not be scraped for three periods; while there are some the totals are held."""
    held: bool = False
    """Whether the totals are old values, kept because pods are silent."""
    measured: bool = True
    """False where no pod was ever heard, and all is known is which ones are silent."""
    cold_pods: tuple[str, ...] = ()
    """Pods that serve before their warm-up was done."""
    refused_voices: tuple[str, ...] = ()
    """Declared voices that a pod cannot enrol, each as ``voice_ann: why``; of all pods, each once."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A step that the API server refused, the last time it was tried."""

    kind: str
    name: str
    reason: str
    """Of the API's Status: Forbidden, Invalid, Conflict, ..."""
    message: str
    times: int = 1
    """In a row."""

    @property
    def heals_at_once(self) -> bool:
        """Something changed between the look and the write, and the next turn, a moment later, sees what."""
        return self.reason == "Conflict" and self.times == 1


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Everything that is known about one VoiceService; a snapshot, never updated."""

    service: VoiceService
    found: tuple[Manifest, ...] = ()
    """Whole objects: all with our labels for this service, and every namesake of a child, whoever owns it."""
    pods: tuple[Manifest, ...] = ()
    """Pods of the server and of the managed Redis: metadata, spec and status."""
    events: tuple[Manifest, ...] = ()
    """Warnings of the API about those pods, the newest first: why an image cannot be pulled, why no node fits."""
    kinds: frozenset[OptionalKind] = frozenset()
    """Optional kinds that this cluster has, or had before their API group fell silent."""
    silent_kinds: Mapping[OptionalKind, str] = field(default_factory=dict)
    """Optional kinds whose API group does not answer, and why."""
    metrics_api: str | None = None
    """Why the HPA cannot read the series through this operator; None while it can."""
    redis: RedisFacts | None = None
    """None before it was asked for the first time."""
    load: Load | None = None
    """None before the pods were asked for the first time."""
    failures: tuple[Failure, ...] = ()
    """What the API server refused when it was tried last; empty again once it went through."""
    missing_references: tuple[str, ...] = ()
    """Sentences about Secrets and ConfigMaps that the spec names and that are not there, or lack the key."""
    changed: str = ""
    """Why the running rollout began: the first field of the pod template that changed, as ``path: new, was old``."""

    def children(self, kind: str) -> tuple[Manifest, ...]:
        """Those that this service owns."""
        uid = self.service.metadata.uid
        return tuple(m for m in self.found if m["kind"] == kind and controller_uid(m) == uid)

    def child(self, kind: str, suffix: str = "") -> Manifest | None:
        """The one that is called as the service plus ``suffix``; None where there is none, or it is somebody else's."""
        name = self.service.name + suffix
        return next((m for m in self.children(kind) if m["metadata"]["name"] == name), None)


@dataclass(frozen=True, kw_only=True)
class VoiceHeat:
    """One voice that a pod holds in memory."""

    digest: str
    """Digest of its recording, so that pods can be compared; no name leaves the pod."""
    heat: float
    """Uses, decayed; only comparable between voices of one service."""


@dataclass(frozen=True, kw_only=True)
class PodSample:
    """One answer of one pod's admin port."""

    counters: Mapping[str, float] = field(default_factory=dict)
    """Metrics by name, with label values after it: ``timbre_engine_demand_seconds_total{extraction}``."""
    held: tuple[VoiceHeat, ...] = ()
    """Its hottest voices, at most 64."""
    ready: bool = True
    warm: bool = True
    """False where it serves although its warm-up was cut off."""
    refused_voices: tuple[str, ...] = ()
    """Declared voices that it cannot enrol, as ``voice_ann: why``."""


def sample_key(spec: MetricSpec, *label_values: str) -> str:
    """Under which name ``PodSample.counters`` has a metric; label values in the order of the spec's labels."""
    return f"{spec.name}{{{','.join(label_values)}}}" if label_values else spec.name


METRICS_API_DISABLED: Final = "the chart was installed with metricsApi.enabled=false"


def controller_uid(manifest: Manifest) -> str:
    """Uid of the object that controls it; empty where there is none."""
    owners = manifest["metadata"].get("ownerReferences") or ()
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")
