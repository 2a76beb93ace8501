"""The order in which entries go: unmarked ones first, from the oldest, never one in use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.sieve import MAX_MARKS, Queued, SieveQueue


def a_queue(*marks: int) -> tuple[SieveQueue[Queued], list[Queued]]:
    """Entries from the oldest to the newest, with so many marks."""
    queue: SieveQueue[Queued] = SieveQueue()
    entries = [Queued(10) for _ in marks]
    for entry, count in zip(entries, marks, strict=True):
        entry.marks = count
        queue.add(entry)
    return queue, entries


def evicted(queue: SieveQueue[Queued]) -> Queued | None:
    victim = queue.victim()
    if victim is not None:
        queue.remove(victim)
    return victim


def test_the_oldest_goes_first_where_none_was_asked_for_again() -> None:
    queue, entries = a_queue(0, 0, 0)
    assert [evicted(queue) for _ in range(4)] == [*entries, None]


def test_a_marked_entry_is_passed_over_and_loses_a_mark() -> None:
    queue, (marked, plain) = a_queue(1, 0)
    assert evicted(queue) is plain
    assert marked.marks == 0
    assert evicted(queue) is marked


def test_two_marks_outlast_one() -> None:
    queue, (twice, once) = a_queue(2, 1)
    assert [evicted(queue), evicted(queue)] == [once, twice]


def test_the_hand_goes_on_from_where_it_was() -> None:
    queue, (oldest, second, third) = a_queue(1, 0, 0)
    assert evicted(queue) is second
    oldest.marks = 0
    assert evicted(queue) is third


def test_entries_that_come_while_the_hand_is_on_its_way_are_not_taken_before_older_ones() -> None:
    queue, (_, second, third) = a_queue(1, 0, 0)
    assert evicted(queue) is second
    newcomer = Queued(10)
    queue.add(newcomer)
    assert evicted(queue) is third


def test_an_entry_in_use_is_passed_over_and_keeps_its_marks() -> None:
    queue, (used, plain) = a_queue(2, 0)
    used.users = 1
    assert evicted(queue) is plain
    assert evicted(queue) is None
    assert used.marks == 2


def test_even_if_all_are_marked_one_goes() -> None:
    queue, entries = a_queue(*[MAX_MARKS] * 5)
    assert evicted(queue) is entries[0]


def test_an_empty_queue_has_no_victim() -> None:
    assert evicted(a_queue()[0]) is None


def test_removing_what_the_hand_points_at_moves_the_hand_on() -> None:
    queue, (first, second, third) = a_queue(0, 0, 0)
    assert queue.victim() is first
    queue.remove(first)
    assert queue.victim() is second
    queue.remove(third)
    assert evicted(queue) is second


@given(st.lists(st.tuples(st.sampled_from(["add", "remove", "victim", "mark", "use"]), st.integers(0, 20))))
def test_whatever_happens_the_ring_holds_what_was_added_and_not_removed(steps: list[tuple[str, int]]) -> None:
    queue: SieveQueue[Queued] = SieveQueue()
    inside: list[Queued] = []
    for step, number in steps:
        if step == "add":
            entry = Queued(number)
            queue.add(entry)
            inside.append(entry)
        elif step == "victim":
            victim = queue.victim()
            assert (victim is None) == all(entry.users for entry in inside)
            assert victim is None or (not victim.users and victim.marks == 0)
        elif inside:
            entry = inside[number % len(inside)]
            if step == "remove":
                queue.remove(entry)
                inside.remove(entry)
            elif step == "mark":
                entry.marks = min(MAX_MARKS, entry.marks + 1)
            else:
                entry.users = 1 - entry.users
        assert list(queue) == inside
        assert len(queue) == len(inside)
        assert queue.size_bytes == sum(entry.size_bytes for entry in inside)


def test_a_scan_leaves_regulars_alone_that_lru_would_lose() -> None:
    queue, regulars = a_queue(1, 1, 1)
    for _ in range(30):
        queue.add(Queued(10))
        gone = evicted(queue)
        assert gone not in regulars
        for regular in regulars:
            regular.marks = 1


@pytest.mark.parametrize("length", [1, 2, 50])
def test_the_search_ends_where_everything_is_in_use(length: int) -> None:
    queue, entries = a_queue(*[1] * length)
    for entry in entries:
        entry.users = 1
    assert queue.victim() is None
