"""Which of a pod's metrics does the operator read, and what do they say?

Prometheus' text format, of which only the lines are looked at whose metric is wanted: a pod exports a few hundred, and hundreds
of pods are read every few seconds.

References: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from timbre_contract import metrics

WANTED: Final[Mapping[str, tuple[str, ...]]] = {
    **{
        spec.name: spec.labels
        for spec in (
            metrics.ENGINE_DEMAND,
            metrics.QUEUED_REQUESTS,
            metrics.PENDING_REQUESTS,
            metrics.VOICE_CACHE_LOOKUPS,
        )
    },
    metrics.VOICE_EXTRACTION.name + "_count": metrics.VOICE_EXTRACTION.labels,
    "timbre_jobs_pending": (),
}
"""What ``scaling.counters`` makes series of, with the labels in the order of their specs."""

# Values of our labels are words of the contract: no quotes, braces or spaces in them.
_LINE: Final = re.compile(rf"^({'|'.join(WANTED)})(?:{{([^}}\n]*)}})? (\S+)".encode(), re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="([^"\n]*)"')


def samples_in(text: bytes) -> Mapping[str, float]:
    """Wanted samples by ``observed.sample_key``; a line that is none is passed over."""
    samples: dict[str, float] = {}
    for line in _LINE.findall(text):
        try:
            name, labels, value = (part.decode("ascii") for part in line)
            samples[_key(name, labels)] = float(value)
        except (ValueError, KeyError):
            continue
    return samples


def _key(name: str, labels: str) -> str:
    """Raises: KeyError: a label is missing."""
    if not WANTED[name]:
        return name
    written = dict(_LABEL.findall(labels))  # by name: Prometheus' library sorts them
    return f"{name}{{{','.join(written[label] for label in WANTED[name])}}}"
