"""Pieces never overlap, whatever comes and goes, and memory that is not needed goes back."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from timbre_server.voicecache.slabs import ALIGNMENT, Block, Slabs, SlabsFull, aligned

KIB = 1 << 10
SLAB = 64 * KIB


class CountedMemory:
    """Lends names of buffers, and knows which are out."""

    def __init__(self) -> None:
        self.lent: dict[int, int] = {}
        self.lendings = 0

    def allocate(self, nbytes: int) -> Any:
        self.lendings += 1
        self.lent[self.lendings] = nbytes
        return self.lendings

    def free(self, buffer: Any) -> None:
        del self.lent[buffer]


def slabs(budget_bytes: int, memory: CountedMemory | None = None) -> Slabs:
    return Slabs(memory or CountedMemory(), budget_bytes=budget_bytes, slab_bytes=SLAB)


def moved(held: Slabs) -> int:
    """Does what a storage does with the moves; how many slabs went."""
    before = held.reserved_bytes
    while moves := held.moves():
        for old, _ in moves:
            held.free(old)
    return (before - held.reserved_bytes) // SLAB


def test_a_piece_is_aligned_and_at_least_as_large_as_asked() -> None:
    held = slabs(SLAB)
    for nbytes in (0, 1, ALIGNMENT, ALIGNMENT + 1):
        block = held.allocate(nbytes)
        assert block.offset % ALIGNMENT == 0
        assert block.nbytes == aligned(nbytes) >= nbytes


def test_pieces_of_one_size_fill_a_slab_without_a_rest() -> None:
    held = slabs(SLAB)
    for _ in range(8):
        held.allocate(8 * KIB)
    assert held.used_bytes == held.reserved_bytes == SLAB
    with pytest.raises(SlabsFull):
        held.allocate(1)


@given(st.integers(1, SLAB // 2))
def test_what_shares_say_that_fits_a_budget_fits(nbytes: int) -> None:
    held = slabs(3 * SLAB)
    for _ in range(3 * SLAB // held.share_bytes(nbytes)):
        held.allocate(nbytes)
    held.check_integrity()


def test_more_than_half_a_slab_gets_a_slab_of_its_own_size_that_goes_back_with_it() -> None:
    memory = CountedMemory()
    held = slabs(8 * SLAB, memory)
    held.allocate(1)
    large = held.allocate(3 * SLAB - 5)
    assert sorted(memory.lent.values()) == [SLAB, 3 * SLAB]
    assert held.share_bytes(3 * SLAB - 5) == 3 * SLAB
    held.free(large)
    assert list(memory.lent.values()) == [SLAB]


def test_nothing_small_keeps_a_slab_of_somebody_else_alive() -> None:
    held = slabs(8 * SLAB)
    large = held.allocate(SLAB + 1)
    small = held.allocate(ALIGNMENT)
    assert small.slab is not large.slab


def test_one_empty_slab_is_kept_within_the_budget_and_none_above_it() -> None:
    memory = CountedMemory()
    held = slabs(4 * SLAB, memory)
    blocks = [held.allocate(SLAB // 2) for _ in range(8)]
    for block in blocks:
        held.free(block)
    assert held.reserved_bytes == SLAB
    held.resize(0)
    assert memory.lent == {}


def test_a_spare_makes_way_for_a_large_piece() -> None:
    held = slabs(3 * SLAB)
    held.free(held.allocate(1))
    assert held.reserved_bytes == SLAB
    assert held.allocate(3 * SLAB).nbytes == 3 * SLAB


def test_a_slab_that_empties_above_the_budget_goes_back_at_once() -> None:
    memory = CountedMemory()
    held = slabs(4 * SLAB, memory)
    blocks = [held.allocate(SLAB // 2) for _ in range(8)]
    held.resize(2 * SLAB)
    for block in blocks[:2]:
        held.free(block)
    assert len(memory.lent) == 3
    assert held.excess_bytes == SLAB


def test_above_the_budget_holes_are_filled_but_no_slab_is_opened() -> None:
    held = slabs(2 * SLAB)
    blocks = [held.allocate(SLAB // 4) for _ in range(8)]
    held.resize(SLAB)
    held.free(blocks[0])
    held.allocate(SLAB // 4)
    with pytest.raises(SlabsFull):
        held.allocate(SLAB // 4)


def test_the_last_slab_is_as_small_as_the_budget_wants() -> None:
    held = slabs(SLAB + SLAB // 2 + 100)
    for _ in range(6):
        held.allocate(SLAB // 4)
    assert held.reserved_bytes == SLAB + SLAB // 2
    with pytest.raises(SlabsFull):
        held.allocate(SLAB // 4)


def test_the_fullest_slab_is_filled_first_so_that_others_drain() -> None:
    held = slabs(3 * SLAB)
    blocks = [held.allocate(SLAB // 4) for _ in range(12)]
    for block in (blocks[0], blocks[1], blocks[2], blocks[4]):
        held.free(block)
    assert held.allocate(SLAB // 4).slab is blocks[5].slab


def test_evicting_half_at_random_gives_back_half_after_moves_and_nothing_before() -> None:
    held = slabs(16 * SLAB)
    blocks = [held.allocate(SLAB // 16) for _ in range(256)]
    held.resize(8 * SLAB)
    for block in random.Random(1).sample(blocks, 128):
        held.free(block)
    assert held.reserved_bytes == 16 * SLAB
    assert moved(held) == 8
    assert held.excess_bytes == 0
    held.check_integrity()


def test_a_slab_that_is_being_cleared_takes_nothing_new_and_is_nobodys_spare() -> None:
    held = slabs(2 * SLAB)
    fuller = [held.allocate(SLAB // 4) for _ in range(4)]
    old = held.allocate(SLAB // 4)
    held.free(fuller.pop())
    held.resize(SLAB)
    ((moved_from, moved_to),) = held.moves()
    assert (moved_from, moved_to.slab) == (old, fuller[0].slab)
    with pytest.raises(SlabsFull):
        held.allocate(SLAB // 4)
    held.resize(2 * SLAB)
    held.free(old)
    assert held.reserved_bytes == SLAB
    held.check_integrity()


def test_moves_that_would_not_empty_a_slab_are_not_begun() -> None:
    held = slabs(2 * SLAB)
    for _ in range(2):
        held.allocate(SLAB // 2)
        held.allocate(ALIGNMENT)
    held.resize(SLAB)
    used = held.used_bytes
    assert held.moves() == []
    assert held.used_bytes == used
    held.check_integrity()


def test_moves_that_are_given_up_halfway_leave_no_piece_behind() -> None:
    held = slabs(2 * SLAB)
    fuller = [held.allocate(size * KIB) for size in (12, 8, 4, 8, 4, 8, 4, 16)]
    emptier = [held.allocate(size * KIB) for size in (12, 13, 8, 13, 2, 13, 2, 1)]
    for block in (*fuller[0:8:2], *emptier[1:8:2]):
        held.free(block)
    assert fuller[0].slab is not emptier[0].slab  # with holes enough for it, but only one for its larger pieces
    held.resize(SLAB)
    used = held.used_bytes
    assert held.moves() == []
    assert held.used_bytes == used
    held.check_integrity()


def test_a_backend_without_memory_leaves_the_count_as_it_was() -> None:
    class Exhausted(CountedMemory):
        def allocate(self, nbytes: int) -> Any:
            raise MemoryError

    held = slabs(SLAB, Exhausted())
    with pytest.raises(MemoryError):
        held.allocate(1)
    assert held.reserved_bytes == 0
    held.check_integrity()


class SlabsModel(RuleBasedStateMachine):
    """Against the plainest model: the pieces that live, and that no two share a byte."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = CountedMemory()
        self.budget = 4 * SLAB
        self.slabs = slabs(self.budget, self.memory)
        self.live: list[Block] = []

    @rule(nbytes=st.integers(0, SLAB + SLAB // 2))
    def allocate(self, nbytes: int) -> None:
        before = self.slabs.reserved_bytes
        try:
            self.live.append(self.slabs.allocate(nbytes))
        except SlabsFull:
            assert before + aligned(nbytes) > self.budget - SLAB
        assert self.slabs.reserved_bytes <= max(before, self.budget)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def free(self, data: st.DataObject) -> None:
        self.slabs.free(self.live.pop(data.draw(st.integers(0, len(self.live) - 1))))

    @rule(count=st.integers(0, 5))
    def resize(self, count: int) -> None:
        self.budget = count * SLAB
        self.slabs.resize(self.budget)

    @rule()
    def move(self) -> None:
        before = self.slabs.reserved_bytes
        moves = self.slabs.moves()
        assert len({old.slab for old, _ in moves}) <= 1
        for old, new in moves:
            assert old.nbytes == new.nbytes
            self.slabs.free(old)
            self.live[self.live.index(old)] = new
        assert not moves or self.slabs.reserved_bytes < before

    @invariant()
    def whole(self) -> None:
        self.slabs.check_integrity()
        assert self.slabs.used_bytes == sum(block.nbytes for block in self.live)
        assert self.slabs.reserved_bytes == sum(self.memory.lent.values())
        assert all(block.slab.buffer in self.memory.lent for block in self.live)


TestSlabsModel = SlabsModel.TestCase
TestSlabsModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
