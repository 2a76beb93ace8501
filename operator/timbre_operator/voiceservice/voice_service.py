"""What is a VoiceService, and what is wrong with this manifest?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from timbre_contract import labels
from timbre_operator.errors import InvalidManifest
from timbre_operator.voiceservice.model import Model, Opaque, Rule, Text, each_once, extra
from timbre_operator.voiceservice.names import RESERVED_ENDINGS
from timbre_operator.voiceservice.redis import CLASS_STAYS, ManagedRedis, Redis
from timbre_operator.voiceservice.results import ResultCache
from timbre_operator.voiceservice.scaling import Autoscaling
from timbre_operator.voiceservice.serving import Batching, Drain, Engine, Resources, Rollout, VoiceCache
from timbre_operator.voiceservice.status import Status
from timbre_operator.voiceservice.voices import MAX_VOICES, DeclaredVoice

MAX_NAME_LENGTH: Final = 40
"""Children add up to 23 characters to it (``-redis`` and what a StatefulSet appends); the name of a Service has 63."""
_NAME: Final = "^[a-z]([-a-z0-9]*[a-z0-9])?$"

_PASSED_THROUGH: Final = {("spec", "engine", "options"), ("spec", "podTemplate", "spec")}


class Monitoring(Model):
    """What Prometheus' operator is told; Auto makes an object where its kind exists."""

    pod_monitor: Literal["Auto", "Enabled", "Disabled"] = "Auto"
    """Scraping of the pods; Enabled complains in status where the kind is missing."""
    prometheus_rule: Literal["Auto", "Enabled", "Disabled"] = "Auto"
    """Alerts about this service."""


class PodTemplateMetadata(Model):
    """Labels and annotations of the pods."""

    labels: Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=64)] | None = None
    """Added labels; those that select the pods stay as they are."""
    annotations: Annotated[dict[str, Annotated[str, Field(max_length=65_536)]], Field(max_length=64)] | None = None
    """Added annotations."""


class PodTemplate(Model):
    """What the pods shall have beyond this resource: a strategic merge over the operator's own pod."""

    metadata: PodTemplateMetadata | None = None
    """Labels and annotations."""
    spec: Opaque | None = None
    """Any part of a pod's spec; lists are merged by name, and the server's container is called server."""


class Spec(Model):
    """What the service shall be."""

    engine: Engine = Engine()
    """Which engine speaks."""
    image: Text | None = None
    """The server's image; that of the operator's release where it is not written."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Number of pods; used only with autoscaling.class: None."""
    resources: Resources | None = None
    """Resources of the server's container."""
    batching: Batching = Batching()
    """How requests share the engine."""
    voice_cache: VoiceCache = VoiceCache()
    """How many voices stay ready to speak."""
    result_cache: ResultCache = ResultCache()
    """How long finished speech is kept."""
    voices: (
        Annotated[
            tuple[DeclaredVoice, ...],
            Field(
                max_length=MAX_VOICES,
                json_schema_extra=extra(x_kubernetes_list_type="map", x_kubernetes_list_map_keys=["name"]),
            ),
            each_once("voice"),
        ]
        | None
    ) = None
    """Voices that are there from the start, as long as they are written here; taken away from here, they stay enrolled."""
    redis: Redis | None = None
    """The Redis that all pods share; a managed one where nothing is written."""
    autoscaling: Autoscaling = Autoscaling()
    """Who sets the number of pods."""
    rollout: Rollout = Rollout()
    """How pods are replaced, and how long a start may take."""
    drain: Drain = Drain()
    """How a pod leaves."""
    monitoring: Monitoring = Monitoring()
    """What Prometheus' operator is told."""
    pod_template: PodTemplate | None = None
    """What the pods shall have beyond this resource."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.image) || !self.image.matches('[[:space:]]')",
            "write an image such as registry.example/timbre-server:1.0, without spaces",
            lambda spec: spec.image is None or re.search(r"\s", spec.image) is None,
        ),
        CLASS_STAYS,
    )


class Metadata(Model):
    """What the operator reads of an object's metadata."""

    model_config = ConfigDict(extra="ignore")

    name: str
    """Name of the VoiceService."""
    namespace: str = "default"
    """Its namespace."""
    uid: str = ""
    """Empty outside of a cluster; then children have no owner."""
    generation: int = 0
    """Counts changes of the spec."""
    resource_version: str = ""
    """Counts changes of anything."""


class VoiceService(Model):
    """One zero-shot voice-cloning speech service: pods, a Redis and an autoscaler."""

    api_version: Literal["timbre.dev/v1alpha1"] = "timbre.dev/v1alpha1"
    kind: Literal["VoiceService"] = "VoiceService"
    metadata: Metadata
    spec: Spec = Spec()
    """What the service shall be."""
    status: Status | None = None
    """What the operator reports."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"self.metadata.name.size() <= {MAX_NAME_LENGTH} && self.metadata.name.matches('{_NAME}')",
            f"write a metadata.name of at most {MAX_NAME_LENGTH} characters, a letter first, then letters, digits and '-'",
            lambda service: len(service.name) <= MAX_NAME_LENGTH and re.fullmatch(_NAME, service.name) is not None,
        ),
        Rule(
            " && ".join(f"!self.metadata.name.endsWith('{ending}')" for ending in RESERVED_ENDINGS),
            f"write a metadata.name that does not end with {' or '.join(RESERVED_ENDINGS)};"
            " children of other services are called so",
            lambda service: not service.name.endswith(RESERVED_ENDINGS),
        ),
    )

    @property
    def name(self) -> str:
        """Its name, which its children have too."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return self.metadata.namespace

    @property
    def managed_redis(self) -> ManagedRedis | None:
        """None with an external one."""
        redis = self.spec.redis
        if redis is not None and redis.external is not None:
            return None
        return (redis and redis.managed) or ManagedRedis()


def from_manifest(manifest: Mapping[str, Any], *, unknown: Literal["forbid", "ignore"] = "forbid") -> VoiceService:
    """The resource, with the defaults that the API server would have written.

    Whoever reads from the API server ignores unknown fields: after a return to an older operator the newer CRD is still
    there, with defaults for fields that this one does not know.

    Raises:
        InvalidManifest: with a sentence for each mistake, in the order of the document.
    """
    if (manifest.get("apiVersion"), manifest.get("kind")) != (labels.API_VERSION, labels.KIND):
        raise InvalidManifest([f"write apiVersion: {labels.API_VERSION} and kind: {labels.KIND}"])
    try:
        return VoiceService.model_validate_json(
            json.dumps(_without_nulls(manifest), default=str), extra=None if unknown == "forbid" else "ignore"
        )
    except ValidationError as error:
        raise InvalidManifest(_sentence(item) for item in error.errors(include_url=False)) from error


def _without_nulls(value: Any, path: tuple[str, ...] = ()) -> Any:
    """Null means unset to the API server; in a part that passes through it has a meaning of its own, and stays."""
    if not isinstance(value, Mapping) or path in _PASSED_THROUGH:
        return value
    return {name: _without_nulls(part, (*path, name)) for name, part in value.items() if part is not None}


def _sentence(item: ErrorDetails) -> str:
    path = _path(item["loc"])
    match item["type"]:
        case "extra_forbidden":
            return f"{path}: there is no such field; {_known_fields(item['loc'][:-1])}"
        case "missing":
            return f"{path}: is needed"
        case "literal_error":
            choices = str(item.get("ctx", {}).get("expected")).replace("'", "").replace(" or ", ", ")
            return f"{path}: write one of {choices}"
        case _:
            message = item["msg"].replace("Input should be", "it should be")
            return f"{path}: {message}" if path else message


def _path(location: tuple[int | str, ...]) -> str:
    """As the API server writes it: ``spec.voices[0].recording``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location if part not in {"int", "str"})
    return "".join(parts).removeprefix(".")


def _known_fields(path: tuple[int | str, ...]) -> str:
    model: type[Model] = VoiceService
    for part in path:
        field = next((f for n, f in model.model_fields.items() if part in {n, f.alias}), None)
        inner = next(iter(_models_in(field.annotation)), None) if field else None
        if inner is None:
            break
        model = inner
    names = ", ".join(field.alias or name for name, field in model.model_fields.items())
    return f"there are {names}"


def _models_in(annotation: Any) -> Iterator[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)
