"""Is every decision about the next batch legal, fair and complete, whatever waits?"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.batching.policy import Batch, Limits, WorkKind, next_batch


@dataclass(frozen=True, eq=False)
class AJob:
    """A job that has a name."""

    name: str = "job"
    kind: WorkKind = WorkKind.SYNTHESIS
    row: int = 0
    voice: int = 0
    cost_seconds: float = 1.0
    arrived_at: float = 0.0
    urgent: bool = True
    deadline: float | None = None


def names(batch: Batch[AJob]) -> list[str]:
    return [job.name for job in batch.jobs]


seconds = st.floats(0.0, 100.0)
limit_sets = st.builds(
    Limits,
    max_batch_size=st.integers(1, 8),
    max_batch_cost_seconds=st.sampled_from([0.0, 0.5, 3.0, 10.0]),
    max_queue_delay_seconds=st.sampled_from([0.0, 0.0, 0.5]),
    max_cross_voice_batch=st.integers(1, 4),
    max_encode_batch=st.integers(1, 4),
    patience_seconds=st.sampled_from([0.0, 1.0, 10.0]),
)


@st.composite
def queues(draw: st.DrawFn) -> list[AJob]:
    """What may wait: rows of speech in one voice each, whose first job alone is urgent, and extractions."""
    jobs: list[AJob] = []
    for row in range(draw(st.integers(0, 8))):
        if draw(st.booleans()):
            jobs.append(AJob("voice", WorkKind.EXTRACTION, row, row, draw(seconds), draw(seconds)))
            continue
        voice, began_at = draw(st.integers(0, 3)), draw(st.integers(0, 1))
        jobs.extend(
            AJob(f"{row}.{position}", WorkKind.SYNTHESIS, row, voice, draw(seconds), draw(seconds), position == 0,
                 draw(st.none() | seconds))
            for position in range(began_at, began_at + draw(st.integers(1, 5)))
        )  # fmt: skip
    places = draw(st.permutations([job.row for job in jobs]))
    rows = {row: [job for job in jobs if job.row == row] for row in set(places)}
    return [rows[row].pop(0) for row in places]


@given(queues(), limit_sets, seconds)
def test_a_batch_holds_waiting_jobs_once_and_of_one_kind(waiting: list[AJob], limits: Limits, now: float) -> None:
    batch = next_batch(waiting, limits, now)

    assert len(set(batch.jobs)) == len(batch.jobs)
    assert set(batch.jobs) <= set(waiting)
    assert len({job.kind for job in batch.jobs}) <= 1


@given(queues(), limit_sets, seconds)
def test_every_limit_is_kept(waiting: list[AJob], limits: Limits, now: float) -> None:
    jobs = next_batch(waiting, limits, now).jobs
    speech = [job for job in jobs if job.kind is WorkKind.SYNTHESIS]

    assert len(speech) <= limits.max_batch_size
    assert len(jobs) - len(speech) <= limits.max_encode_batch
    assert len({job.voice for job in speech}) <= limits.max_cross_voice_batch
    if limits.max_batch_cost_seconds and len(jobs) > 1:
        assert sum(job.cost_seconds for job in jobs) <= limits.max_batch_cost_seconds


@given(queues(), limit_sets, seconds)
def test_jobs_of_a_row_leave_in_the_order_in_which_they_wait(waiting: list[AJob], limits: Limits, now: float) -> None:
    for row in {job.row for job in waiting}:
        mine = [job for job in waiting if job.row == row]
        taken = [job for job in next_batch(waiting, limits, now).jobs if job.row == row]

        assert taken == mine[: len(taken)]


@given(queues(), limit_sets, seconds)
def test_the_engine_never_idles_while_jobs_wait_longer_than_the_delay(
    waiting: list[AJob], limits: Limits, now: float
) -> None:
    batch = next_batch(waiting, limits, now)

    if not waiting:
        assert batch == Batch()
    elif not batch.jobs:
        assert batch.wake_at is not None
        assert now < batch.wake_at <= min(job.arrived_at for job in waiting) + limits.max_queue_delay_seconds
        assert next_batch(waiting, limits, batch.wake_at).jobs


@given(queues(), limit_sets)
def test_all_that_waits_runs_exactly_once(waiting: list[AJob], limits: Limits) -> None:
    left, ran = list(waiting), []
    while left:
        batch = next_batch(left, limits, now=1000.0)
        assert batch.jobs
        ran.extend(batch.jobs)
        left = [job for job in left if job not in batch.jobs]

    assert sorted(map(id, ran)) == sorted(map(id, waiting))


@given(queues(), limit_sets)
def test_the_job_that_is_due_first_always_leaves(waiting: list[AJob], limits: Limits) -> None:
    urgent = [job for job in waiting if job.urgent]
    if urgent and all(job.urgent or job.deadline is None for job in waiting):
        oldest = min(urgent, key=lambda job: job.arrived_at)
        later = [job for job in waiting if not job.urgent]
        if all(oldest.arrived_at < job.arrived_at + limits.patience_seconds for job in later):
            chosen = next_batch(waiting, limits, now=1000.0).jobs[0]

            assert chosen.arrived_at == oldest.arrived_at
            assert chosen.urgent


@given(
    size=st.integers(1, 4),
    patience_seconds=st.sampled_from([0.0, 1.0, 5.0]),
    kind=st.sampled_from(list(WorkKind)),
    urgent=st.booleans(),
)
def test_no_job_starves_under_a_flood_of_urgent_ones(
    *, size: int, patience_seconds: float, kind: WorkKind, urgent: bool
) -> None:
    """Each second one batch runs and as many urgent jobs arrive as it holds, in other voices and of the other kind."""
    limits = Limits(max_batch_size=size, max_encode_batch=size, patience_seconds=patience_seconds)
    patient = AJob("patient", kind, row=-1, voice=-1, urgent=urgent or kind is WorkKind.EXTRACTION)
    other = next(word for word in WorkKind if word is not kind)
    waiting = [patient, *(AJob("ahead", other, row=-2 - number, voice=7) for number in range(size))]
    for now in range(30):
        batch = next_batch(waiting, limits, float(now))
        if patient in batch.jobs:
            break
        waiting = [job for job in waiting if job not in batch.jobs]
        waiting += [
            AJob("flood", (other, kind)[number % 2], row=100 * now + number, arrived_at=now + 0.5)
            for number in range(size)
        ]
    else:
        pytest.fail("the patient job never ran")

    due_at = 0.0 if patient.urgent else patience_seconds
    assert now <= 2 * (due_at + 2)


def test_without_a_delay_a_single_job_leaves_at_once() -> None:
    assert names(next_batch([AJob("only", arrived_at=5.0)], Limits(), now=5.0)) == ["only"]


def test_a_batch_that_could_hold_more_waits_for_the_delay() -> None:
    batch = next_batch([AJob(arrived_at=5.0)], Limits(max_queue_delay_seconds=0.1), now=5.05)

    assert batch == Batch((), wake_at=5.1)


def test_a_full_batch_leaves_before_the_delay_is_over() -> None:
    limits = Limits(max_batch_size=2, max_queue_delay_seconds=10.0)

    assert len(next_batch([AJob(row=1), AJob(row=2)], limits, now=0.0).jobs) == 2


def test_a_batch_that_left_somebody_behind_does_not_wait() -> None:
    limits = Limits(max_cross_voice_batch=1, max_queue_delay_seconds=10.0)

    assert len(next_batch([AJob(row=1, voice=1), AJob(row=2, voice=2)], limits, now=0.0).jobs) == 1


def test_an_extraction_never_waits_for_company() -> None:
    limits = Limits(max_encode_batch=4, max_queue_delay_seconds=10.0)

    assert next_batch([AJob(kind=WorkKind.EXTRACTION)], limits, now=0.0).jobs


def test_urgent_jobs_overtake_patient_ones_that_are_not_older_than_the_patience() -> None:
    limits = Limits(max_batch_size=1, patience_seconds=1.0)
    patient = AJob("patient", row=1, arrived_at=10.0, urgent=False)

    assert names(next_batch([patient, AJob("new", row=2, arrived_at=10.9)], limits, now=12.0)) == ["new"]
    assert names(next_batch([patient, AJob("newer", row=2, arrived_at=11.1)], limits, now=12.0)) == ["patient"]


def test_a_deadline_replaces_the_patience() -> None:
    limits = Limits(max_batch_size=1, patience_seconds=1.0)
    starving = AJob("starving", row=1, arrived_at=10.0, urgent=False, deadline=10.1)

    assert names(next_batch([AJob("new", row=2, arrived_at=10.5), starving], limits, now=12.0)) == ["starving"]
    served = replace(starving, name="served", deadline=30.0)
    assert names(next_batch([AJob("new", row=2, arrived_at=11.5), served], limits, now=12.0)) == ["new"]


def test_a_job_beyond_the_cost_limit_runs_alone() -> None:
    limits = Limits(max_batch_cost_seconds=2.0)

    assert names(next_batch([AJob("huge", row=1, cost_seconds=9.0), AJob(row=2)], limits, now=0.0)) == ["huge"]


def test_a_small_job_fills_what_a_large_one_leaves() -> None:
    limits = Limits(max_batch_cost_seconds=2.0)
    waiting = [AJob("first", row=1), AJob("large", row=2, cost_seconds=5.0), AJob("small", row=3)]

    assert names(next_batch(waiting, limits, now=0.0)) == ["first", "small"]


def test_a_sentence_does_not_overtake_its_predecessor_that_does_not_fit() -> None:
    limits = Limits(max_batch_cost_seconds=2.0)
    waiting = [AJob("first", row=1), AJob("large", row=2, cost_seconds=5.0), AJob("its follower", row=2, urgent=False)]

    assert names(next_batch(waiting, limits, now=0.0)) == ["first"]


def test_the_cost_model_says_what_a_batch_costs() -> None:
    limits = Limits(max_batch_cost_seconds=2.0)
    waiting = [AJob(row=number, cost_seconds=1.5) for number in range(4)]

    assert len(next_batch(waiting, limits, 0.0, predicted_seconds=max).jobs) == 4


def test_jobs_of_one_voice_count_as_one_voice() -> None:
    by_voice: dict[int, int] = defaultdict(int)
    waiting = [AJob(row=number, voice=number % 4) for number in range(12)]
    for job in next_batch(waiting, Limits(max_cross_voice_batch=2), now=0.0).jobs:
        by_voice[job.voice] += 1

    assert by_voice == {0: 3, 1: 3}
