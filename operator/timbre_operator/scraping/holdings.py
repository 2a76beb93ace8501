"""Which voices does a pod hold, was it warmed up, and which declared ones cannot it enrol?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from timbre_contract.api import (
    HOTTEST_FIELD,
    MAX_HOTTEST,
    MAX_PRELOAD_REFUSALS,
    PRELOAD_FIELD,
    WARM_UP_FIELD,
    WarmUpOutcome,
)
from timbre_operator.observed import VoiceHeat

_COLD: Final = {WarmUpOutcome.CUT_OFF, WarmUpOutcome.NO_STORE}
MAX_REASON_CHARS: Final = 200
"""Of what is said about a voice: it ends in a message for people."""


@dataclass(frozen=True)
class Holdings:
    """What the admin port tells of its cache."""

    hottest: tuple[VoiceHeat, ...] = ()
    warm: bool = True
    refused: tuple[str, ...] = ()
    """Declared voices that cannot be enrolled, with the reason."""


def holdings_in(text: bytes) -> Holdings | None:
    """None where it is not what a server writes."""
    try:
        answer: Any = json.loads(text)
        listed = answer.get(HOTTEST_FIELD) or ()
        hottest = tuple(_voice(item) for item in listed[:MAX_HOTTEST])
        declared = answer.get(PRELOAD_FIELD) or {}
        refused = tuple(_refusal(item) for item in (declared.get("refused") or ())[:MAX_PRELOAD_REFUSALS])
        return Holdings(hottest, answer.get(WARM_UP_FIELD) not in _COLD, refused)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _refusal(item: Any) -> str:
    """Raises: TypeError, KeyError: it is none."""
    voice, reason = str(item["voice"]), str(item["reason"])
    return f"{voice}: {reason}"[:MAX_REASON_CHARS] if voice else reason[:MAX_REASON_CHARS]


def _voice(item: Any) -> VoiceHeat:
    """Raises: ValueError, TypeError, KeyError: it is none."""
    heat = float(item["heat"])
    if not isfinite(heat):
        raise ValueError("no number")
    return VoiceHeat(digest=str(item["digest"]), heat=heat)
