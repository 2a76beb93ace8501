"""Does the ledger let in exactly what fits, and get back exactly what it lent?"""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.batching.admission import Ledger
from timbre_server.batching.costs import MeasuredCosts
from timbre_server.errors import Overloaded


def a_ledger(max_pending_seconds: float = 10.0, *, busy_seconds_per_cost: float = 1.0) -> Ledger:
    costs = MeasuredCosts()
    costs.observe([1.0], busy_seconds_per_cost)
    return Ledger(max_pending_seconds, costs)


def test_work_is_admitted_up_to_the_bound() -> None:
    ledger = a_ledger(10.0)
    permits = [ledger.admit(5.0), ledger.admit(5.0)]

    with pytest.raises(Overloaded):
        ledger.admit(0.1)
    assert ledger.pending_seconds == 10.0
    assert len(permits) == 2


def test_an_idle_server_admits_one_request_however_large() -> None:
    ledger = a_ledger(10.0)
    permit = ledger.admit(1000.0)

    with pytest.raises(Overloaded):
        ledger.admit(0.1)
    permit.release()
    assert ledger.admit(2000.0)


def test_a_permit_whose_work_is_done_holds_no_place() -> None:
    ledger = a_ledger(10.0)
    permit = ledger.admit(5.0)
    permit.spend(5.0)

    assert ledger.admit(1000.0)
    assert permit.remaining_seconds == 0.0


def test_no_bound_means_no_bound() -> None:
    ledger = a_ledger(0.0)

    assert [ledger.admit(1e6) for _ in range(10)]


def test_the_refusal_says_when_it_would_fit() -> None:
    ledger = a_ledger(10.0)
    permit = ledger.admit(9.0)
    with pytest.raises(Overloaded) as refused:
        ledger.admit(4.0)

    assert refused.value.retry_after_seconds == pytest.approx(3.0)
    permit.spend(3.0)
    assert ledger.admit(4.0)


def test_who_is_larger_than_the_bound_waits_for_an_idle_server() -> None:
    ledger = a_ledger(10.0)
    permit = ledger.admit(7.0)
    with pytest.raises(Overloaded) as refused:
        ledger.admit(50.0)

    assert refused.value.retry_after_seconds == pytest.approx(7.0)
    permit.release()
    assert ledger.admit(50.0)


def test_a_queue_that_drains_fast_lets_more_in() -> None:
    ledger = a_ledger(10.0, busy_seconds_per_cost=0.1)
    permits = [ledger.admit(10.0) for _ in range(10)]

    assert ledger.pending_seconds == pytest.approx(10.0)
    with pytest.raises(Overloaded) as refused:
        ledger.admit(10.0)
    assert refused.value.retry_after_seconds == pytest.approx(1.0)
    assert len(permits) == 10


def test_a_permit_is_freed_once() -> None:
    ledger = a_ledger()
    kept, freed = ledger.admit(1.0), ledger.admit(2.0)
    freed.release()
    freed.release()
    freed.spend(1.0)

    assert ledger.pending_seconds == 1.0
    assert kept.remaining_seconds == 1.0


def test_a_permit_that_nobody_holds_is_freed() -> None:
    ledger = a_ledger()
    ledger.admit(5.0)
    gc.collect()

    assert ledger.pending_seconds == 0.0


def test_a_permit_shrinks_to_what_is_still_to_do() -> None:
    ledger = a_ledger()
    permit = ledger.admit(5.0)
    permit.keep_at_most(2.0)
    permit.keep_at_most(3.0)

    assert ledger.pending_seconds == 2.0


@given(st.lists(st.tuples(st.floats(0.001, 100.0), st.floats(0.0, 200.0)), max_size=30), st.floats(0.5, 50.0))
def test_nothing_is_lost_or_made_up(requests: list[tuple[float, float]], bound: float) -> None:
    ledger = a_ledger(bound)
    permits = []
    for cost, spent in requests:
        pending_seconds = ledger.pending_seconds
        if pending_seconds > 1e-6 and pending_seconds + cost > bound + 1e-5:
            with pytest.raises(Overloaded) as refused:
                ledger.admit(cost)
            assert 0.0 < refused.value.retry_after_seconds <= pending_seconds
            continue
        if pending_seconds > 1e-6 and pending_seconds + cost > bound - 1e-5:
            continue  # too close to tell by floats
        permit = ledger.admit(cost)
        permits.append(permit)
        permit.spend(spent)
        assert ledger.pending_seconds <= max(bound, cost) + 1e-5
        assert ledger.pending_seconds == pytest.approx(sum(one.remaining_seconds for one in permits), abs=1e-6)
    for permit in permits:
        permit.release()

    assert ledger.pending_seconds == 0.0
