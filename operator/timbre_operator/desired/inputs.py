"""What do the builders know, and nothing else?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from timbre_operator.observed import OptionalKind
from timbre_operator.settings import Release
from timbre_operator.voiceservice import VoiceService

Manifest = dict[str, Any]


@dataclass(frozen=True)
class RedisPasswords:
    """Made once for a managed Redis, then read back from its Secret."""

    pods: str = field(repr=False)
    operator: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """One VoiceService and what it lives in."""

    service: VoiceService
    release: Release
    redis_passwords: RedisPasswords
    """Unused with an external Redis."""
    kinds: frozenset[OptionalKind] = frozenset()
    """Those that this cluster has."""
    volume_bytes: int = 0
    """Size of the managed Redis' volume where there is one already: nobody asks a volume to shrink."""
    secrets_checksum: str = ""
    """Of the contents of the Secrets that spec.redis.external refers to; another one rolls the pods."""
