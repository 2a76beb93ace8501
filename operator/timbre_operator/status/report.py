"""What is reported about a VoiceService?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from timbre_contract import api, labels
from timbre_operator.observed import Observed
from timbre_operator.status.autoscaling import autoscaling_active
from timbre_operator.status.cache import cache_warm
from timbre_operator.status.finding import Finding, Verdict
from timbre_operator.status.pods import pods_of
from timbre_operator.status.redis import redis_ready
from timbre_operator.status.rollout import SETTLED, Rollout, progressing, rollout_of
from timbre_operator.status.trouble import Trouble, trouble_of
from timbre_operator.status.volume import growing
from timbre_operator.voiceservice.status import AutoscalingStatus, Condition, RedisStatus, Status

MAX_MESSAGE_CHARS: Final = 4096
"""Of a condition; the longest that are made here have half of it, the schema allows more."""


def build_status(observed: Observed, *, autoscaling: AutoscalingStatus | None, now: datetime) -> Status:
    """All of it; conditions whose status stays keep the time of their last change."""
    service, rollout = observed.service, rollout_of(observed)
    load, facts = observed.load, observed.redis
    external = service.managed_redis is None
    return Status(
        observed_generation=service.metadata.generation,
        conditions=_conditions(observed, rollout, now),
        selector=",".join(f"{key}={value}" for key, value in labels.selector(service.name, "server").items()),
        replicas=rollout.pods if rollout else 0,
        ready_replicas=rollout.ready if rollout else 0,
        desired_replicas=rollout.desired if rollout else None,
        queue_depth=load.queue_depth if load and load.measured else None,
        hit_rate_percent=load.hit_rate_percent if load else None,
        endpoint=_endpoint(observed),
        redis=RedisStatus(
            kind="External" if external else "Managed",
            address=facts.address if facts else None,
            version=(facts.version or None) if facts else None,
        ),
        autoscaling=autoscaling,
    )


def build_invalid_status(manifest: Mapping[str, Any], sentences: Sequence[str], now: datetime) -> Status:
    """Of a VoiceService that cannot be read: what was reported before stays, and Ready says why nothing is done."""
    before = _status_before(manifest)
    generation = int((manifest.get("metadata") or {}).get("generation") or 0)
    verdict = Verdict(
        "False",
        "InvalidSpec",
        f"the operator cannot read this spec and leaves everything as it is; correct it, or upgrade the operator:"
        f" {'; '.join(sentences)}",
    )
    ready = _condition("Ready", verdict, before.conditions or (), generation, now)
    others = [condition for condition in before.conditions or () if condition.type != "Ready"]
    return before.model_copy(update={"observed_generation": generation, "conditions": (ready, *others)})


def _conditions(observed: Observed, rollout: Rollout | None, now: datetime) -> tuple[Condition, ...]:
    redis, scaling = redis_ready(observed, now), autoscaling_active(observed, now)
    trouble = trouble_of(observed, now, redis_verdict=redis, autoscaling_verdict=scaling)
    verdicts = {
        "Ready": _ready(observed, rollout, trouble),
        "Progressing": _progressing(observed, trouble),
        "RedisReady": redis,
        "CacheWarm": cache_warm(observed, serving=rollout.ready if rollout else 0),
        "AutoscalingActive": scaling,
        "Degraded": _degraded(trouble),
    }
    before = (observed.service.status and observed.service.status.conditions) or ()
    generation = observed.service.metadata.generation
    return tuple(_condition(kind, verdict, before, generation, now) for kind, verdict in verdicts.items())


def _ready(observed: Observed, rollout: Rollout | None, trouble: Trouble) -> Verdict:
    worst = trouble.worst
    if rollout is not None and rollout.ready:
        serving = f"{rollout.ready} of {rollout.desired} pods serve at {_endpoint(observed)}"
        if worst is None:
            return Verdict("True", "Serving", serving)
        return Verdict("True", "Degraded", f"{serving}, but: {worst.message}")
    if rollout is not None and rollout.desired == 0 and rollout.seen:
        field = "spec.replicas" if observed.service.spec.autoscaling.class_ == "None" else "the Deployment's replicas"
        return Verdict("False", "ScaledToZero", f"there shall be no pods; raise {field}")
    if worst is not None:
        return Verdict.false(worst)
    return Verdict("False", "Starting", f"no pod serves yet; {_next_pod(observed)}")


def _next_pod(observed: Observed) -> str:
    """What the newest pod is about to do."""
    pods = pods_of(observed, labels.SERVER_COMPONENT)
    if not pods:
        return "the first one is being made"
    running = any(container.running for container in pods[0].containers)
    if running:
        budget = observed.service.spec.rollout.start_budget
        return f"{pods[0].where} loads its model, for which spec.rollout.startBudget gives it {budget}"
    return f"{pods[0].where} is being made, its image comes"


def _progressing(observed: Observed, trouble: Trouble) -> Verdict:
    if trouble.objects is not None:
        return Verdict.false(trouble.objects)
    verdict = progressing(observed, trouble.pods)
    if verdict.reason == SETTLED and growing(observed):
        return Verdict("True", "VolumeGrowing", "the volume of Redis is growing")
    return verdict


def _degraded(trouble: Trouble) -> Verdict:
    found: Finding | None = trouble.worst
    if found is None:
        return Verdict("False", "AsExpected", "nothing is wrong")
    return Verdict("True", found.reason, found.message)


def _condition(kind: str, verdict: Verdict, before: Sequence[Condition], generation: int, now: datetime) -> Condition:
    old = next((condition for condition in before if condition.type == kind), None)
    message = verdict.message
    if len(message) > MAX_MESSAGE_CHARS:
        message = message[: MAX_MESSAGE_CHARS - 3] + "..."
    return Condition(
        type=kind,
        status=verdict.status,
        reason=verdict.reason,
        message=message,
        last_transition_time=old.last_transition_time if old and old.status == verdict.status else _text(now),
        observed_generation=generation,
    )


def _status_before(manifest: Mapping[str, Any]) -> Status:
    """What was reported, as far as it can be read: a newer operator may have written more."""
    try:
        return Status.model_validate_json(json.dumps(manifest.get("status") or {}), extra="ignore")
    except ValidationError:
        return Status()


def _endpoint(observed: Observed) -> str:
    return f"http://{observed.service.name}.{observed.service.namespace}.svc:{api.API_PORT}"


def _text(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")
