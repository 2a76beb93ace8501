"""Rooms are nobody else's while anything refers to them, whatever else comes and goes, and are lent again afterwards."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.domain.pcm import Array
from timbre_server.voicecache.arena import HUGE_PAGE_BYTES, Arena, HugePages
from timbre_server.voicecache.slabs import ALIGNMENT

KIB = 1 << 10
SLAB = 64 * KIB


def arena(slab_count: int) -> Arena:
    return Arena(HugePages(), capacity_bytes=slab_count * SLAB, slab_bytes=SLAB)


def room(held: Arena, nbytes: int) -> memoryview:
    lent = held.room(nbytes)
    assert lent is not None
    return lent


def test_a_room_has_the_size_that_was_asked_for_and_can_be_written() -> None:
    held = arena(1)
    for nbytes in (0, 1, 5 * KIB + 3):
        lent = room(held, nbytes)
        lent[:] = bytes(range(256)) * (nbytes // 256) + bytes(nbytes % 256)
        assert (lent.nbytes, lent.readonly) == (nbytes, False)


def test_an_array_that_lies_where_the_owner_of_an_ended_room_lay_is_in_no_room() -> None:
    held = arena(1)
    array = np.frombuffer(room(held, KIB), np.uint8)
    assert held.shared_room_bytes([array]) == KIB
    del array
    foreign = np.zeros(KIB, np.uint8)
    ((_, ended),) = held._rooms.items()  # it is cleared away with the next room
    held._rooms[id(foreign)] = ended  # the interpreter gives ids again
    assert held.shared_room_bytes([foreign[:8]]) is None


def test_a_full_arena_lends_nothing_until_a_room_ends() -> None:
    held = arena(1)
    rooms = [room(held, 16 * KIB) for _ in range(4)]
    assert held.room(1) is None
    rooms.pop()
    assert held.room(16 * KIB) is not None
    held.check_integrity()


@pytest.mark.parametrize(
    "seen",
    [
        lambda lent: lent[10:20],
        lambda lent: lent.toreadonly()[10:20],
        lambda lent: np.frombuffer(lent, np.uint8)[10:20],
        lambda lent: np.frombuffer(lent[8:], np.float32).reshape(2, -1)[1:],
        lambda lent: np.ndarray((4, 4), np.float32, lent.toreadonly(), 8).T[1:],
        lambda lent: np.asarray(lent)[::2].view(np.ndarray)[3:],
    ],
    ids=["slice", "read-only", "array", "reshaped", "ndarray", "strided"],
)
def test_any_view_however_derived_keeps_its_room(seen: Callable[[memoryview], memoryview | Array]) -> None:
    held = arena(1)
    lent = room(held, SLAB)
    lent[:] = bytes([7]) * SLAB
    view = seen(lent)
    before = bytes(view)
    del lent
    assert held.room(1) is None
    assert bytes(view) == before
    del view
    assert held.room(SLAB) is not None


def test_a_room_in_a_cycle_ends_when_the_collector_finds_it() -> None:
    held = arena(1)
    cycle: list[object] = [room(held, SLAB)]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert held.room(SLAB) is not None


def test_arrays_of_one_room_are_known_and_others_are_not() -> None:
    held = arena(1)
    lent, other = room(held, 5 * KIB), room(held, KIB)
    arrays = [np.frombuffer(lent, np.float32, 10), np.frombuffer(lent, np.int64, 10, 1024).reshape(2, 5)]
    assert held.shared_room_bytes(arrays) == held.share_bytes(5 * KIB)
    assert held.shared_room_bytes([*arrays, np.frombuffer(other, np.uint8)]) is None
    assert held.shared_room_bytes([*arrays, np.zeros(3)]) is None
    assert held.shared_room_bytes([np.frombuffer(bytes(8), np.uint8), np.zeros(6)[2:]]) is None
    assert held.shared_room_bytes([]) is None


def test_a_smaller_budget_gives_slabs_back_as_their_rooms_end() -> None:
    held = arena(3)
    rooms = [room(held, SLAB // 2) for _ in range(6)]
    held.resize(SLAB)
    assert held.reserved_bytes == 3 * SLAB
    del rooms[:4]
    held.check_integrity()
    assert held.reserved_bytes == SLAB
    assert held.room(SLAB // 2) is None


def test_memory_begins_at_a_huge_page_and_holds_what_was_asked_for() -> None:
    for nbytes in (1, 3 * HUGE_PAGE_BYTES + 5):
        memory = HugePages().allocate(nbytes)
        assert memory.nbytes == nbytes
        assert memory.ctypes.data % HUGE_PAGE_BYTES == 0
        memory[:] = 1


def test_memory_that_the_machine_does_not_have_is_an_error_that_the_arena_knows() -> None:
    endless = 1 << 60
    with pytest.raises(MemoryError):
        HugePages().allocate(endless)
    assert Arena(HugePages(), capacity_bytes=endless, slab_bytes=endless).room(1) is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, SLAB // 2)), max_size=40))
def test_rooms_keep_what_was_written_into_them(steps: list[tuple[bool, int]]) -> None:
    held = arena(2)
    rooms: list[tuple[int, memoryview]] = []
    for number, (ends, nbytes) in enumerate(steps):
        if ends and rooms:
            rooms.pop(nbytes % len(rooms))
        elif (lent := held.room(nbytes)) is not None:
            lent[:] = bytes([number]) * nbytes
            rooms.append((number, lent))
        for mark, lent in rooms:
            assert bytes(lent) == bytes([mark]) * len(lent)
    held.check_integrity()
    assert held.reserved_bytes <= 2 * SLAB


def test_threads_never_share_a_room() -> None:
    held = arena(2)
    wrong: list[int] = []

    def use(mark: int) -> None:
        for _ in range(400):
            lent = held.room(8 * KIB - ALIGNMENT)
            if lent is not None:
                lent[:] = bytes([mark]) * len(lent)
                if bytes(lent) != bytes([mark]) * len(lent):
                    wrong.append(mark)

    threads = [threading.Thread(target=use, args=(mark,)) for mark in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    held.check_integrity()
