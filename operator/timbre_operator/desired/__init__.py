"""Which objects make a VoiceService true?  Pure builders: typed resource in, manifests out.

A builder that returns None says that the object shall not be.  Names, labels and owners are given in ``ownership`` alone.
"""

from __future__ import annotations

from timbre_operator.desired.autoscaler import build_autoscaler
from timbre_operator.desired.inputs import Inputs, Manifest, RedisPasswords
from timbre_operator.desired.monitoring import build_pod_monitor, build_prometheus_rule, build_redis_pod_monitor
from timbre_operator.desired.network import build_network_policy
from timbre_operator.desired.ownership import stamped
from timbre_operator.desired.redis import build_redis
from timbre_operator.desired.voices import build_voice_list
from timbre_operator.desired.workload import (
    build_deployment,
    build_disruption_budget,
    build_headless_service,
    build_service,
    build_service_account,
)
from timbre_operator.observed import OptionalKind

__all__ = ["Inputs", "Manifest", "OptionalKind", "RedisPasswords", "build_children"]


def build_children(inputs: Inputs) -> list[Manifest]:
    """Every child, in the order in which they are applied: what a pod needs comes before the pod."""
    wanted = [
        build_service_account(inputs),
        *build_redis(inputs),
        build_service(inputs),
        build_headless_service(inputs),
        build_network_policy(inputs),
        build_voice_list(inputs),
        build_deployment(inputs),
        build_disruption_budget(inputs),
        build_autoscaler(inputs),
        build_pod_monitor(inputs),
        build_redis_pod_monitor(inputs),
        build_prometheus_rule(inputs),
    ]
    return [stamped(manifest) for manifest in wanted if manifest is not None]
