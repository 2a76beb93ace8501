"""Which variable of the server does each field of the spec become?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from math import ceil
from typing import Any, Final

from timbre_contract import api, labels
from timbre_operator.desired.inputs import Manifest
from timbre_operator.voiceservice import VoiceService
from timbre_operator.voiceservice.voice_service import Spec

_FIELDS: Final[dict[str, Callable[[Spec], Any]]] = {
    "TIMBRE_ENGINE__NAME": lambda spec: spec.engine.name,
    "TIMBRE_BATCHING__MAX_BATCH_SIZE": lambda spec: spec.batching.max_batch_size,
    "TIMBRE_BATCHING__MAX_BATCH_COST_SECONDS": lambda spec: spec.batching.max_batch_cost.seconds,
    "TIMBRE_BATCHING__MAX_QUEUE_DELAY_SECONDS": lambda spec: spec.batching.max_queue_delay.seconds,
    "TIMBRE_BATCHING__MAX_PENDING_SECONDS": lambda spec: spec.batching.max_pending.seconds,
    "TIMBRE_VOICE_CACHE__HOST_MAX_BYTES": lambda spec: spec.voice_cache.host.max_bytes.bytes,
    "TIMBRE_VOICE_CACHE__DEVICE_MIN_BYTES": lambda spec: spec.voice_cache.device.min_bytes.bytes,
    "TIMBRE_VOICE_CACHE__DEVICE_MAX_BYTES": lambda spec: spec.voice_cache.device.max_bytes.bytes,
    "TIMBRE_VOICE_CACHE__DEVICE_KEEP_FREE_PERCENT": lambda spec: spec.voice_cache.device.keep_free.percent,
    "TIMBRE_VOICE_CACHE__WARMUP_VOICES": lambda spec: spec.voice_cache.warmup.voices,
    "TIMBRE_VOICE_CACHE__WARMUP_DEADLINE_SECONDS": lambda spec: spec.voice_cache.warmup.deadline.seconds,
    "TIMBRE_VOICE_CACHE__TARGET_HIT_RATE_PERCENT": lambda spec: spec.autoscaling.targets.hit_rate_percent,
    "TIMBRE_RESULT_CACHE__ENABLED": lambda spec: str(spec.result_cache.enabled).lower(),
    "TIMBRE_RESULT_CACHE__TTL_SECONDS": lambda spec: ceil(spec.result_cache.ttl.seconds),
    "TIMBRE_RESULT_CACHE__MAX_ENTRY_BYTES": lambda spec: spec.result_cache.max_entry_bytes.bytes,
    "TIMBRE_RESULT_CACHE__HOST_MAX_BYTES": lambda spec: spec.result_cache.host.max_bytes.bytes,
    "TIMBRE_RESULT_CACHE__SPEED_TOLERANCE_PERCENT": lambda spec: spec.result_cache.speed_tolerance_percent,
    "TIMBRE_RESULT_CACHE__SIMILAR_TEXT": lambda spec: str(spec.result_cache.similar_text).lower(),
    "TIMBRE_DRAIN__ACCEPT_SECONDS": lambda spec: spec.drain.accept.seconds,
    "TIMBRE_DRAIN__TIMEOUT_SECONDS": lambda spec: spec.drain.timeout.seconds,
}


def build_environment(service: VoiceService) -> list[Manifest]:
    """``env`` of the server's container, without what leads to Redis."""
    return [
        # An address from inside the pod only would leave the probes outside.
        {"name": "TIMBRE_HTTP__HOST", "value": "0.0.0.0"},  # noqa: S104  # a pod has its own network; policies guard it
        {"name": "TIMBRE_HTTP__PORT", "value": str(api.API_PORT)},
        {"name": "TIMBRE_HTTP__ADMIN_PORT", "value": str(api.ADMIN_PORT)},
        {"name": "TIMBRE_SCOPE", "value": labels.scope(service.namespace, service.name)},
        {"name": "TIMBRE_POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        *({"name": name, "value": _text(value_of(service.spec))} for name, value_of in _FIELDS.items()),
        *_options(service),
        {"name": "HOME", "value": "/tmp"},  # noqa: S108  # libraries write caches there; the root file system is read-only
    ]


def _options(service: VoiceService) -> Iterator[Manifest]:
    engine = service.spec.engine
    options: dict[str, Any] = {}
    if engine.model is not None:
        named = {"path": engine.model.path, "model_id": engine.model.id, "revision": engine.model.revision}
        options = {name: value for name, value in named.items() if value is not None}
    options |= engine.options or {}
    if options:
        yield {"name": "TIMBRE_ENGINE__OPTIONS", "value": json.dumps(options, sort_keys=True)}


def _text(value: str | int | Decimal) -> str:
    """Decimals without an exponent and without zeros at the end: one value, one text, no needless rollout."""
    if isinstance(value, Decimal):
        return f"{value:f}".rstrip("0").rstrip(".") if "." in f"{value:f}" else f"{value:f}"
    return str(value)
