"""The server's Prometheus metrics: one structure, made from the contract's specs, one method for each thing that happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    disable_created_metrics,
    generate_latest,
)

from timbre_contract import metrics as specs
from timbre_contract.metrics import MetricSpec


class _PulledCounter(Counter):
    """A counter some of whose series are counted elsewhere, and read at each scrape."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self._pulled: dict[tuple[str, ...], tuple[Callable[[], int], int]] = {}
        self._pulling = Lock()
        super().__init__(*arguments, **keywords)

    def pull(self, labels: tuple[str, ...], read: Callable[[], int]) -> None:
        """From now on ``read`` counts this series; it never falls."""
        self.labels(*labels)  # a rate needs the zero before the first count
        with self._pulling:
            self._pulled[labels] = read, 0

    def collect(self) -> Iterable[Metric]:
        with self._pulling:
            for labels, (read, before) in self._pulled.items():
                now = read()
                self.labels(*labels).inc(now - before)
                self._pulled[labels] = read, now
        return super().collect()


class _UntoldGauge(Gauge):
    """A gauge that has no value before it is given one: where there is no device, 0 would be taken for what it says."""

    _told = False

    def set(self, value: float) -> None:
        super().set(value)
        self._told = True

    def collect(self) -> Iterable[Metric]:
        for metric in super().collect():
            if not self._told:
                metric.samples.clear()
            yield metric


class Metrics:
    """All metrics of one server, in a registry of its own (never the process-wide one)."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # process-wide; a `_created` series beside each counter doubles a scrape for nothing
        self.registry = CollectorRegistry(auto_describe=False)
        self._requests = self._counter(specs.REQUESTS)
        self._request_duration = self._histogram(specs.REQUEST_DURATION)
        self._request_series: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        """As many as there are routes and statuses: looking a series up by its labels costs as much as counting."""
        self._first_audio = self._histogram(specs.TIME_TO_FIRST_AUDIO)
        self._audio_seconds = self._counter(specs.AUDIO_SECONDS)
        self._pending_requests = self._gauge(specs.PENDING_REQUESTS)
        self._pending_work = self._gauge(specs.PENDING_WORK)
        self._queued_requests = self._gauge(specs.QUEUED_REQUESTS)
        self._batch_size = self._histogram(specs.BATCH_SIZE)
        self._engine_busy = self._counter(specs.ENGINE_BUSY)
        self._engine_demand = self._counter(specs.ENGINE_DEMAND)
        lookups = specs.VOICE_CACHE_LOOKUPS
        self._lookups = _PulledCounter(lookups.name, lookups.help, lookups.labels, registry=self.registry)
        self._cache_bytes = self._gauge(specs.VOICE_CACHE_BYTES)
        self._cache_capacity = self._gauge(specs.VOICE_CACHE_CAPACITY)
        self._evictions = self._counter(specs.VOICE_CACHE_EVICTIONS)
        self._extraction = self._histogram(specs.VOICE_EXTRACTION)
        self._hit_ratio = self._gauge(specs.VOICE_CACHE_HIT_RATIO)
        self._working_set = self._gauge(specs.VOICE_WORKING_SET)
        self._resizes = self._counter(specs.VOICE_CACHE_RESIZES)
        self._invalidation_lag = self._histogram(specs.VOICE_INVALIDATION_LAG)
        self._stale_reads = self._counter(specs.VOICE_STALE_READS)
        self._unchecked_uses = self._counter(specs.VOICE_UNCHECKED_USES)
        self._log_healthy = self._gauge(specs.CHANGE_LOG_HEALTHY)
        self._degraded = self._gauge(specs.REGISTRY_DEGRADED)
        self._breaker_open = self._gauge(specs.REDIS_BREAKER_OPEN)
        self._refuses_writes = self._gauge(specs.REDIS_REFUSES_WRITES)
        answered = self._counter(specs.RESULT_CACHE_LOOKUPS)
        # One series each, looked up once: a hit takes a tenth of a millisecond in all.
        self._results = {
            outcome: answered.labels(outcome) for outcome in ("hit", "similar", "miss", "coalesced", "bypass")
        }
        self._result_bytes = self._gauge(specs.RESULT_CACHE_BYTES)
        self._device_memory = self._gauge(specs.DEVICE_MEMORY)
        self._device_utilization, self._device_temperature = (
            _UntoldGauge(spec.name, spec.help, registry=self.registry)
            for spec in (specs.DEVICE_UTILIZATION, specs.DEVICE_TEMPERATURE)
        )
        for kind in ("synthesis", "extraction", "transfer"):
            self._engine_demand.labels(kind)  # a rate needs the zero before the first count
        for cause in ("speech", "enrolment"):
            self._extraction.labels(cause)

    def _counter(self, spec: MetricSpec) -> Counter:
        return Counter(spec.name, spec.help, spec.labels, registry=self.registry)

    def _gauge(self, spec: MetricSpec) -> Gauge:
        return Gauge(spec.name, spec.help, spec.labels, registry=self.registry)

    def _histogram(self, spec: MetricSpec) -> Histogram:
        return Histogram(spec.name, spec.help, spec.labels, buckets=spec.buckets, registry=self.registry)

    def request_finished(self, route: str, status: int, seconds: float) -> None:
        """A response has been sent wholly, or broke off; ``route`` is a template, never a path from a client."""
        series = self._request_series.get((route, status))
        if series is None:
            series = self._request_series[route, status] = (
                self._requests.labels(route, str(status)),
                self._request_duration.labels(route),
            )
        counter, histogram = series
        counter.inc()
        histogram.observe(seconds)

    def first_audio(self, seconds: float) -> None:
        """A request has its first samples."""
        self._first_audio.observe(seconds)

    def audio_produced(self, seconds: float) -> None:
        """So much playing time has been made for a client."""
        self._audio_seconds.inc(seconds)

    def watch_queue(
        self,
        queued_requests: Callable[[], int],
        pending_requests: Callable[[], int],
        pending_work_seconds: Callable[[], float],
    ) -> None:
        """Reads the queue's gauges from these whenever somebody scrapes."""
        self._queued_requests.set_function(queued_requests)
        self._pending_requests.set_function(pending_requests)
        self._pending_work.set_function(pending_work_seconds)

    def engine_demanded(self, kind: str, seconds: float) -> None:
        """A request asked for work of a kind that was predicted to take so long."""
        self._engine_demand.labels(kind).inc(seconds)

    def batch_done(self, size: int, busy_seconds: float) -> None:
        """The engine finished (or failed) a batch."""
        self._batch_size.observe(size)
        self._engine_busy.inc(busy_seconds)

    def voice_evicted(self, tier: str, cause: str) -> None:
        """A voice left a tier."""
        self._evictions.labels(tier, cause).inc()

    def voice_extracted(self, cause: str, seconds: float) -> None:
        """A voice was extracted, for ``speech`` or for an ``enrolment``."""
        self._extraction.labels(cause).observe(seconds)

    def watch_voice_cache(
        self, tier: str, held_bytes: Callable[[], float], capacity_bytes: Callable[[], float]
    ) -> None:
        """Reads the bytes of a tier from these whenever somebody scrapes."""
        self._cache_bytes.labels(tier).set_function(held_bytes)
        self._cache_capacity.labels(tier).set_function(capacity_bytes)
        for outcome in ("hit", "miss"):
            self._lookups.labels(tier, outcome)

    def watch_voice_lookups(self, tier: str, hits: Callable[[], int], misses: Callable[[], int]) -> None:
        """Reads a tier's own counts whenever somebody scrapes: a hit costs less than counting it here would."""
        self._lookups.pull((tier, "hit"), hits)
        self._lookups.pull((tier, "miss"), misses)

    def watch_voice_use(self, hit_ratio: Callable[[], float], working_set_bytes: Callable[[], float]) -> None:
        """Reads what the cache knows of its use whenever somebody scrapes."""
        self._hit_ratio.set_function(hit_ratio)
        self._working_set.set_function(working_set_bytes)

    def voice_cache_resized(self, reason: str) -> None:
        """The budget of the device tier was changed."""
        self._resizes.labels(reason).inc()

    def change_applied(self, lag_seconds: float) -> None:
        """A change of a voice took effect here."""
        self._invalidation_lag.observe(max(0.0, lag_seconds))

    def stale_read(self) -> None:
        """A use of a voice turned out to have been too old."""
        self._stale_reads.inc()

    def unchecked_use(self) -> None:
        """A voice was spoken from memory although nobody could say whether it is still the same."""
        self._unchecked_uses.inc()

    def watch_registry(
        self, log_healthy: Callable[[], bool], degraded: Callable[[], bool], takes_writes: Callable[[], bool]
    ) -> None:
        """Reads the state of the followed registry whenever somebody scrapes."""
        self._refuses_writes.set_function(lambda: not takes_writes())
        self._log_healthy.set_function(log_healthy)
        self._degraded.set_function(degraded)

    def watch_breaker(self, is_open: Callable[[], bool]) -> None:
        """Reads the breaker's state whenever somebody scrapes."""
        self._breaker_open.set_function(is_open)

    def result_looked_up(self, outcome: str) -> None:
        """A speech request has its answer, and this is where it came from."""
        self._results[outcome].inc()

    def watch_results(self, tier: str, held_bytes: Callable[[], float]) -> None:
        """Reads the bytes of finished speech in a tier from this whenever somebody scrapes."""
        self._result_bytes.labels(tier).set_function(held_bytes)

    def device_read(
        self, memory_bytes: Mapping[str, int], utilization: float | None, temperature_celsius: float | None
    ) -> None:
        """What the device said just now; None = it does not say."""
        for kind, size in memory_bytes.items():
            self._device_memory.labels(kind).set(size)
        if utilization is not None:
            self._device_utilization.set(utilization)
        if temperature_celsius is not None:
            self._device_temperature.set(temperature_celsius)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)
