"""The loop that feeds the engine: what runs next, who gets the result, and what if it fails?"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import cast

from timbre_server.batching.admission import Ledger, WorkPermit
from timbre_server.batching.batch_times import BatchTimes
from timbre_server.batching.costs import CostModel, MeasuredCosts
from timbre_server.batching.extraction import ExtractionJob
from timbre_server.batching.isolation import SizeCap, halves
from timbre_server.batching.observer import BatchObserver, NoObserver
from timbre_server.batching.policy import Limits, WorkKind, next_batch
from timbre_server.batching.progress import Progress
from timbre_server.batching.rows import Row, SpeechJob
from timbre_server.batching.stream import SpeechStream
from timbre_server.domain.voice import Features, Reference
from timbre_server.errors import EngineError, EngineOutOfMemory, EngineStopped, TimbreError
from timbre_server.ports import EngineWorker, Permit, Piece, RowTimings, Utterance

_log = logging.getLogger(__name__)

Job = SpeechJob | ExtractionJob


class BatchingDispatcher:
    """``ports.Dispatcher``: work-conserving, one batch at the engine at a time, on the loop that starts it.

    The engine's own limits (voices and references per call) replace those in ``limits``.
    """

    def __init__(
        self,
        worker: EngineWorker,
        *,
        limits: Limits | None = None,
        max_pending_seconds: float = 0.0,
        costs: CostModel | None = None,
        observer: BatchObserver | None = None,
    ) -> None:
        self._worker = worker
        self._limits = dataclasses.replace(
            limits if limits is not None else Limits(),
            max_cross_voice_batch=worker.descriptor.max_cross_voice_batch,
            max_encode_batch=worker.descriptor.max_encode_batch,
        )
        self._costs = costs if costs is not None else MeasuredCosts()
        self._observer = observer if observer is not None else NoObserver()
        self._times = {kind: BatchTimes() for kind in WorkKind}
        self._ledger = Ledger(max_pending_seconds, self._costs)
        self._progress = Progress()
        self._speech_cap = SizeCap(self._limits.max_batch_size)
        self._encode_cap = SizeCap(self._limits.max_encode_batch)
        self._waiting: list[Job] = []
        self._retries: deque[Sequence[Job]] = deque()
        self._rows: set[Row] = set()
        """Requests for which the engine has something to do."""
        self._extractions: set[ExtractionJob] = set()
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopped: str | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to feed the engine, which has been loaded."""
        self._task = asyncio.create_task(self._run(), name="timbre-dispatcher")

    async def stop(self) -> None:
        """Ends the batch that runs at its next piece and fails all that waits with ``EngineStopped``.  Idempotent."""
        self._shut("the engine has stopped")
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def drained(self) -> None:
        """Waits until the engine has nothing to do; what readers have not yet read stays readable."""
        await self._idle.wait()

    def health(self) -> str | None:
        """None while work gets done, else one sentence that says why not.  Asked on the loop."""
        return self._stopped or self._worker.health() or self._progress.stalled(asyncio.get_running_loop().time())

    @property
    def pending_requests(self) -> int:
        return len(self._rows) + len(self._extractions)

    @property
    def pending_work_seconds(self) -> float:
        return self._ledger.pending_seconds

    @property
    def queued_requests(self) -> int:
        return self._ledger.queued

    def speech_demand_seconds(self, costs_seconds: Sequence[float]) -> float:
        limits = self._limits
        # Those who speak at once mostly ask for different voices.
        size = min(limits.max_batch_size, limits.max_cross_voice_batch)
        if limits.max_batch_cost_seconds > 0.0 and costs_seconds:
            mean_seconds = sum(costs_seconds) / len(costs_seconds)
            size = min(size, max(1, int(limits.max_batch_cost_seconds / mean_seconds + 1e-9)))
        return self._times[WorkKind.SYNTHESIS].share_seconds(costs_seconds, size)

    def extraction_demand_seconds(self, cost_seconds: float) -> float:
        return self._times[WorkKind.EXTRACTION].share_seconds([cost_seconds], self._limits.max_encode_batch)

    def admit(self, cost_seconds: float) -> WorkPermit:
        if self._stopped is not None:
            raise EngineStopped(self._stopped)
        return self._ledger.admit(cost_seconds)

    def speak(
        self,
        row: Sequence[Utterance],
        *,
        permit: Permit,
        timings: RowTimings | None = None,
        finished: Callable[[], None] | None = None,
    ) -> SpeechStream:
        cost_seconds = self._worker.engine.synthesis_cost_seconds
        request = Row(
            [(utterance, cost_seconds(utterance.text, utterance.parameters)) for utterance in row],
            permit=permit,
            timings=timings if timings is not None else RowTimings(),
            rate_hz=self._worker.descriptor.sample_rate_hz,
            finished=finished,
        )
        if self._stopped is not None:
            request.fail(EngineStopped(self._stopped))
        else:
            self._rows.add(request)
        self._advance(request)
        return SpeechStream(request, self._advance)

    async def extract(self, reference: Reference, *, begun: Callable[[], None] | None = None) -> Features:
        if self._stopped is not None:
            raise EngineStopped(self._stopped)
        job = ExtractionJob(
            reference,
            cost_seconds=self._worker.engine.extraction_cost_seconds(reference.pcm.duration_seconds),
            arrived_at=asyncio.get_running_loop().time(),
            begun=begun,
        )
        self._extractions.add(job)
        self._queue([job])
        try:
            return await job.features
        finally:
            self._extractions.discard(job)
            self._note_idleness()

    def _queue(self, jobs: Sequence[Job]) -> None:
        if jobs:
            self._waiting.extend(jobs)
            self._idle.clear()
            self._news.set()

    def _advance(self, row: Row) -> None:
        """Something about a row has changed: opens what may run now, or forgets it."""
        if row.finished:
            row.close()
            self._rows.discard(row)
            self._note_idleness()
        else:
            self._queue(row.open_jobs(asyncio.get_running_loop().time()))

    def _note_idleness(self) -> None:
        if not self._rows and not self._extractions:
            self._idle.set()

    async def _run(self) -> None:
        """Feeds the engine until it is gone for good."""
        try:
            while self._stopped is None:
                if self._retries:
                    await self._run_batch(self._retries.popleft(), retried=True)
                else:
                    await self._run_batch(await self._next_jobs(), retried=False)
        except Exception:  # noqa: BLE001 - the batcher loop: nobody may be left waiting for it
            _log.exception("the dispatcher failed")
            self._shut("the dispatcher has failed")

    async def _next_jobs(self) -> Sequence[Job]:
        """The next batch, as soon as there is one."""
        while True:
            while not self._waiting:
                self._news.clear()
                await self._news.wait()
            now = asyncio.get_running_loop().time()
            self._waiting = [job for job in self._waiting if not job.abandoned]
            limits = dataclasses.replace(
                self._limits, max_batch_size=self._speech_cap.at(now), max_encode_batch=self._encode_cap.at(now)
            )
            batch = next_batch(self._waiting, limits, now, self._costs.predicted_batch_seconds)
            if batch.jobs:
                taken = set(batch.jobs)
                self._waiting = [job for job in self._waiting if job not in taken]
                return batch.jobs
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(batch.wake_at):
                    await self._news.wait()

    async def _run_batch(self, jobs: Sequence[Job], *, retried: bool) -> None:
        """Runs jobs of one kind together, those whose callers are still there."""
        jobs = [job for job in jobs if not job.abandoned]
        if not jobs:
            return
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        costs = [job.cost_seconds for job in jobs]
        rows = {job.row for job in jobs if isinstance(job, SpeechJob)}
        for row in rows:
            row.in_engine = True
        self._progress.begin(max(sum(costs), self._costs.predicted_drain_seconds(sum(costs))), began_at)
        error = await self._outcome(jobs)
        self._progress.end()
        busy_seconds = loop.time() - began_at
        self._observer.batch_done(len(jobs), busy_seconds=busy_seconds)
        if error is None:
            self._costs.observe(costs, busy_seconds)
            self._times[jobs[0].kind].observe(costs, busy_seconds)
        else:
            self._recover(jobs, error, retried=retried)
        for row in rows:
            row.in_engine = False
            row.pass_time(loop.time())
            self._advance(row)

    async def _outcome(self, jobs: Sequence[Job]) -> TimbreError | None:
        """The error that ended the batch, None if every job has got what it asked for."""
        speech = [job for job in jobs if isinstance(job, SpeechJob)]
        try:
            if speech:
                await self._synthesize(speech)
            else:
                await self._encode([job for job in jobs if isinstance(job, ExtractionJob)])
        except TimbreError as error:
            return error
        except Exception as error:  # noqa: BLE001 - the batcher loop: an engine that breaks its contract
            _log.exception("the engine broke its contract")
            failure = EngineError("the engine failed")
            failure.__cause__ = error
            return failure
        if all(job.done or job.abandoned for job in jobs):
            return None
        return EngineError("the engine left a job unfinished")

    async def _synthesize(self, jobs: Sequence[SpeechJob]) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for job in jobs:
            job.begin(now)
        for row in {job.row for job in jobs}:
            self._advance(row)
        pieces = self._worker.synthesize([job.utterance for job in jobs], lambda index: jobs[index].abandoned)
        # The port promises that it can be closed.
        async with aclosing(cast("AsyncGenerator[Piece, None]", pieces)):
            async for piece in pieces:
                self._progress.note(loop.time())
                jobs[piece.index].receive(piece, loop.time())

    async def _encode(self, jobs: Sequence[ExtractionJob]) -> None:
        for job in jobs:
            job.begin()
        voices = await self._worker.encode([job.reference for job in jobs])
        for job, features in zip(jobs, voices, strict=True):
            job.finish(features)

    def _recover(self, jobs: Sequence[Job], error: TimbreError, *, retried: bool) -> None:
        """A batch has failed: its unfinished jobs run again in smaller ones; a job that was alone is the guilty one."""
        broken = self._worker.health()
        if broken is not None or isinstance(error, EngineStopped):
            self._shut(broken or error.message)
            return
        relieved = isinstance(error, EngineOutOfMemory) and self._observer.out_of_memory()
        if isinstance(error, EngineOutOfMemory) and len(jobs) > 1 and not retried:
            cap = self._speech_cap if jobs[0].kind is WorkKind.SYNTHESIS else self._encode_cap
            cap.halve(len(jobs), asyncio.get_running_loop().time())
        unfinished = [job for job in jobs if not job.done]
        if len(jobs) > 1:
            self._retries.extendleft(reversed(halves(unfinished)))
            return
        if relieved and not retried:
            self._retries.appendleft(unfinished)
            return
        for job in unfinished:
            job.fail(error)

    def _shut(self, reason: str) -> None:
        """Nothing runs any longer; everybody who waits is told."""
        self._stopped = self._stopped or reason
        self._waiting.clear()
        self._retries.clear()
        for row in list(self._rows):
            row.fail(EngineStopped(self._stopped))
            self._advance(row)
        for job in self._extractions:
            job.fail(EngineStopped(self._stopped))
