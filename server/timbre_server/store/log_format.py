"""What does an entry of the log of changes look like in Redis?

The scripts that write changes (``lua/*.lua``) repeat these names; ``tests/server/store/test_log_format.py`` holds the two
together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from timbre_server.ports import ChangeKind, VoiceChange, VoiceName

KIND: Final = "kind"
TENANT: Final = "tenant"
VOICE: Final = "voice"
GENERATION: Final = "generation"
DIGEST: Final = "digest"
PREVIOUS: Final = "previous"
POD: Final = "pod"
ENTRY: Final = "entry"

HEARTBEAT: Final = "heartbeat"
ACKNOWLEDGED: Final = "acknowledged"

MAX_ENTRIES: Final = 10_000
"""About how many entries the stream keeps (``MAXLEN ~``): half an hour of heartbeats at five per second, about 1.5 MB."""


@dataclass(frozen=True)
class Acknowledgement:
    """A pod has acted on a change."""

    pod: str
    of: str
    """Id of the entry of the change."""
    entry: str
    """Id of this entry."""


@dataclass(frozen=True)
class Heartbeat:
    """Somebody is there, and the stream flows."""

    entry: str


LogEntry = VoiceChange | Acknowledgement | Heartbeat


def from_fields(entry: bytes | str, fields: Mapping[bytes, bytes]) -> LogEntry | None:
    """What an entry says; None if this version cannot read it, and only a look at the registry tells what it meant."""
    entry_id = entry if isinstance(entry, str) else entry.decode()
    try:
        texts = {name.decode(): value.decode() for name, value in fields.items()}
        kind = texts[KIND]
        if kind == HEARTBEAT:
            return Heartbeat(entry_id)
        if kind == ACKNOWLEDGED:
            return Acknowledgement(texts[POD], texts[ENTRY], entry_id)
        return VoiceChange(
            kind=ChangeKind(kind),
            name=VoiceName(texts[TENANT], texts[VOICE]),
            generation=int(texts[GENERATION]),
            digest=texts[DIGEST],
            entry=entry_id,
            previous_digest=texts.get(PREVIOUS, ""),
        )
    except (KeyError, ValueError):  # UnicodeDecodeError is a ValueError
        return None
