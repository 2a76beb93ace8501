"""Why does the load ask for this many pods?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from timbre_contract import labels
from timbre_operator.observed import Load
from timbre_operator.scaling.proposals import Asked

EXTRACTION_SHARE: Final = 0.25
"""From this share of the work on, extractions are worth a word: below, one pod in four at most is there for them."""


class Reason(StrEnum):
    """The word of a decision; programs may rely on it."""

    STARTED = "Started"
    QUEUE_DEPTH = "QueueDepth"
    SYNTHESIS_WORK = "SynthesisWork"
    EXTRACTION_WORK = "ExtractionWork"
    LOAD_FELL = "LoadFell"
    BOUNDS = "Bounds"
    STABILIZATION = "Stabilization"
    BEHAVIOR = "BehaviorLimits"
    STALE = "StaleData"
    UNREADABLE = "MetricsUnreadable"
    SOMEBODY = "ChangedByOthers"


@dataclass(frozen=True)
class Cause:
    """Why, in a word and in a sentence."""

    reason: Reason
    message: str


def demand(asked: Sequence[Asked], load: Load) -> Cause:
    """What asks for most."""
    most = max(asked, key=lambda item: item.replicas)
    if most.series == labels.QUEUE_DEPTH_SERIES:
        return Cause(Reason.QUEUE_DEPTH, f"{most.value:g} requests wait and a pod shall have {_number(most)}")
    words = f"{most.value:.2f} engine seconds are asked for per second and a pod shall do {_number(most)}"
    if extraction := _extraction(load):
        return Cause(Reason.EXTRACTION_WORK, f"{words}; {extraction}")
    return Cause(Reason.SYNTHESIS_WORK, words)


def relief(asked: Sequence[Asked]) -> Cause:
    """Nothing asks for as many as there were."""
    parts = ", ".join(f"{_short(item.series)} {item.value:.2f} for {item.replicas}" for item in asked)
    return Cause(Reason.LOAD_FELL, f"the load asks for fewer pods: {parts}")


def _extraction(load: Load) -> str:
    """What extractions have to do with it; empty where that is little, or speech grew by more."""
    extraction, trend = load.extraction_seconds, load.trend
    if extraction < EXTRACTION_SHARE * load.work_seconds:
        return ""
    grown = extraction - trend.extraction_before_seconds
    if load.work_seconds - extraction - trend.synthesis_before_seconds > grown:
        return ""
    words = f"{extraction:.2f} of them for extractions"
    now, before = trend.hit_rate_percent, trend.hit_rate_before_percent
    if now is not None and before is not None and now < before:
        return f"{words}, because the hit rate fell from {before} % to {now} %"
    return words if now is None else f"{words}, at a hit rate of {now} %"


def _number(item: Asked) -> str:
    return f"{float(item.target):g}"


def _short(series: str) -> str:
    return series.removeprefix("timbre_")
