"""What is a service asked to do, told by samples of its pods that come and go, restart and fall silent?

The queue that is told is the standing one, the least of the last looks: what is gone at the next look was a burst that the
engines took, and pods that come for it find nothing (as CoDel tells a queue that is bad from one that only absorbs bursts;
Nichols and Jacobson, Controlling Queue Delay, ACM Queue 2012).

The totals are over what the *service* is asked to do, so they do not dip when its pods change: a rate is smoothed after it was
summed over the pods.  A pod that is gone takes its value along at once, one that does not answer leaves it for a while.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

from timbre_contract import labels
from timbre_operator.observed import Load, PodSample
from timbre_operator.scaling.counters import JOBS_PENDING, QUEUED, CounterReader, Progress, Rates, gauge
from timbre_operator.scaling.history import HIT_RATE_SECONDS, History, Stretch
from timbre_operator.scaling.silence import Hearing, Silence
from timbre_operator.scaling.smoothing import Smoothed

JOB_WEIGHT: Final = 0.25
"""What a job that waits counts in the queue beside a request that waits: nobody listens for it, so four may wait as one."""

STANDING_LOOKS: Final = 3
"""Looks over which the least queue counts: one period of the HPA at 5 s each.  With one look alone, an extraction of 3 s made a
service of five requests a second get a pod and lose it again every ten minutes (`make bench ROW=autoscaling`)."""


class _Pod:
    """What is known of one pod."""

    def __init__(self, now: float) -> None:
        self._reader = CounterReader()
        self._silence = Silence()
        self._since = now
        self._warm = True
        self.refused_voices: tuple[str, ...] = ()
        self._queued = 0.0
        self._jobs_pending = 0.0
        self._rates: Rates | None = None
        self.hearing = Hearing.GOOD

    def advance(self, sample: PodSample | None, now: float) -> Progress | None:
        """Takes one answer in, or that there was none; returns what it did since the one before."""
        progress = None
        if sample is None:
            self._silence.lasts(now)
        else:
            self._silence.broken()
            self._queued, self._jobs_pending = gauge(sample, QUEUED), gauge(sample, JOBS_PENDING)
            self._warm = sample.warm
            self.refused_voices = sample.refused_voices
            progress = self._reader.read(sample, now)
            self._rates = progress.rates if progress else self._rates
        self.hearing = self._silence.hearing(now)
        return progress

    @property
    def counts(self) -> bool:
        return self.hearing is not Hearing.LOST

    @property
    def measured(self) -> bool:
        """Whether its rates are known."""
        return self.counts and self._rates is not None

    @property
    def rates(self) -> Rates:
        return self._rates if self.counts and self._rates else Rates()

    @property
    def queued(self) -> float:
        return self._queued if self.counts else 0.0

    @property
    def jobs_pending(self) -> float:
        return self._jobs_pending if self.counts else 0.0

    def cold(self, now: float) -> bool:
        """Whether its warm-up was cut off a short while ago; then the hit rate tells more."""
        return not self._warm and now - self._since < HIT_RATE_SECONDS


class Ledger:
    """The series of one service.  ``now`` is seconds of any clock that does not go back."""

    def __init__(self) -> None:
        self._pods: dict[str, _Pod] = {}
        self._advanced_at: float | None = None
        self._work, self._extraction = Smoothed(), Smoothed()
        self._history = History()
        self._measured = False
        """Whether the series were known once: rates need two samples of a pod."""
        self._queues: deque[float] = deque(maxlen=STANDING_LOOKS)
        self._queue = 0.0
        self._published_work = 0.0
        self._held = False

    def advance(self, samples: Mapping[str, PodSample | None], now: float) -> None:
        """One sample of each pod that should answer, by its name; None where it did not.  Pods that are missing are gone."""
        self._pods = {name: self._pods.get(name) or _Pod(now) for name in samples}
        progress = [self._pods[name].advance(sample, now) for name, sample in samples.items()]
        elapsed_seconds = 0.0 if self._advanced_at is None else now - self._advanced_at
        self._advanced_at = now
        rates = [pod.rates for pod in self._pods.values()]
        work, extraction = sum(rate.total for rate in rates), sum(rate.extraction for rate in rates)
        if not self._measured:
            self._measured = not self._pods or any(pod.measured for pod in self._pods.values())
            self._work.start(work)
            self._extraction.start(extraction)
        elif elapsed_seconds > 0.0:
            self._work.toward(work, elapsed_seconds)
            self._extraction.toward(extraction, elapsed_seconds)
        self._publish()
        self._remember([part for part in progress if part], rates, elapsed_seconds)

    def load(self) -> Load | None:
        """What is known; None before it was measured for the first time, or before it is clear that nobody answers."""
        if self._advanced_at is None:
            return None
        now, silent = self._advanced_at, self._silent_pods()
        if not self._measured:
            return Load(measured=False, held=True, silent_pods=silent) if silent else None
        return Load(
            queue_depth=round(self._queue),
            work_seconds=self._published_work,
            working_set_bytes=0,
            hit_rate_percent=self._history.hit_rate_percent(now),
            lookups_per_second=self._history.lookups_per_second(now),
            extraction_seconds=min(self._extraction.value, self._published_work),
            trend=self._history.trend(now),
            silent_pods=silent,
            held=self._held,
            cold_pods=tuple(sorted(name for name, pod in self._pods.items() if pod.cold(now))),
            refused_voices=tuple(sorted({voice for pod in self._pods.values() for voice in pod.refused_voices})),
        )

    def series(self) -> Mapping[str, float] | None:
        """Every series by its name; None while nothing is known, which lets autoscalers leave everything as it is."""
        if not self._measured or self._lost():
            return None
        return {
            labels.QUEUE_DEPTH_SERIES: self._queue,
            labels.WORK_SECONDS_SERIES: self._published_work,
            # Pods that hold the same voices do not hold more of them together: more pods would be no cure.
            labels.WORKING_SET_SERIES: 0.0,
        }

    def _silent_pods(self) -> tuple[str, ...]:
        return tuple(sorted(name for name, pod in self._pods.items() if pod.hearing is not Hearing.GOOD))

    def _lost(self) -> bool:
        """Whether there are pods, and nothing is known of any: then no number would be true."""
        return bool(self._pods) and not any(pod.counts for pod in self._pods.values())

    def _remember(self, progress: list[Progress], rates: list[Rates], elapsed_seconds: float) -> None:
        assert self._advanced_at is not None
        self._history.add(
            Stretch(
                self._advanced_at,
                elapsed_seconds,
                lookups=sum(part.lookups for part in progress),
                misses=sum(part.misses for part in progress),
                extractions=sum(part.extractions for part in progress),
                synthesis_seconds=sum(rate.synthesis for rate in rates) * elapsed_seconds,
                extraction_seconds=sum(rate.extraction for rate in rates) * elapsed_seconds,
                queue=self._queue,
            )
        )

    def _publish(self) -> None:
        """What autoscalers are told; while a pod is silent it may rise and not fall."""
        pods = self._pods.values()
        # A number of the service that each pod shows as it saw it last: the largest, not the sum.
        jobs_pending = max((pod.jobs_pending for pod in pods), default=0.0)
        self._queues.append(sum(pod.queued for pod in pods) + JOB_WEIGHT * jobs_pending)
        queue = min(self._queues)
        self._held = any(pod.hearing is Hearing.SILENT for pod in pods) or self._lost()
        self._queue = max(queue, self._queue) if self._held else queue
        self._published_work = max(self._work.value, self._published_work) if self._held else self._work.value
