"""Pods of a service as the scraper sees them: counters that grow with what the pod is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field

from timbre_contract import metrics
from timbre_operator.observed import PodSample, VoiceHeat, sample_key
from timbre_operator.scaling.counters import EXTRACTION, EXTRACTIONS, IN_FLIGHT, QUEUED, SYNTHESIS, TRANSFER


@dataclass
class APod:
    """One pod; ``does`` lets it live for a while."""

    synthesis: float = 0.0
    extraction: float = 0.0
    transfer: float = 0.0
    lookups: float = 0.0
    missed: float = 0.0
    """Look-ups that no tier answered."""
    tiers: tuple[str, ...] = ("host", "redis")
    """The nearest first."""
    extractions: float = 0.0
    queued: float = 0.0
    in_flight: float = 0.0
    warm: bool = True
    refused_voices: tuple[str, ...] = ()
    heat: dict[str, float] = field(default_factory=dict)
    """Of the voices that it holds, by digest."""

    def does(
        self,
        seconds: float,
        *,
        synthesis: float = 0.0,
        extraction: float = 0.0,
        transfer: float = 0.0,
        lookups: float = 0.0,
        missed: float = 0.0,
        extractions: float = 0.0,
    ) -> None:
        """For so many seconds that much per second."""
        self.synthesis += seconds * synthesis
        self.extraction += seconds * extraction
        self.transfer += seconds * transfer
        self.lookups += seconds * lookups
        self.missed += seconds * missed
        self.extractions += seconds * extractions

    def restarts(self) -> None:
        """Its process begins anew: counters, queue and voices are gone."""
        self.synthesis = self.extraction = self.transfer = 0.0
        self.lookups = self.missed = self.extractions = 0.0
        self.queued = self.in_flight = 0.0
        self.heat.clear()

    def _lookups(self) -> dict[str, float]:
        """All tiers but the last hit half of what they are asked for."""
        counters, asked = {}, self.lookups
        for tier in self.tiers:
            miss = self.missed if tier == self.tiers[-1] else self.missed + (asked - self.missed) / 2
            counters[sample_key(metrics.VOICE_CACHE_LOOKUPS, tier, "hit")] = asked - miss
            counters[sample_key(metrics.VOICE_CACHE_LOOKUPS, tier, "miss")] = miss
            asked = miss
        return counters

    def sample(self) -> PodSample:
        counters = {
            SYNTHESIS: self.synthesis,
            EXTRACTION: self.extraction,
            TRANSFER: self.transfer,
            EXTRACTIONS: self.extractions,
            QUEUED: self.queued,
            IN_FLIGHT: self.in_flight,
            **self._lookups(),
        }
        held = tuple(VoiceHeat(digest=digest, heat=heat) for digest, heat in self.heat.items())
        return PodSample(counters=counters, held=held, warm=self.warm, refused_voices=self.refused_voices)
