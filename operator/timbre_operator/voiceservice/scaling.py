"""How many pods does a VoiceService want, and who decides it?"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from timbre_operator.voiceservice.model import Model, Rule, extra


class ScalingPolicy(Model):
    """One bound on the pace of scaling."""

    type: Literal["Pods", "Percent"]
    """What value counts."""
    value: Annotated[int, Field(ge=1, le=1_000_000)]
    """How many pods, or how many percent of the present ones."""
    period_seconds: Annotated[int, Field(ge=1, le=1800)]
    """In which time, in seconds."""


class ScalingRules(Model):
    """How fast the number may change in one direction."""

    stabilization_window_seconds: Annotated[int, Field(ge=0, le=3600)] | None = None
    """Over how many seconds the most cautious proposal counts."""
    select_policy: Literal["Max", "Min", "Disabled"] | None = None
    """Which policy wins; Disabled stops this direction."""
    policies: (
        Annotated[
            tuple[ScalingPolicy, ...], Field(max_length=16, json_schema_extra=extra(x_kubernetes_list_type="atomic"))
        ]
        | None
    ) = None
    """The bounds."""


class Behavior(Model):
    """How fast the number of pods may change, as in autoscaling/v2; a direction that is written replaces ours."""

    scale_up: ScalingRules | None = None
    """Upwards; ours: by 100 % or 2 pods in 15 s, without stabilisation."""
    scale_down: ScalingRules | None = None
    """Downwards; ours: 1 pod in 120 s, with a stabilisation of 300 s."""


class Targets(Model):
    """What one pod shall carry."""

    queue_depth: Annotated[int, Field(ge=1, le=100_000)] = 16
    """Requests that wait, per pod: one full batch."""
    utilization_percent: Annotated[int, Field(ge=1, le=100)] = 70
    """How busy an engine shall be, in percent."""
    hit_rate_percent: Annotated[int, Field(ge=1, le=99)] = 80
    """The share of voice look-ups that shall need no extraction, in percent."""


class Autoscaling(Model):
    """Who sets the number of pods."""

    class_: Annotated[Literal["HPA", "KEDA", "External", "None"], Field(alias="class")] = "HPA"
    """HPA and KEDA make such an autoscaler; External leaves the number to somebody else; None takes spec.replicas."""
    min_replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    """Fewest pods."""
    max_replicas: Annotated[int, Field(ge=1, le=1000)] = 5
    """Most pods."""
    targets: Targets = Targets()
    """What one pod shall carry."""
    behavior: Behavior | None = None
    """How fast the number may change."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.minReplicas <= self.maxReplicas",
            "write a minReplicas that is not larger than maxReplicas (1 and 5 where they are not written)",
            lambda autoscaling: autoscaling.min_replicas <= autoscaling.max_replicas,
        ),
    )
