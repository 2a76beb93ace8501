"""What does a VoiceService say about the pods themselves: engine, batches, caches, and how they come and go?"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from timbre_operator.voiceservice.measures import Duration, Percent, Size
from timbre_operator.voiceservice.model import Model, Opaque, Quantity, Rule, Text, each_once, extra

_COMMIT: Final = "^[0-9a-f]{40}$"


class EngineModel(Model):
    """Which model the engine loads."""

    id: Text | None = None
    """A repository of the Hugging Face hub, as org/name; downloaded when a pod starts."""
    revision: Annotated[str, Field(max_length=64)] | None = None
    """The commit of that repository: 40 digits, for branches and tags move."""
    path: Text | None = None
    """A folder in the container instead, with safetensors files; podTemplate mounts its volume."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.id) != has(self.path)",
            "write either id, with revision, or path",
            lambda model: (model.id is None) != (model.path is None),
        ),
        Rule(
            f"!has(self.id) || has(self.revision) && self.revision.matches('{_COMMIT}')",
            "write beside id the revision, the 40 digits of a commit; branches and tags move",
            lambda model: model.id is None or re.fullmatch(_COMMIT, model.revision or "") is not None,
        ),
        Rule(
            "!has(self.path) || self.path.startsWith('/')",
            "write path from the root on, such as /models/voice",
            lambda model: model.path is None or model.path.startswith("/"),
        ),
    )


class Engine(Model):
    """Which engine speaks."""

    name: Literal["embedded", "pocket-tts", "stub"] = "embedded"
    """embedded needs no GPU and no download and is for demonstrations; pocket-tts loads the model that is named below;
    stub makes tones, for tests."""
    model: EngineModel | None = None
    """The model, for pocket-tts."""
    options: Opaque | None = None
    """The engine's own options, such as {threads: 2}; an unknown one stops the pods with its name."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.model) || self.name == 'pocket-tts'",
            "remove model, or write name: pocket-tts; the other engines bring their model along",
            lambda engine: engine.model is None or engine.name == "pocket-tts",
        ),
        Rule(
            "self.name != 'pocket-tts' || has(self.model) || has(self.options)",
            "write model.path, or model.id with model.revision; pocket-tts brings no model along",
            lambda engine: engine.name != "pocket-tts" or engine.model is not None or engine.options is not None,
        ),
    )


class ResourceClaim(Model):
    """A claim on a device, of those that podTemplate.spec.resourceClaims lists."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Its name there."""
    request: Annotated[str, Field(max_length=253)] | None = None
    """One of its requests; without it all of them."""


class Resources(Model):
    """Resources of the server's container, as in any pod."""

    limits: Annotated[dict[str, Quantity], Field(max_length=32)] | None = None
    """Most that it may take; GPUs stand here, as nvidia.com/gpu: 1."""
    requests: Annotated[dict[str, Quantity], Field(max_length=32)] | None = None
    """What is kept for it; memory is derived from the caches where it is not written."""
    claims: (
        Annotated[
            tuple[ResourceClaim, ...],
            Field(
                max_length=16,
                json_schema_extra=extra(x_kubernetes_list_type="map", x_kubernetes_list_map_keys=["name"]),
            ),
            each_once("claim"),
        ]
        | None
    ) = None
    """Devices by dynamic resource allocation."""


class Batching(Model):
    """How requests share the engine."""

    max_batch_size: Annotated[int, Field(ge=1, le=1024)] = 16
    """Most sentences in a batch."""
    max_batch_cost: Duration = Duration("0s")
    """Most predicted engine time in a batch; 0s = no bound."""
    max_queue_delay: Duration = Duration("0s")
    """How long an idle engine waits for a fuller batch; 0s = never."""
    max_pending: Duration = Duration("30s")
    """Predicted engine time that may wait; beyond it requests get 429 with Retry-After."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"!self.maxQueueDelay.matches('{Duration.PATTERN}') || duration(self.maxQueueDelay) <= duration('10s')",
            "write a maxQueueDelay of at most 10s",
            lambda batching: batching.max_queue_delay.seconds <= 10,
        ),
        Rule(
            f"!self.maxPending.matches('{Duration.PATTERN}') || duration(self.maxPending) > duration('0s')",
            "write a maxPending of more than 0s",
            lambda batching: batching.max_pending.seconds > 0,
        ),
    )


class DeviceCache(Model):
    """Voices in GPU memory; without a GPU there is only the host's tier."""

    min_bytes: Size = Size("64Mi")
    """What stays whatever the pressure."""
    max_bytes: Size = Size("2Gi")
    """The most; 0 = keep none there."""
    keep_free: Percent = Percent("20%")
    """How much of the device's memory stays free for others."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!isQuantity(self.minBytes) || !isQuantity(self.maxBytes)"
            " || quantity(self.maxBytes).compareTo(quantity('0')) == 0"
            " || quantity(self.minBytes).compareTo(quantity(self.maxBytes)) <= 0",
            "write a minBytes that is not larger than maxBytes (64Mi and 2Gi where they are not written)",
            lambda device: device.max_bytes.bytes == 0 or device.min_bytes.bytes <= device.max_bytes.bytes,
        ),
    )


class HostCache(Model):
    """Voices in the memory of the pod."""

    max_bytes: Size = Size("1Gi")
    """The most; 0 = keep none.  The container's memory limit bounds it too."""


class Warmup(Model):
    """What a pod loads before it is ready."""

    voices: Annotated[int, Field(ge=0, le=100_000)] = 15
    """How many of the hottest voices."""
    deadline: Duration = Duration("60s")
    """How long it may take; then the pod is ready with what it has."""


class VoiceCache(Model):
    """How many voices stay ready to speak."""

    device: DeviceCache = DeviceCache()
    """Voices in GPU memory."""
    host: HostCache = HostCache()
    """Voices in the pod's memory."""
    warmup: Warmup = Warmup()
    """What is loaded before a pod is ready."""


class Rollout(Model):
    """How pods are replaced by new ones, and how long a new one may take."""

    strategy: Literal["Surge", "Replace"] = "Surge"
    """Surge starts a new pod before an old one leaves; Replace needs no spare GPU: the old pod leaves first."""
    start_budget: Duration = Duration("10m")
    """How long a pod may take to load its model, on top of warm-up's deadline; then it is started again."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"!self.startBudget.matches('{Duration.PATTERN}') || duration(self.startBudget) >= duration('10s')",
            "write a startBudget of 10s or more",
            lambda rollout: rollout.start_budget.seconds >= 10,
        ),
    )


class Drain(Model):
    """How a pod leaves."""

    accept: Duration = Duration("3s")
    """How long it still serves new requests, the time that endpoints need to forget it."""
    timeout: Duration = Duration("60s")
    """After that, how long unfinished requests may take before they are cut off."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"!self.accept.matches('{Duration.PATTERN}') || duration(self.accept) <= duration('5m')",
            "write an accept of at most 5m",
            lambda drain: drain.accept.seconds <= 300,
        ),
    )
