"""Which bytes of which slab belong to whom?  Arithmetic only: the memory itself is lent by a backend in large pieces.

Why slabs: memory goes back to a device in whole segments.  Thousands of small allocations leave a hole in every
segment, and evicting half of them gives back nothing.  Here pieces fill the fullest slab first, an empty slab goes
back at once when over budget, and ``moves`` says how the emptiest slab can be cleared into the holes of the others.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any, Final, Protocol

ALIGNMENT: Final = 256
"""Where a piece may begin, in bytes: CUDA aligns its allocations so, and vectorised kernels rely on it."""
SLAB_BYTES: Final = 16 << 20
"""torch's caching allocator gives requests of 10 MiB or more a segment of their own, rounded to 2 MiB (c10's
``kMinLargeAlloc`` and ``kRoundLarge``); smaller ones share segments, and would not come free alone.  16 MiB is above
that, and a quarter of the smallest default budget."""
OWN_SLAB_STEP: Final = 2 << 20
"""What torch and CUDA round a large allocation up to."""
VICTIMS_TRIED: Final = 4
"""Slabs that ``moves`` tries to clear before it gives up: they come emptiest first, so a fifth will hardly fit."""


class SlabMemory(Protocol):
    """Where slabs come from."""

    def allocate(self, nbytes: int) -> Any:
        """A buffer of exactly so many bytes.  Raises: MemoryError."""
        ...

    def free(self, buffer: Any) -> None:
        """Gives the memory back, so that others can have it, as soon as nothing refers to the buffer any more."""
        ...


class SlabsFull(Exception):
    """No hole is large enough, and the budget allows no further slab."""


class Block:
    """A piece of a slab; compared by identity."""

    __slots__ = ("nbytes", "offset", "slab")

    def __init__(self, slab: Slab, offset: int, nbytes: int) -> None:
        self.slab = slab
        self.offset = offset
        self.nbytes = nbytes


class Slab:
    """One buffer, its pieces and its holes; holes are kept in order and never touch one another."""

    __slots__ = ("blocks", "buffer", "holes", "leaving", "nbytes", "shared", "used_bytes")

    def __init__(self, buffer: Any, nbytes: int, *, shared: bool) -> None:
        self.buffer = buffer
        self.nbytes = nbytes
        self.shared = shared
        self.leaving = False
        """Whether its pieces were moved away: nothing new comes here, for their old bytes may still be read."""
        self.used_bytes = 0
        self.blocks: dict[int, Block] = {}
        self.holes: list[tuple[int, int]] = [(0, nbytes)]

    def take(self, nbytes: int) -> Block | None:
        """The first hole that is large enough, as far as needed; None if there is none."""
        if self.nbytes - self.used_bytes < nbytes:
            return None
        for index, (offset, size) in enumerate(self.holes):
            if size >= nbytes:
                self.holes[index : index + 1] = [(offset + nbytes, size - nbytes)] if size > nbytes else []
                block = self.blocks[offset] = Block(self, offset, nbytes)
                self.used_bytes += nbytes
                return block
        return None

    def give(self, block: Block) -> None:
        """Makes a piece a hole again, in one with its neighbours."""
        assert self.blocks.pop(block.offset, None) is block, "a block is freed once, and by its slab"
        self.used_bytes -= block.nbytes
        begin, end = block.offset, block.offset + block.nbytes
        index = bisect_left(self.holes, (begin, 0))
        if index < len(self.holes) and self.holes[index][0] == end:
            end += self.holes.pop(index)[1]
        if index and sum(self.holes[index - 1]) == begin:
            begin = self.holes.pop(index - 1)[0]
        insort(self.holes, (begin, end - begin))


class Slabs:
    """Pieces of memory in slabs, within a budget of bytes; not thread-safe."""

    def __init__(self, memory: SlabMemory, *, budget_bytes: int, slab_bytes: int = SLAB_BYTES) -> None:
        assert slab_bytes % ALIGNMENT == 0
        self._memory = memory
        self._budget_bytes = budget_bytes
        self._slab_bytes = slab_bytes
        self._slabs: list[Slab] = []
        self.reserved_bytes = 0
        """What all slabs take together."""

    @property
    def used_bytes(self) -> int:
        """What all pieces take together, alignment included."""
        return sum(slab.used_bytes for slab in self._slabs)

    @property
    def excess_bytes(self) -> int:
        """How far the slabs are above the budget; 0 within it."""
        return max(0, self.reserved_bytes - self._budget_bytes)

    def share_bytes(self, nbytes: int) -> int:
        """What a piece costs of a budget: its part of a slab full of its like, so that budgets add up to whole slabs."""
        size = aligned(nbytes)
        if self._has_own_slab(size):
            return aligned(size, self._own_step)
        return self._slab_bytes // (self._slab_bytes // size)

    def allocate(self, nbytes: int) -> Block:
        """A piece of at least so many bytes, aligned.

        Raises:
            SlabsFull: it does not fit into the budget.
            MemoryError: the backend has no memory.
        """
        size = aligned(nbytes)
        if (block := self._in_a_hole(size)) is None:
            block = self._open(size).take(size)
        assert block is not None, "a new slab holds what it was opened for"
        return block

    def free(self, block: Block) -> None:
        """Ends a piece; an empty slab goes back unless it is the one spare that the budget allows."""
        slab = block.slab
        slab.give(block)
        is_spare = slab.shared and not slab.leaving and not self.excess_bytes and self._empty() == [slab]
        if not slab.blocks and not is_spare:
            self._close(slab)

    def resize(self, budget_bytes: int) -> None:
        """Sets the budget; empty slabs above it go back now, others as they become empty."""
        self._budget_bytes = budget_bytes
        if self.excess_bytes:
            self._close_empty()

    def moves(self) -> list[tuple[Block, Block]]:
        """While over budget: pieces of one slab, each with a new piece elsewhere, which together empty that slab.

        The caller copies each and frees the old ones.  What was moved may still be read at its old place, so from now on
        nothing new comes into that slab, though a piece may stay in it that came too late for the move.

        Empty if within the budget, or if no slab can be cleared.
        """
        if not self.excess_bytes:
            return []
        shared = sorted((slab for slab in self._slabs if slab.shared), key=lambda slab: slab.used_bytes)
        holes = sum(slab.nbytes - slab.used_bytes for slab in shared if not slab.leaving)
        for victim in shared[:VICTIMS_TRIED]:
            own_holes = 0 if victim.leaving else victim.nbytes - victim.used_bytes
            if holes - own_holes < victim.used_bytes:
                continue
            if moves := self._cleared(victim):
                victim.leaving = True
                return moves
        return []

    def check_integrity(self) -> None:
        """Asserts that pieces and holes tile each slab without a gap, and that the sums are right."""
        assert self.reserved_bytes == sum(slab.nbytes for slab in self._slabs)
        assert len(self._empty()) <= (0 if self.excess_bytes else 1)
        assert all(slab.blocks for slab in self._slabs if slab.leaving)
        for slab in self._slabs:
            parts = sorted([*slab.holes, *((block.offset, block.nbytes) for block in slab.blocks.values())])
            position = 0
            for offset, nbytes in parts:
                assert offset == position
                assert nbytes > 0
                position += nbytes
            assert position == slab.nbytes
            ends = {sum(hole) for hole in slab.holes}
            assert not any(offset in ends for offset, _ in slab.holes), "holes that touch are one"
            assert slab.used_bytes == sum(block.nbytes for block in slab.blocks.values())

    @property
    def _own_step(self) -> int:
        return min(OWN_SLAB_STEP, self._slab_bytes)

    def _has_own_slab(self, size: int) -> bool:
        """More than half a slab leaves a hole that its like cannot fill, so it gets a slab of its own size."""
        return size > self._slab_bytes // 2

    def _empty(self) -> list[Slab]:
        return [slab for slab in self._slabs if not slab.blocks]

    def _in_a_hole(self, size: int, *, but: Slab | None = None) -> Block | None:
        """Fullest slab first: the emptier ones drain, and go back."""
        if self._has_own_slab(size):
            return None
        for slab in sorted(self._slabs, key=lambda slab: slab.used_bytes, reverse=True):
            if slab.shared and not slab.leaving and slab is not but and (block := slab.take(size)) is not None:
                return block
        return None

    def _cleared(self, victim: Slab) -> list[tuple[Block, Block]]:
        moves: list[tuple[Block, Block]] = []
        for old in sorted(victim.blocks.values(), key=lambda block: block.nbytes, reverse=True):
            new = self._in_a_hole(old.nbytes, but=victim)
            if new is None:
                for _, taken in moves:
                    taken.slab.give(taken)
                return []
            moves.append((old, new))
        return moves

    def _open(self, size: int) -> Slab:
        """A new slab for a piece, smaller than usual where the budget ends."""
        own = self._has_own_slab(size)
        nbytes = aligned(size, self._own_step) if own else self._slab_bytes
        if self._budget_bytes - self.reserved_bytes < nbytes:
            self._close_empty()
        room = self._budget_bytes - self.reserved_bytes
        nbytes = min(nbytes, room - room % ALIGNMENT)
        if nbytes < size:
            raise SlabsFull
        slab = Slab(self._memory.allocate(nbytes), nbytes, shared=not own)
        self._slabs.append(slab)
        self.reserved_bytes += nbytes
        return slab

    def _close_empty(self) -> None:
        for slab in self._empty():
            self._close(slab)

    def _close(self, slab: Slab) -> None:
        self._slabs.remove(slab)
        self.reserved_bytes -= slab.nbytes
        buffer, slab.buffer = slab.buffer, None
        self._memory.free(buffer)


def aligned(nbytes: int, step: int = ALIGNMENT) -> int:
    """The least multiple of ``step`` that holds so many bytes, and at least one step."""
    return max(1, -(-nbytes // step)) * step
