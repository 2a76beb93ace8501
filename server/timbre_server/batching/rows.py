"""A request as a row of sentence jobs: which of them may run now, and what does its reader get next?"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from timbre_server.batching.admission import WorkPermit
from timbre_server.batching.policy import WorkKind
from timbre_server.domain.pcm import Samples
from timbre_server.errors import TimbreError
from timbre_server.ports import Permit, Piece, RowTimings, Utterance

MAX_OPEN_JOBS = 4
"""Jobs of one row that wait or run at once: a batch of 16 then still has room for four long texts."""

MAX_AHEAD_SECONDS = 60.0
"""Audio that a row may hold for a slow reader before its next job opens: 5.8 MB at 24 kHz."""


class SpeechJob:
    """A sentence of a row, a ``policy.Candidate``, with the speech that has come of it so far."""

    kind = WorkKind.SYNTHESIS
    deadline: float | None = None
    """A seam: nobody knows yet when the listener runs out of audio."""

    def __init__(self, row: Row, utterance: Utterance, *, position: int, cost_seconds: float) -> None:
        self.row = row
        self.utterance = utterance
        self.voice = id(utterance.features)
        self.urgent = position == 0
        self.position = position
        self.cost_seconds = cost_seconds
        self.arrived_at = 0.0
        self.chunks: deque[Samples] = deque()
        self.done = False
        self.error: TimbreError | None = None
        self._received = 0
        """Samples that earlier runs of this job have delivered."""
        self._skip = 0
        """Of those, how many this run still has to repeat."""

    @property
    def abandoned(self) -> bool:
        """Whether nobody would hear it any longer; the engine's thread asks as well."""
        return self.row.abandoned_from <= self.position

    def begin(self, now: float) -> None:
        """A batch that holds this job starts; equal input gives equal output, so what was heard is skipped."""
        self._skip = self._received
        self.row.begin(now)

    def receive(self, piece: Piece, now: float) -> None:
        """The engine has made the next piece."""
        if self.done:
            return
        fresh = piece.samples[self._skip :]
        self._skip -= len(piece.samples) - len(fresh)
        self._received += len(fresh)
        self.row.receive(self, fresh, now)
        if piece.last:
            self.done = True
            self.row.end(self)

    def fail(self, error: TimbreError) -> None:
        """The job ends with an error, and what stands behind it in the row is not needed any longer."""
        if not self.done:
            self.error = error
            self.done = True
            self.row.abandoned_from = min(self.row.abandoned_from, self.position + 1)
            self.row.end(self)


class Row:
    """A request at the dispatcher.

    The first job opens at once and travels without its followers, so that the first audio comes early; the
    others open as the engine gets on, a few at a time, and not further ahead of the reader than
    ``MAX_AHEAD_SECONDS``.  A row that waits for its reader holds no place in the queue; once it is read again, it
    pays for each job that opens, and is not refused.  The reader gets the jobs in their order, whatever order they ran in.
    """

    def __init__(
        self,
        jobs: Sequence[tuple[Utterance, float]],
        permit: Permit,
        timings: RowTimings,
        rate_hz: int,
        *,
        finished: Callable[[], None] | None = None,
    ) -> None:
        self.in_engine = False
        """Whether the batch that runs holds a job of this row, abandoned or not: the engine reads its features."""
        self._on_finished = finished
        self._jobs = [
            SpeechJob(self, utterance, position=position, cost_seconds=cost)
            for position, (utterance, cost) in enumerate(jobs)
        ]
        self._permit = permit
        self._timings = timings
        self._max_ahead_samples = MAX_AHEAD_SECONDS * rate_hz
        self._news = asyncio.Event()
        self._opened = 0
        self._ended = 0
        self._all_done_before = 0
        self._started = False
        self._buffered_samples = 0
        self._reading = 0
        self._batch_began_at = 0.0
        self._seconds_before_batch = 0.0
        self.submitted_at = asyncio.get_running_loop().time()
        self.abandoned_from = len(self._jobs)
        """Position of the first job that nobody would hear."""
        if isinstance(permit, WorkPermit):
            permit.keep_at_most(sum(cost for _, cost in jobs))  # an extraction that it paid for is done by now

    @property
    def finished(self) -> bool:
        """Whether the engine has nothing to do for it any longer."""
        while self._all_done_before < self.abandoned_from and self._jobs[self._all_done_before].done:
            self._all_done_before += 1
        return self._all_done_before >= self.abandoned_from

    def leave(self) -> None:
        """Nobody reads any longer."""
        self.abandoned_from = 0
        self._permit.release()

    def close(self) -> None:
        """The engine has nothing to do for it any longer, whatever is still to be read.  Idempotent."""
        self._permit.release()
        if not self.in_engine and self._on_finished is not None:
            tell, self._on_finished = self._on_finished, None
            tell()

    def open_jobs(self, now: float) -> Sequence[SpeechJob]:
        """The jobs that may run from now on and could not before, in order."""
        first = self._opened
        while self._opened < self.abandoned_from and self._may_open():
            self._jobs[self._opened].arrived_at = now
            self._opened += 1
        opened = self._jobs[first : self._opened]
        if opened and isinstance(self._permit, WorkPermit):
            self._permit.keep_at_least(sum(job.cost_seconds for job in self._jobs[: self._opened] if not job.done))
        return opened

    def _may_open(self) -> bool:
        if not self._started:
            return self._opened == 0
        return self._opened - self._ended < MAX_OPEN_JOBS and self._buffered_samples < self._max_ahead_samples

    def begin(self, now: float) -> None:
        """A batch that holds jobs of this row starts."""
        if not self._started:
            self._started = True
            if isinstance(self._permit, WorkPermit):
                self._permit.begin()
            self._timings.queue_seconds = now - self.submitted_at
        if self._batch_began_at != now:
            self._batch_began_at = now
            self._seconds_before_batch = self._timings.synthesis_seconds

    def receive(self, job: SpeechJob, samples: Samples, now: float) -> None:
        """Speech of ``job`` has come."""
        self.pass_time(now)
        if len(samples) and not job.abandoned:
            job.chunks.append(samples)
            self._buffered_samples += len(samples)
            self._news.set()

    def pass_time(self, now: float) -> None:
        """The batch that holds jobs of this row has run until now."""
        self._timings.synthesis_seconds = self._seconds_before_batch + now - self._batch_began_at

    def end(self, job: SpeechJob) -> None:
        """``job`` needs the engine no longer."""
        self._ended += 1
        if isinstance(self._permit, WorkPermit):
            self._permit.spend(job.cost_seconds)
            if self._ended == self._opened and self._buffered_samples >= self._max_ahead_samples:
                self._permit.keep_at_most(0.0)  # its reader may never come back, and the engine would idle for it
        self._news.set()

    def fail(self, error: TimbreError) -> None:
        """Every job that is not done ends with ``error``."""
        unfinished = [job for job in self._jobs[: self.abandoned_from] if not job.done]
        if unfinished:
            unfinished[0].fail(error)

    async def next_samples(self) -> Samples | None:
        """The next stretch of speech, None after the last.  Raises: the error of the job that it would be of."""
        while self._reading < len(self._jobs):
            job = self._jobs[self._reading]
            if job.chunks:
                samples = job.chunks.popleft()
                self._buffered_samples -= len(samples)
                return samples
            if job.error is not None:
                raise job.error
            if job.done:
                self._reading += 1
                continue
            self._news.clear()
            await self._news.wait()
        return None
