"""How does what happened become an Event, and the same thing again a larger count instead of another one?"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from timbre_contract import labels
from timbre_operator.ports import EventNote

_REMEMBERED: Final = 1000
"""Different events whose counts are known; one that is forgotten is posted anew."""
_LONGEST_MESSAGE: Final = 1024
"""The API server's own bound on an Event's message."""


@dataclass(frozen=True)
class Posting:
    """What is sent."""

    name: str
    count: int
    manifest: Mapping[str, Any]
    """The whole Event, for the first time; for a later one only what changes."""


class Announcements:
    """Counts what was said by one process."""

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._counts: OrderedDict[str, int] = OrderedDict()

    def posting(self, regarding: Mapping[str, Any], event: EventNote, now: datetime) -> Posting:
        """The next one about this object with these words."""
        name = self._name(regarding, event)
        count = self._counts.get(name, 0) + 1
        self._counts[name] = count
        self._counts.move_to_end(name)
        while len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)
        moment = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if count > 1:
            return Posting(name, count, {"count": count, "lastTimestamp": moment})
        return Posting(name, count, self._event(regarding, event, name, moment))

    def forget(self, name: str) -> None:
        """The API server has it no more: Events live for an hour."""
        self._counts.pop(name, None)

    def _name(self, regarding: Mapping[str, Any], event: EventNote) -> str:
        # With our identity: another process counts for itself.
        said = "\0".join((self._identity, regarding["metadata"]["uid"], event.type, event.reason, event.message))
        return f"{regarding['metadata']['name']}.{hashlib.sha256(said.encode()).hexdigest()[:16]}"

    def _event(self, regarding: Mapping[str, Any], event: EventNote, name: str, moment: str) -> Mapping[str, Any]:
        metadata = regarding["metadata"]
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": metadata["namespace"]},
            "involvedObject": {
                "apiVersion": regarding["apiVersion"],
                "kind": regarding["kind"],
                **{field: metadata[field] for field in ("name", "namespace", "uid", "resourceVersion")},
            },
            "type": event.type,
            "reason": event.reason,
            "message": _shortened(event.message),
            "action": event.reason,
            "source": {"component": labels.FIELD_MANAGER},
            "reportingComponent": labels.FIELD_MANAGER,
            "reportingInstance": self._identity[:128],
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }


def _shortened(message: str) -> str:
    raw = message.encode()
    if len(raw) <= _LONGEST_MESSAGE:
        return message
    return raw[: _LONGEST_MESSAGE - 3].decode(errors="ignore") + "..."
