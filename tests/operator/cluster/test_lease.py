"""The Lease: one operator at a time, and none that thinks so wrongly."""

from __future__ import annotations

import asyncio
import contextlib

from tests.operator.cluster.leases import LeaseInMemory, a_candidate
from tests.virtual_time import VirtualTimeLoop, in_virtual_time
from timbre_operator.cluster.lease import LEASE_SECONDS, RENEW_SECONDS, RETRY_SECONDS, Lease


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _killed(task: asyncio.Task[None]) -> None:
    """As by SIGKILL: nothing is given back."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _leading(store: LeaseInMemory, identity: str) -> tuple[Lease, asyncio.Task[None]]:
    lease = a_candidate(store, identity)
    await lease.acquire()
    return lease, asyncio.create_task(lease.keep())


@in_virtual_time
async def test_the_first_one_leads_at_once() -> None:
    store = LeaseInMemory()
    lease = a_candidate(store, "a")
    assert not lease.held()
    await lease.acquire()
    assert lease.held()
    assert store.holder == "a"
    assert _now() < 1


@in_virtual_time
async def test_while_the_leader_lives_nobody_else_leads() -> None:
    store = LeaseInMemory()
    first, keeping = await _leading(store, "a")
    waiting = asyncio.create_task(a_candidate(store, "b").acquire())
    await asyncio.sleep(600)
    assert not waiting.done()
    assert first.held()
    await _killed(waiting)
    await _killed(keeping)


@in_virtual_time
async def test_after_the_leaders_death_the_other_one_leads_within_twenty_seconds_and_not_before_the_lease_ends() -> (
    None
):
    store = LeaseInMemory()
    _, keeping = await _leading(store, "a")
    other = a_candidate(store, "b")
    waiting = asyncio.create_task(other.acquire())
    await asyncio.sleep(60)
    died = _now()
    await _killed(keeping)
    await waiting
    assert other.held()
    assert LEASE_SECONDS - RETRY_SECONDS * 1.2 <= _now() - died < 20
    assert store.lease is not None
    assert store.lease["spec"]["leaseTransitions"] == 1


@in_virtual_time
async def test_a_lease_that_was_given_back_is_taken_at_once() -> None:
    store = LeaseInMemory()
    first, keeping = await _leading(store, "a")
    waiting = asyncio.create_task(a_candidate(store, "b").acquire())
    await asyncio.sleep(10)
    await _killed(keeping)
    await first.release()
    assert not first.held()
    gone = _now()
    await waiting
    assert _now() - gone < RETRY_SECONDS * 1.2 + 0.1


async def _stopped_in_its_renewal(store: LeaseInMemory, lease: Lease, keeping: asyncio.Task[None]) -> None:
    """As by SIGTERM while the API server has the renewal already and has not answered it."""
    store.seconds = 0.5
    renewal = 0.75  # the read took half a second, the write is half done
    await asyncio.sleep(RETRY_SECONDS + renewal)
    await _killed(keeping)
    await lease.release()


@in_virtual_time
async def test_a_renewal_on_its_way_does_not_keep_a_lease_from_being_given_back() -> None:
    store = LeaseInMemory()
    lease, keeping = await _leading(store, "a")
    await _stopped_in_its_renewal(store, lease, keeping)
    assert store.holder == ""
    await asyncio.sleep(60)
    assert store.holder == ""


@in_virtual_time
async def test_a_renewal_whose_answer_was_lost_does_not_either() -> None:
    store = LeaseInMemory()
    lease, keeping = await _leading(store, "a")
    store.loses_answers = True
    await asyncio.sleep(RETRY_SECONDS + 1)
    store.loses_answers = False
    await _killed(keeping)
    await lease.release()
    assert store.holder == ""


@in_virtual_time
async def test_one_that_is_stopped_as_it_takes_the_lease_gives_it_back() -> None:
    store = LeaseInMemory()
    first, keeping = await _leading(store, "a")
    await _killed(keeping)
    await first.release()
    store.seconds = 0.5
    second = a_candidate(store, "b")
    taking = asyncio.create_task(second.acquire())
    await asyncio.sleep(0.75)
    await _killed(taking)
    await second.release()
    assert store.holder == ""


@in_virtual_time
async def test_a_lease_that_another_one_took_meanwhile_is_left_to_it() -> None:
    store = LeaseInMemory()
    lease, keeping = await _leading(store, "a")
    await _killed(keeping)
    assert store.lease is not None
    await store.replace(store.lease, {**store.lease["spec"], "holderIdentity": "b"})
    await lease.release()
    assert store.holder == "b"


@in_virtual_time
async def test_a_leader_whose_requests_fail_gives_up_before_another_one_may_begin() -> None:
    store = LeaseInMemory()
    lease, keeping = await _leading(store, "a")
    await asyncio.sleep(60)
    store.away = True
    last = _now()
    await keeping
    assert not lease.held()
    assert RENEW_SECONDS - RETRY_SECONDS * 1.2 <= _now() - last <= RENEW_SECONDS


@in_virtual_time
async def test_a_leader_whose_requests_hang_gives_up_in_time_too() -> None:
    store = LeaseInMemory()
    lease, keeping = await _leading(store, "a")
    store.hangs = True
    began = _now()
    await keeping
    assert not lease.held()
    assert _now() - began <= RENEW_SECONDS


@in_virtual_time
async def test_a_leaders_time_counts_from_before_it_asked() -> None:
    """Another one counts from when it saw the change, which may be before the leader has its answer."""
    store = LeaseInMemory()
    store.seconds = 1.5
    lease = a_candidate(store, "a")
    began = _now()
    await lease.acquire()
    assert _now() - began == 3.0  # read and write
    await asyncio.sleep(RENEW_SECONDS - 3.0)
    assert not lease.held()


@in_virtual_time
async def test_a_short_outage_costs_no_leadership() -> None:
    store = LeaseInMemory()
    lease, keeping = await _leading(store, "a")
    store.away = True
    await asyncio.sleep(6)
    store.away = False
    await asyncio.sleep(60)
    assert lease.held()
    await _killed(keeping)


@in_virtual_time
async def test_a_leader_that_slept_through_its_time_may_not_write_and_ends() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    store = LeaseInMemory()
    lease, keeping = await _leading(store, "a")
    loop.jump(LEASE_SECONDS + 1)
    assert not lease.held()
    await keeping


@in_virtual_time
async def test_a_lease_that_somebody_took_is_lost_at_once() -> None:
    store = LeaseInMemory()
    lease, keeping = await _leading(store, "a")
    assert store.lease is not None
    await store.replace(store.lease, {**store.lease["spec"], "holderIdentity": "b"})
    began = _now()
    await keeping
    assert not lease.held()
    assert _now() - began < RETRY_SECONDS * 1.2 + 0.1


@in_virtual_time
async def test_of_two_that_come_together_one_leads() -> None:
    store = LeaseInMemory()
    candidates = [a_candidate(store, name) for name in "ab"]
    waiting = [asyncio.create_task(candidate.acquire()) for candidate in candidates]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(1)
    assert sum(candidate.held() for candidate in candidates) == 1
    for task in waiting:
        await _killed(task)


@in_virtual_time
async def test_the_times_of_another_machine_do_not_count() -> None:
    """Its clock may be wrong by hours: only whether the Lease changes is looked at."""
    store = LeaseInMemory()
    store.lease = {
        "metadata": {"resourceVersion": "1"},
        "spec": {"holderIdentity": "z", "leaseDurationSeconds": 15, "renewTime": "1999-01-01T00:00:00.000000Z"},
    }
    began = _now()
    await a_candidate(store, "a").acquire()
    assert _now() - began >= LEASE_SECONDS


@in_virtual_time
async def test_a_lost_lease_is_not_given_back() -> None:
    store = LeaseInMemory()
    lease, keeping = await _leading(store, "a")
    store.away = True
    await keeping
    store.away = False
    writes = store.writes
    await lease.release()
    assert store.writes == writes


@in_virtual_time
async def test_a_lease_that_cannot_be_given_back_ends_by_itself() -> None:
    store = LeaseInMemory()
    lease, keeping = await _leading(store, "a")
    await _killed(keeping)
    store.away = True
    await lease.release()
    assert not lease.held()
    assert store.holder == "a"
