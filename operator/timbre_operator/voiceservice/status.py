"""What does the operator report about a VoiceService?"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from timbre_operator.voiceservice.model import Model, extra

_Word = Annotated[str, Field(max_length=316)]
_Sentence = Annotated[str, Field(max_length=32_768)]
_Moment = Annotated[str, Field(max_length=64, json_schema_extra={"format": "date-time"})]
_Number = Annotated[str, Field(max_length=32)]


class Condition(Model):
    """One aspect of the service, as in metav1.Condition."""

    type: Annotated[str, Field(max_length=316)]
    """Ready, Progressing, RedisReady, CacheWarm, AutoscalingActive or Degraded."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    """Why, in one word that programs may rely on."""
    message: _Sentence
    """Why, and the next thing to do."""
    last_transition_time: _Moment
    """When the status changed last."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Of which generation of the spec this was said."""


class Proposal(Model):
    """How many pods one series asks for."""

    series: _Word
    """Name of the series."""
    value: _Number
    """Its value, a quantity."""
    replicas: int
    """What follows from it."""


class Decision(Model):
    """One change of the number of pods, or why there was none."""

    time: _Moment
    """When."""
    from_: Annotated[int, Field(alias="from")]
    """Pods before."""
    to: int
    """Pods after."""
    reason: _Word
    """Why, in one word."""
    message: _Sentence | None = None
    """Why, and what held it back."""
    proposals: (
        Annotated[tuple[Proposal, ...], Field(max_length=8, json_schema_extra=extra(x_kubernetes_list_type="atomic"))]
        | None
    ) = None
    """What each series asked for."""


class AutoscalingStatus(Model):
    """Why there are this many pods."""

    class_: Annotated[_Word, Field(alias="class")]
    """Who sets the number."""
    inputs: (
        Annotated[
            tuple[Proposal, ...],
            Field(
                max_length=8,
                json_schema_extra=extra(x_kubernetes_list_type="map", x_kubernetes_list_map_keys=["series"]),
            ),
        ]
        | None
    ) = None
    """The series now, and what each asks for."""
    decisions: (
        Annotated[tuple[Decision, ...], Field(max_length=5, json_schema_extra=extra(x_kubernetes_list_type="atomic"))]
        | None
    ) = None
    """The last five, newest first."""


class RedisStatus(Model):
    """The Redis in use."""

    kind: Literal["Managed", "External"]
    """Whose it is."""
    address: _Word | None = None
    """Where it is."""
    version: _Word | None = None
    """What it said of itself."""


class Status(Model):
    """What the operator reports."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation of the spec that all of this is about."""
    conditions: (
        Annotated[
            tuple[Condition, ...],
            Field(
                max_length=16,
                json_schema_extra=extra(x_kubernetes_list_type="map", x_kubernetes_list_map_keys=["type"]),
            ),
        ]
        | None
    ) = None
    """Ready says all in one; the others say where to look."""
    selector: Annotated[str, Field(max_length=1024)] | None = None
    """Selects the server's pods; for kubectl scale and autoscalers."""
    replicas: int | None = None
    """Pods that exist."""
    ready_replicas: int | None = None
    """Pods that serve."""
    desired_replicas: int | None = None
    """Pods that shall be."""
    queue_depth: int | None = None
    """Requests that wait, over all pods."""
    hit_rate_percent: Annotated[int | None, Field(json_schema_extra={"nullable": True})] = None
    """Voice look-ups of the last five minutes that needed no extraction; null without traffic."""
    endpoint: _Word | None = None
    """Where clients inside the cluster find the API."""
    redis: RedisStatus | None = None
    """The Redis in use."""
    autoscaling: AutoscalingStatus | None = None
    """Why there are this many pods."""
