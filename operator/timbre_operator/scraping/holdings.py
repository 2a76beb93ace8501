"""Which voices does a pod hold, and was it warmed up?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from timbre_contract.api import HOTTEST_FIELD, MAX_HOTTEST, WARM_UP_FIELD, WarmUpOutcome
from timbre_operator.observed import VoiceHeat

_COLD: Final = {WarmUpOutcome.CUT_OFF, WarmUpOutcome.NO_STORE}


@dataclass(frozen=True)
class Holdings:
    """What the admin port tells of its cache."""

    hottest: tuple[VoiceHeat, ...] = ()
    warm: bool = True


def holdings_in(text: bytes) -> Holdings | None:
    """None where it is not what a server writes."""
    try:
        answer: Any = json.loads(text)
        listed = answer.get(HOTTEST_FIELD) or ()
        hottest = tuple(_voice(item) for item in listed[:MAX_HOTTEST])
        return Holdings(hottest, answer.get(WARM_UP_FIELD) not in _COLD)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _voice(item: Any) -> VoiceHeat:
    """Raises: ValueError, TypeError, KeyError: it is none."""
    heat = float(item["heat"])
    if not isfinite(heat):
        raise ValueError("no number")
    return VoiceHeat(digest=str(item["digest"]), heat=heat)
