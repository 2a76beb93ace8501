"""Does a row open its jobs in time, hand their speech out in order, and account for both?"""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tests.server.engine.speech import an_utterance
from tests.virtual_time import in_virtual_time
from timbre_server.batching.admission import Ledger
from timbre_server.batching.costs import MeasuredCosts
from timbre_server.batching.rows import MAX_OPEN_JOBS, Row, SpeechJob
from timbre_server.domain.pcm import Samples
from timbre_server.engine.stub import StubEngine
from timbre_server.errors import EngineError
from timbre_server.ports import Piece, RowTimings


class ARow(Row):
    """A row of that many jobs of 1 s of cost at a rate of 10 Hz, with what it lent and what it measured."""

    def __init__(self, jobs: int, *, paid_seconds: float | None = None) -> None:
        self.ledger = Ledger(0.0, MeasuredCosts())
        self.timings = RowTimings()
        utterance = an_utterance(StubEngine(), "Hello.")
        permit = self.ledger.admit(float(jobs) if paid_seconds is None else paid_seconds)
        super().__init__([(utterance, 1.0)] * jobs, permit, self.timings, rate_hz=10)

    async def read(self, count: int) -> list[float]:
        """The first sample of each of the next stretches."""
        read = [await self.next_samples() for _ in range(count)]
        return [float(samples[0]) for samples in read if samples is not None]


def a_piece(value: float, *, last: bool = True, length: int = 1) -> Piece:
    return Piece(0, np.full(length, value, np.float32), last)


@in_virtual_time
async def test_the_first_job_opens_alone_and_the_next_ones_with_its_batch() -> None:
    row = ARow(6)
    (first,) = row.open_jobs(1.0)
    assert row.open_jobs(2.0) == []
    first.begin(3.0)
    followers = row.open_jobs(3.0)

    assert first.urgent
    assert first.arrived_at == 1.0
    assert [job.position for job in followers] == list(range(1, MAX_OPEN_JOBS))
    assert not any(job.urgent for job in followers)
    assert {job.arrived_at for job in followers} == {3.0}


@in_virtual_time
async def test_a_job_opens_for_each_that_ends() -> None:
    row = ARow(8)
    jobs = started(row)
    jobs[2].receive(a_piece(2.0), 1.0)

    assert [job.position for job in row.open_jobs(1.0)] == [MAX_OPEN_JOBS]
    assert row.open_jobs(1.0) == []


@in_virtual_time
async def test_no_job_opens_while_a_minute_of_speech_is_unread() -> None:
    row = ARow(8)
    jobs = started(row)
    jobs[0].receive(a_piece(0.0, length=600), 1.0)
    assert row.open_jobs(1.0) == []
    await row.next_samples()

    assert len(row.open_jobs(2.0)) == 1


@in_virtual_time
async def test_a_row_that_waits_for_its_reader_holds_no_place_and_pays_again_for_what_opens() -> None:
    row = ARow(8)
    jobs = started(row)
    for job in jobs[:-1]:
        job.receive(a_piece(0.0, length=300), 1.0)
    assert row.ledger.pending_seconds == 5.0
    jobs[-1].receive(a_piece(0.0, length=300), 1.0)
    assert row.open_jobs(1.0) == []
    assert row.ledger.pending_seconds == 0.0

    await row.read(3)
    reopened = row.open_jobs(2.0)
    assert len(reopened) == MAX_OPEN_JOBS
    assert row.ledger.pending_seconds == MAX_OPEN_JOBS
    reopened[0].receive(a_piece(0.0), 3.0)
    assert row.ledger.pending_seconds == MAX_OPEN_JOBS - 1
    row.leave()
    assert row.ledger.pending_seconds == 0.0


@in_virtual_time
async def test_the_reader_gets_the_jobs_in_order_whatever_order_they_end_in() -> None:
    row = ARow(3)
    jobs = started(row)
    for position in (2, 0, 1):
        jobs[position].receive(a_piece(10.0 * position, last=False), 1.0)
        jobs[position].receive(a_piece(10.0 * position + 1.0), 1.0)

    assert await row.read(7) == [0.0, 1.0, 10.0, 11.0, 20.0, 21.0]


@in_virtual_time
async def test_an_empty_piece_is_not_handed_out() -> None:
    row = ARow(1)
    (job,) = started(row)
    job.receive(a_piece(1.0, last=False), 1.0)
    job.receive(a_piece(0.0, length=0), 1.0)

    assert await row.read(2) == [1.0]


@in_virtual_time
async def test_what_comes_after_the_last_piece_is_not_handed_out() -> None:
    row = ARow(2)
    first, second = started(row)
    first.receive(a_piece(1.0), 1.0)
    first.receive(a_piece(2.0), 1.0)

    assert not row.finished
    second.receive(a_piece(3.0), 1.0)
    assert await row.read(3) == [1.0, 3.0]


@in_virtual_time
async def test_a_second_run_repeats_nothing_that_was_received() -> None:
    row = ARow(1)
    (job,) = started(row)
    whole = np.arange(10, dtype=np.float32)
    for part in (whole[:4], whole[4:6]):
        job.receive(Piece(0, part, last=False), 1.0)
    job.begin(2.0)
    for part, last in ((whole[:3], False), (whole[3:8], False), (whole[8:], True)):
        job.receive(Piece(0, part, last), 3.0)

    assert np.array_equal(await read_all(row), whole)


@in_virtual_time
async def test_a_failure_comes_after_the_speech_before_it() -> None:
    row = ARow(3)
    jobs = started(row)
    jobs[1].receive(a_piece(1.0, last=False), 1.0)
    jobs[1].fail(EngineError("broken"))
    jobs[0].receive(a_piece(0.0), 2.0)

    assert await row.read(2) == [0.0, 1.0]
    with pytest.raises(EngineError, match="broken"):
        await row.next_samples()
    assert row.finished
    assert jobs[2].abandoned


@in_virtual_time
async def test_a_row_with_a_failed_job_is_not_finished_before_its_predecessors_are() -> None:
    row = ARow(4)
    jobs = started(row)
    jobs[2].receive(a_piece(2.0), 1.0)
    jobs[3].receive(a_piece(3.0), 1.0)
    jobs[1].fail(EngineError("broken"))
    assert not row.finished
    jobs[0].receive(a_piece(0.0), 1.0)

    assert row.finished


@in_virtual_time
async def test_who_leaves_abandons_every_job_and_the_permit() -> None:
    row = ARow(4)
    jobs = started(row)
    row.leave()

    assert all(job.abandoned for job in jobs)
    assert row.finished
    assert row.ledger.pending_seconds == 0.0
    assert row.open_jobs(5.0) == []


@in_virtual_time
async def test_the_permit_shrinks_with_each_job_that_ends() -> None:
    row = ARow(3, paid_seconds=10.0)
    pending = [row.ledger.pending_seconds]
    for job in started(row):
        job.receive(a_piece(0.0), 1.0)
        pending.append(row.ledger.pending_seconds)

    assert pending == [3.0, 2.0, 1.0, 0.0]


@in_virtual_time
async def test_the_timings_add_up_over_batches_while_they_run() -> None:
    await asyncio.sleep(5.0)
    row = ARow(2)
    first, second = started(row, now=7.0)
    first.receive(a_piece(0.0), 8.0)
    assert row.timings == RowTimings(queue_seconds=2.0, synthesis_seconds=1.0)
    row.pass_time(9.0)
    second.begin(20.0)
    second.receive(a_piece(0.0), 23.0)

    assert row.timings == RowTimings(queue_seconds=2.0, synthesis_seconds=5.0)


def started(row: Row, *, now: float = 0.0) -> list[SpeechJob]:
    """The open jobs of a row whose first job's batch starts."""
    (first,) = row.open_jobs(now)
    first.begin(now)
    return [first, *row.open_jobs(now)]


async def read_all(row: Row) -> Samples:
    parts = []
    while (samples := await row.next_samples()) is not None:
        parts.append(samples)
    return np.concatenate(parts)
