"""Pods of a simulated service: they queue, batch, keep voices and count, as servers do."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from itertools import product
from typing import Final

from timbre_contract import metrics
from timbre_operator.observed import PodSample, VoiceHeat, sample_key
from timbre_operator.scaling.counters import EXTRACTION, EXTRACTIONS, IN_FLIGHT, QUEUED, SYNTHESIS, TRANSFER

ONE_OFF: Final = -1
"""Instead of a voice: a recording that came with its request."""
_HEAT_KEPT: Final = 64


@dataclass(frozen=True)
class Costs:
    """What things take, in seconds."""

    batch_fixed: float = 0.5
    batch_per_job: float = 0.0625
    """A batch of n takes 0.5 + n / 16 s: one sentence 0.56 s, sixteen 1.5 s; 750 ms and 1.2 s are the figures of the articles
    that the project began with."""
    extraction: float = 2.8
    """The articles' IndexTTS on an RTX 3090."""
    transfer: float = 0.015
    """The articles' Redis hit.  ``make bench ROW=shared-tier`` measures 0.3 ms: the simulation shows the worse case."""
    batch_size: int = 16
    shared_tier: bool = True
    """Without it a voice that a pod does not hold is extracted there: what no Timbre does, for comparison."""

    @property
    def sentence(self) -> float:
        """In a full batch."""
        return self.batch_fixed / self.batch_size + self.batch_per_job


@dataclass
class SimulatedPod:
    """One pod with one engine; ``now`` is seconds of the simulation."""

    name: str
    ready_at: float
    costs: Costs
    slots: int
    """Voices that its device holds."""
    max_pending: float = 30.0
    """Admission: predicted engine seconds that may wait."""
    leaving: bool = False
    refused: int = 0
    waits: list[float] = field(default_factory=list)
    """From arrival to the engine, of those that began since somebody looked."""
    counters: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _voices: OrderedDict[int, float] = field(default_factory=OrderedDict)
    """Uses of each voice on the device, the one that was used last at the end."""
    _speech: deque[float] = field(default_factory=deque)
    """When each request that waits for speech came."""
    _extractions: deque[float] = field(default_factory=deque)
    _free_at: float = 0.0
    _lookups: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By tier and outcome."""

    def arrive(self, voice: int, now: float) -> None:
        """A request; its demand counts also where it is refused."""
        self.counters[SYNTHESIS] += self.costs.sentence
        is_hit = voice in self._voices
        is_extracted = voice == ONE_OFF or not (is_hit or self.costs.shared_tier)
        self._lookups["device", "hit" if is_hit else "miss"] += 1
        if is_extracted:
            self._lookups["redis", "miss"] += 1
            self.counters[EXTRACTION] += self.costs.extraction
        elif not is_hit:
            self._lookups["redis", "hit"] += 1
            self.counters[TRANSFER] += self.costs.transfer
        if self._pending() > self.max_pending:
            self.refused += 1
            return
        if voice != ONE_OFF:
            self._hold(voice)
        (self._extractions if is_extracted else self._speech).append(now)

    def work(self, until: float) -> None:
        """The engine takes batches for as long as it is free before that time."""
        while (self._speech or self._extractions) and self._free_at < until:
            oldest = min(queue[0] for queue in (self._speech, self._extractions) if queue)
            began = max(self._free_at, oldest)
            if began >= until:
                return
            if self._extractions and self._extractions[0] == oldest:
                came = self._extractions.popleft()
                self._free_at = began + self.costs.extraction
                self.counters[EXTRACTIONS] += 1
                self._speech.append(came)  # its speech is due at once
                self._speech = deque(sorted(self._speech))
                continue
            taken = 0
            while self._speech and taken < self.costs.batch_size and self._speech[0] <= began:
                self.waits.append(began - self._speech.popleft())
                taken += 1
            self._free_at = began + self.costs.batch_fixed + taken * self.costs.batch_per_job

    @property
    def idle(self) -> bool:
        return not self._speech and not self._extractions

    def sample(self, now: float) -> PodSample:
        """What its admin port says."""
        queued = len(self._speech) + len(self._extractions)
        counters = {
            **self.counters,
            QUEUED: float(queued),
            IN_FLIGHT: float(queued + (self.costs.batch_size if self._free_at > now else 0)),
        }
        for tier, outcome in product(("device", "redis"), ("hit", "miss")):
            counters[sample_key(metrics.VOICE_CACHE_LOOKUPS, tier, outcome)] = float(self._lookups[tier, outcome])
        hottest = sorted(self._voices.items(), key=lambda item: -item[1])[:_HEAT_KEPT]
        return PodSample(
            counters=counters, held=tuple(VoiceHeat(digest=str(voice), heat=heat) for voice, heat in hottest)
        )

    def _pending(self) -> float:
        return len(self._speech) * self.costs.sentence + len(self._extractions) * (
            self.costs.extraction + self.costs.sentence
        )

    def _hold(self, voice: int) -> None:
        self._voices[voice] = self._voices.get(voice, 0.0) + 1.0
        self._voices.move_to_end(voice)
        if len(self._voices) > self.slots:
            self._voices.popitem(last=False)
