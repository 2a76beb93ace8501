"""Every setting of the server: what is its variable called, what does it mean, what is it by default?

Read from the environment only, ``TIMBRE_<GROUP>__<NAME>``.  ``docs/settings.md`` is generated from this file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from timbre_contract import api
from timbre_contract.variables import NESTING, PREFIX, is_service_link
from timbre_server.errors import ConfigurationError

MIB = 1 << 20


def _json_object(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("not a JSON object") from None  # the cause would repeat the value


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class HttpSettings(_Group):
    """Addresses and limits of the two listeners."""

    host: str = "127.0.0.1"
    """Address that both ports bind to; ``0.0.0.0`` in a container."""
    port: int = Field(default=api.API_PORT, ge=0, le=65535)
    """Port of the API; 0 = any free one."""
    admin_port: int = Field(default=api.ADMIN_PORT, ge=0, le=65535)
    """Port of probes, metrics and drain; 0 = any free one."""
    admin_token_file: Path | None = None
    """File that holds the token for writes to the admin port (``Authorization: Bearer``); without one they need loopback."""
    send_timeout_seconds: float = Field(default=60.0, gt=0)
    """How long a client may take nothing of its answer before its request is given up, in seconds."""


class EngineSettings(_Group):
    """Which engine speaks."""

    name: Literal["embedded", "stub"] = "embedded"
    """The engine; ``stub`` makes tones, for tests and benchmarks only."""
    options: Annotated[dict[str, Any], NoDecode, BeforeValidator(_json_object)] = Field(default_factory=dict)
    """The engine's own options as a JSON object, as ``{"threads": 2}``; an unknown one stops the start."""


class BatchingSettings(_Group):
    """How jobs of many requests share the engine."""

    max_batch_size: int = Field(default=16, ge=1, le=1024)
    """Most jobs in a batch; the engine's own bound on voices applies as well."""
    max_batch_cost_seconds: float = Field(default=0.0, ge=0)
    """Most predicted engine time in a batch, in seconds; 0 = no bound."""
    max_queue_delay_seconds: float = Field(default=0.0, ge=0, le=10)
    """How long an idle engine waits for a fuller batch, in seconds; 0 = never."""
    max_pending_seconds: float = Field(default=30.0, gt=0)
    """Predicted engine time that may wait, in seconds; beyond it requests get 429 with Retry-After."""


class SpeechSettings(_Group):
    """Limits of a speech request."""

    max_input_chars: int = Field(default=4096, ge=1)
    """Most characters of ``input``; OpenAI's limit is 4096."""


class VoicesSettings(_Group):
    """Uploads of voices and consents."""

    require_consent: bool = False
    """Whether a voice is enrolled only with a consent recorded by the same speaker."""
    max_upload_bytes: int = Field(default=10 * MIB, ge=1024, le=100 * MIB)
    """Most bytes of a recording; OpenAI's limit is 10 MiB."""
    max_reference_seconds: float = Field(default=30.0, ge=1, le=300)
    """Longest recording, in seconds; OpenAI's limit is 30."""
    decoder_processes: int = Field(default=2, ge=1, le=64)
    """Uploads that are decoded at once, each in a child process of its own."""
    max_stored_bytes: int = Field(default=256 * MIB, ge=MIB)
    """Most bytes of recordings that the in-process store holds; beyond it enrolment gets 503."""


class VoiceCacheSettings(_Group):
    """How many voices stay ready to speak."""

    host_max_bytes: int = Field(default=256 * MIB, ge=0)
    """Most bytes of voice features in memory; 0 = keep none."""


class DrainSettings(_Group):
    """How the server leaves."""

    accept_seconds: float = Field(default=3.0, ge=0, le=300)
    """After SIGTERM, how long new requests are still served (the time that endpoints need to forget this pod), in seconds."""
    timeout_seconds: float = Field(default=60.0, ge=0)
    """After that, how long unfinished requests may take before they are cut off, in seconds."""


class LogSettings(_Group):
    """What is written to standard output."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level that is logged; lines are JSON and never hold the text that was spoken."""
    access: bool = True
    """Whether each finished request gets a line."""


class Settings(BaseSettings):
    """All settings of one server process."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=NESTING,
        case_sensitive=False,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    http: HttpSettings = HttpSettings()
    engine: EngineSettings = EngineSettings()
    batching: BatchingSettings = BatchingSettings()
    speech: SpeechSettings = SpeechSettings()
    voices: VoicesSettings = VoicesSettings()
    voice_cache: VoiceCacheSettings = VoiceCacheSettings()
    drain: DrainSettings = DrainSettings()
    log: LogSettings = LogSettings()


def variables() -> Iterator[tuple[str, FieldInfo]]:
    """Every variable that the server reads, with its field, in the order of this file."""
    for group_name, group in Settings.model_fields.items():
        assert isinstance(group.annotation, type)
        assert issubclass(group.annotation, BaseModel)
        for name, field in group.annotation.model_fields.items():
            yield f"{PREFIX}{group_name}{NESTING}{name}".upper(), field


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Names with our prefix that no setting has, without those that Kubernetes injects for a Service."""
    known = {name for name, _ in variables()}
    return sorted(
        name
        for name, value in environment.items()
        if name.upper().startswith(PREFIX) and name.upper() not in known and not is_service_link(name, value)
    )


def settings_from_environment() -> Settings:
    """The settings of this process.

    Raises:
        ConfigurationError: a variable is unknown or its value cannot be; the message names it, never its value.
    """
    if unknown := unknown_variables(os.environ):
        raise ConfigurationError(f"unknown setting {', '.join(unknown)}; `timbre-server --help` lists those that exist")
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError("; ".join(_sentence(item) for item in error.errors(include_input=False))) from error


def _sentence(item: Mapping[str, Any]) -> str:
    name = PREFIX + NESTING.join(str(part) for part in item["loc"][:2])
    return f"{name.upper()}: {item['msg']}"
