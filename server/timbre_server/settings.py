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


def _comma_list(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(item.strip() for item in value.split(",") if item.strip())


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


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

    name: Literal["embedded", "pocket-tts", "stub"] = "embedded"
    """The engine; ``pocket-tts`` needs the extra of that name, ``stub`` makes tones, for tests and benchmarks only."""
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
    preload: Path | None = None
    """A folder of recordings, or a manifest as for ``voices import``, that is there at the start; changes are followed."""
    preload_check_seconds: float = Field(default=10.0, ge=0.1, le=3600)
    """How often that folder is looked at, in seconds."""
    max_stored_bytes: int = Field(default=256 * MIB, ge=MIB)
    """Most bytes of recordings in this process; beyond it enrolment gets 503, or with Redis the least used ones are let go."""


class RedisSettings(_Group):
    """The shared store; without ``url`` the server runs alone, with everything in its own memory."""

    url: str = ""
    """``redis://host:6379/0``, or ``rediss://`` for TLS; for Sentinel and Cluster several addresses, ``redis://a:26379,b:26379/0``."""
    mode: Literal["standalone", "sentinel", "cluster"] = "standalone"
    """What the address leads to."""
    sentinel_master: str = "mymaster"
    """Name under which the Sentinels know the master."""
    username: str = ""
    """ACL user; empty = the default user."""
    password_file: Path | None = None
    """File that holds the password; read at each connect, so that a changed password needs no restart."""
    sentinel_password_file: Path | None = None
    """The same for the Sentinels themselves."""
    tls_ca_file: Path | None = None
    """Certificates that the server's certificate must come from; without one, those of the system."""
    tls_cert_file: Path | None = None
    """Our own certificate, for a server that asks for one."""
    tls_key_file: Path | None = None
    """Its key."""
    connect_timeout_seconds: float = Field(default=0.05, gt=0, le=10)
    """How long a connection may take to come about, in seconds."""
    read_timeout_seconds: float = Field(default=0.05, gt=0, le=10)
    """How long a read of a request may wait for its answer, in seconds; beyond it the request goes on without Redis."""
    write_timeout_seconds: float = Field(default=2.0, gt=0, le=60)
    """How long an enrolment or another write may wait, in seconds."""
    request_budget_seconds: float = Field(default=0.1, gt=0, le=60)
    """How long all reads of one request together may wait, in seconds."""
    max_connections: int = Field(default=32, ge=2, le=1024)
    """Most connections of this process."""
    breaker_failures: int = Field(default=2, ge=1, le=100)
    """After so many failures in a row nobody asks Redis any more, until a probe succeeds."""
    breaker_probe_seconds: float = Field(default=0.2, gt=0, le=10)
    """How often a probe is made meanwhile, in seconds."""
    wait_replicas: int = Field(default=0, ge=0, le=5)
    """An enrolment, replacement or deletion is acknowledged after so many replicas have it (``WAIT``)."""
    wait_aof: bool = False
    """It is acknowledged after the append-only file is on disk (``WAITAOF``, Redis 7.2 or newer)."""
    wait_timeout_seconds: float = Field(default=1.0, gt=0, le=60)
    """How long those two may take, in seconds; beyond it the write is reported as not durable (503)."""


class FreshnessSettings(_Group):
    """How a replaced or deleted voice stops being heard on every pod."""

    mode: Literal["bounded", "strict"] = "bounded"
    """``bounded``: at most 1 s after the acknowledgement; ``strict``: each use of a voice asks Redis first."""
    max_offline_seconds: float = Field(default=3600.0, ge=0)
    """How long voices in memory are spoken without a check while Redis is away, in seconds; 0 = not at all."""
    erasure_timeout_seconds: float = Field(default=5.0, gt=0, le=300)
    """How long a deletion waits for the other pods to say that their copies are gone, in seconds."""


class VoiceCacheSettings(_Group):
    """How many voices stay ready to speak."""

    host_max_bytes: int = Field(default=256 * MIB, ge=0)
    """Most bytes of voice features in this process' memory; 0 = keep none.  A container's memory limit bounds it too."""
    host_pinned: bool = True
    """Whether that memory is page-locked where the engine's device is a CUDA one, so that the device copies from it by itself."""
    device_min_bytes: int = Field(default=64 * MIB, ge=0)
    """Bytes of features that stay in the device's memory whatever the pressure."""
    device_max_bytes: int = Field(default=2048 * MIB, ge=0)
    """Most bytes of features in the device's memory; 0 = keep none there."""
    device_keep_free_percent: int = Field(default=20, ge=0, le=95)
    """How much of the device's memory stays free for others, in percent."""
    shared_ttl_seconds: int = Field(default=7 * 24 * 3600, ge=60)
    """How long unused features stay in Redis, in seconds."""
    shared_dtype: Literal["as-extracted", "float16"] = "as-extracted"
    """How features are stored in Redis; ``float16`` halves them, and is not exact."""
    lease_seconds: float = Field(default=5.0, ge=0.5, le=60)
    """How long after the death of a pod that extracts a voice another one takes over, in seconds."""
    failure_ttl_seconds: float = Field(default=5.0, ge=0, le=600)
    """How long a failed extraction is remembered by all pods, in seconds."""
    warmup_voices: int = Field(default=15, ge=0, le=100_000)
    """How many of the hottest voices are loaded from Redis before the server says that it is ready."""
    warmup_list: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_list)] = ()
    """Ids of voices to load instead, separated by commas."""
    warmup_deadline_seconds: float = Field(default=60.0, ge=0)
    """How long warming up may take, in seconds; then the server is ready with what it has."""
    target_hit_rate_percent: int = Field(default=80, ge=1, le=99)
    """The share of look-ups that shall need no extraction; ``timbre_voice_working_set_bytes`` is the memory that it takes."""
    heat_half_life_seconds: float = Field(default=6 * 3600.0, gt=0)
    """After how long a use of a voice counts half, in seconds."""


class ResultCacheSettings(_Group):
    """How long finished speech is kept, so that what was said once is not made again."""

    enabled: bool = True
    """Whether it is kept at all, and whether equal requests at one time share one synthesis."""
    ttl_seconds: int = Field(default=24 * 3600, ge=1)
    """How long after it was made, however often it is heard, in seconds."""
    max_entry_bytes: int = Field(default=4 * MIB, ge=64 << 10)
    """Most bytes of one speech, as samples of 16 bits: 4 MiB are 87 s at 24 kHz; what is longer is not kept."""
    host_max_bytes: int = Field(default=64 * MIB, ge=0)
    """Most bytes in this process' memory; 0 = keep none there.  A container's memory limit bounds it too."""
    speed_tolerance_percent: int = Field(default=0, ge=0, le=50)
    """By how much `speed` may differ for speech to count as equal, in percent; 0 = not at all.  Emotions never do."""
    similar_text: bool = False
    """Whether speech is heard for English texts too that say the same words, but are written otherwise (`X-Cache: similar`)."""
    storage: Literal["redis", "volume", "object"] = "redis"
    """Where pods share it: the Redis of the voices, a folder, or a bucket; without Redis, pods agree on nothing."""
    volume_path: Path | None = None
    """The folder, for `volume`; pods may share it."""
    volume_max_bytes: int = Field(default=4096 * MIB, ge=MIB)
    """Most bytes in that folder; then the oldest go."""
    object_url: str = ""
    """The bucket, for `object`, as `s3://bucket/prefix`; needs the extra `object-storage`, and the cloud's usual credentials."""
    object_timeout_seconds: float = Field(default=1.0, gt=0, le=60)
    """How long the bucket may take, in seconds; beyond it the speech is made."""
    lease_seconds: float = Field(default=5.0, ge=0.5, le=60)
    """How long after the death of a pod that speaks for others another one takes over, in seconds."""
    cold_start_wait_seconds: float = Field(default=0.0, ge=0, le=600)
    """How long speech that no pod shares waits for an engine that loads, in seconds; a pod alone is ready early.  0 = not."""
    private_patterns_file: Path | None = None
    """Regular expressions, one in a line: a text in which one is found leaves no trace.  Without a file: long numbers, e-mail."""
    link_keys_file: Path | None = None
    """File with 32 bytes in base64 in each line, with which links to finished speech are sealed; needs the extra `encryption`."""
    link_seconds: int = Field(default=3600, ge=1, le=7 * 24 * 3600)
    """How long such a link holds, in seconds, if its speech is kept so long."""
    key_file: Path | None = None
    """File with 32 bytes in base64, with which shared speech is encrypted (AES-256-GCM); needs the extra `encryption`."""


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

    scope: str = Field(default="default", pattern=r"^[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?$")
    """Whose voices these are: services that share a Redis but not a scope never see each other's."""
    pod: str = Field(default="", pattern=r"^[A-Za-z0-9.-]{0,253}$")
    """Name of this process among those of its scope, unique; empty = the host's name and a random word."""
    http: HttpSettings = HttpSettings()
    engine: EngineSettings = EngineSettings()
    batching: BatchingSettings = BatchingSettings()
    speech: SpeechSettings = SpeechSettings()
    voices: VoicesSettings = VoicesSettings()
    voice_cache: VoiceCacheSettings = VoiceCacheSettings()
    result_cache: ResultCacheSettings = ResultCacheSettings()
    redis: RedisSettings = RedisSettings()
    freshness: FreshnessSettings = FreshnessSettings()
    drain: DrainSettings = DrainSettings()
    log: LogSettings = LogSettings()


def variables() -> Iterator[tuple[str, FieldInfo]]:
    """Every variable that the server reads, with its field, in the order of this file."""
    for group_name, group in Settings.model_fields.items():
        assert isinstance(group.annotation, type)
        if not issubclass(group.annotation, BaseModel):
            yield f"{PREFIX}{group_name}".upper(), group
            continue
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
        settings = Settings()
    except ValidationError as error:
        raise ConfigurationError("; ".join(_sentence(item) for item in error.errors(include_input=False))) from error
    # Linux lets two sockets of one process have the same address, and each connection would go to one of them by chance.
    if settings.http.port == settings.http.admin_port != 0:
        raise ConfigurationError(f"{PREFIX}HTTP__PORT and {PREFIX}HTTP__ADMIN_PORT must differ")
    return settings


def _sentence(item: Mapping[str, Any]) -> str:
    name = PREFIX + NESTING.join(str(part) for part in item["loc"][:2])
    return f"{name.upper()}: {item['msg'].removeprefix('Value error, ')}"
