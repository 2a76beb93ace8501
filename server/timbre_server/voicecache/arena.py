"""Where do the bytes of many voices lie in this process, so that they cost no fresh page and never belong to two at once?

Memory from the interpreter is new for each voice, and the kernel hands it out page by page: the first touch of 2 MB takes 0.7 ms
here, as long as reading them from Redis.  Slabs on huge pages take 0.1 ms, and bytes that were another voice's before nothing.
"""

from __future__ import annotations

import mmap
import weakref
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from threading import Lock
from typing import Any, Final

import numpy as np

from timbre_server.domain.pcm import Array
from timbre_server.voicecache.slabs import SLAB_BYTES, Block, SlabMemory, Slabs, SlabsFull

HUGE_PAGE_BYTES: Final = 2 << 20
"""x86-64 and arm64 with 4 KiB pages; elsewhere huge pages are larger, and this memory has ordinary ones."""


class HugePages:
    """``SlabMemory`` of this process, on huge pages where the kernel gives them to who asks."""

    def allocate(self, nbytes: int) -> Array:
        """A writeable array of bytes whose memory goes back to the machine with its last view."""
        try:
            region = mmap.mmap(-1, nbytes + HUGE_PAGE_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except OSError as error:
            raise MemoryError(f"no {nbytes} bytes") from error
        with suppress(AttributeError, OSError):  # another system, or a kernel without them
            region.madvise(mmap.MADV_HUGEPAGE)
            # A child would get copies of what a device may write or read, and needs no voices.
            region.madvise(mmap.MADV_DONTFORK)
        whole = np.frombuffer(region, np.uint8)
        begin = -whole.ctypes.data % HUGE_PAGE_BYTES
        return whole[begin : begin + nbytes]

    def free(self, buffer: Array) -> None:
        """Nothing: see ``allocate``."""


class _Room(weakref.ref[Array]):
    """A reference to who owns a block: its last view."""

    __slots__ = ("block", "owner_id")

    block: Block
    owner_id: int

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class Arena:
    """Rooms in slabs, within a budget of bytes.  Thread-safe.

    A room's bytes are its own until nothing refers to them any more, whatever was evicted meanwhile: a late reader keeps
    what it reads.
    """

    def __init__(self, memory: SlabMemory, *, capacity_bytes: int, slab_bytes: int = SLAB_BYTES) -> None:
        self._slabs = Slabs(memory, budget_bytes=capacity_bytes, slab_bytes=slab_bytes)
        self._lock = Lock()
        self._rooms: dict[int, _Room] = {}
        """By the id of their owner."""
        self._ended: deque[_Room] = deque()
        """Rooms to which nothing refers any more; noted where the collector runs, perhaps under our own lock."""

    @property
    def reserved_bytes(self) -> int:
        """What the slabs take of the machine."""
        return self._slabs.reserved_bytes

    def room(self, nbytes: int) -> memoryview | None:
        """So many bytes to write into, until the last reference to them ends; None if the budget has none."""
        with self._lock:
            self._end_rooms()
            try:
                block = self._slabs.allocate(nbytes)
            except (SlabsFull, MemoryError):
                return None
            # Not a slice: numpy would let a view of it refer to the slab instead.
            owner = np.frombuffer(block.slab.buffer.data, np.uint8, nbytes, block.offset)
            room = _Room(owner, self._ended.append)
            room.block, room.owner_id = block, id(owner)
            self._rooms[id(owner)] = room
        return owner.data

    def shared_room_bytes(self, arrays: Iterable[Array]) -> int | None:
        """The size of the one room in which all these lie, as ``share_bytes`` counts it; None if they do not."""
        shared: _Room | None = None
        for array in arrays:
            room = self._room(array)
            if room is None or (shared is not None and shared is not room):
                return None
            shared = room
        return None if shared is None else self._slabs.share_bytes(shared.block.nbytes)

    def share_bytes(self, nbytes: int) -> int:
        """What a room of that size costs of the budget: its part of a slab full of its like."""
        return self._slabs.share_bytes(nbytes)

    def resize(self, capacity_bytes: int) -> None:
        """Sets the budget; slabs beyond it go as they become empty."""
        with self._lock:
            self._end_rooms()
            self._slabs.resize(capacity_bytes)

    def check_integrity(self) -> None:
        """Asserts that every block has its owner, and that the slabs are whole."""
        with self._lock:
            self._end_rooms()
            self._slabs.check_integrity()
            assert self._slabs.used_bytes == sum(room.block.nbytes for room in self._rooms.values())

    def _end_rooms(self) -> None:
        while self._ended:
            room = self._ended.popleft()
            if self._rooms.get(room.owner_id) is room:
                del self._rooms[room.owner_id]
            self._slabs.free(room.block)

    def _room(self, array: Array) -> _Room | None:
        owner: Any = array.base
        while owner is not None:
            if isinstance(owner, memoryview):
                owner = owner.obj
            room = self._rooms.get(id(owner))
            if room is not None and room() is owner:
                return room
            owner = getattr(owner, "base", None)
        return None
