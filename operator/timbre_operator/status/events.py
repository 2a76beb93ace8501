"""Which events does a change of status deserve?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from timbre_operator.voiceservice.status import Condition, Status

MAX_NOTE_CHARS: Final = 1000
"""The API takes 1024 bytes in a note of an event."""
_GOOD: Final = {
    "Ready": "True",
    "Progressing": "True",
    "RedisReady": "True",
    "CacheWarm": "True",
    "AutoscalingActive": "True",
    "Degraded": "False",
}
"""The status of each condition that calls for nobody."""
_CALM: Final = {"Starting", "Settled", "Loading", "Disabled", "ScaledToZero"}
"""Reasons that call for nobody though the condition does not hold."""
_FIRST_WORDS: Final = {"AsExpected", "Settled", "NoTraffic", "Disabled", "Starting"}
"""Reasons that nobody wants to hear of a service that is new."""


@dataclass(frozen=True)
class EventFacts:
    """One event about a VoiceService."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def events(previous: Status | None, current: Status) -> tuple[EventFacts, ...]:
    """For every condition that flipped or has another reason; equal statuses give none, and no sentence comes twice."""
    before = {condition.type: condition for condition in (previous and previous.conditions) or ()}
    told = [
        _event(condition) for condition in current.conditions or () if _is_news(before.get(condition.type), condition)
    ]
    return tuple(_each_once(told))


def _is_news(before: Condition | None, now: Condition) -> bool:
    if now.status == "Unknown":
        return False
    if before is None or before.status == "Unknown":
        return now.reason not in _FIRST_WORDS
    if now.type == "Ready" and before.status == now.status == "True":
        return False  # what is wrong while it serves is Degraded's to say
    return (before.status, before.reason) != (now.status, now.reason)


def _event(condition: Condition) -> EventFacts:
    calm = condition.status == _GOOD.get(condition.type) or condition.reason in _CALM
    message = condition.message
    if len(message.encode()) > MAX_NOTE_CHARS:
        message = message.encode()[: MAX_NOTE_CHARS - 3].decode(errors="ignore") + "..."
    return EventFacts("Normal" if calm else "Warning", condition.reason, message)


def _each_once(told: Iterable[EventFacts]) -> Iterable[EventFacts]:
    seen: set[str] = set()
    for event in told:
        if event.message not in seen:
            seen.add(event.message)
            yield event
