"""Where do a device's features lie?  In slabs of its memory, moved together when the budget shrinks.

The budget is in whole slabs, so evicting alone gives nothing back while every slab keeps a few voices.  ``settle`` copies
those into the holes of other slabs.  A voice keeps its one mapping meanwhile: who took an array from it before the
move reads the old bytes, which are equal and live as long as that array; who takes one later gets the new place.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from timbre_server.domain.pcm import Array
from timbre_server.domain.voice import Features
from timbre_server.voicecache.slabs import SLAB_BYTES, Block, SlabMemory, Slabs, SlabsFull, aligned
from timbre_server.voicecache.storage import StorageFull


@dataclass(frozen=True)
class Placed:
    """Where one array lies within the bytes of its voice."""

    name: str
    offset: int
    """From the beginning of the voice's block, in bytes."""
    nbytes: int
    dtype: str
    """numpy's name of the type, or ``bfloat16``."""
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Move:
    """A voice's bytes from one place to another; holds on to the buffers."""

    source: Any
    source_offset: int
    target: Any
    target_offset: int
    nbytes: int


class Upload(Protocol):
    """A copy on its way."""

    def awaited(self) -> bool:
        """Makes what the calling thread asks of the device next come after the copy; True once the copy is over."""
        ...


class DeviceMemory(SlabMemory, Protocol):
    """Memory for slabs that can be written and read as arrays.  Thread-safe."""

    @property
    def host(self) -> SlabMemory | None:
        """Memory of this process from which the device copies by itself; None where there is no such thing."""
        ...

    def write(self, buffer: Any, offset: int, pieces: Sequence[tuple[Placed, Array]]) -> Upload | None:
        """Copies arrays to their places behind ``offset``; holds on to those that it still reads.  None: it is over."""
        ...

    def views(self, buffer: Any, offset: int, places: Sequence[Placed]) -> Mapping[str, Any]:
        """Arrays on the buffer's bytes, without a copy; they keep the buffer alive."""
        ...

    def copy(self, moves: Sequence[Move]) -> None:
        """Copies bytes within the device; over when this returns."""
        ...

    def trim(self) -> None:
        """Gives freed buffers back to the machine, where ``free`` only let go of them; may wait for the device."""
        ...


class StoredFeatures(Mapping[str, Array]):
    """One voice on the device: a mapping that stays the same object while its bytes move."""

    __slots__ = ("_upload", "_views", "places")

    def __init__(self, places: Sequence[Placed], views: Mapping[str, Any], upload: Upload | None) -> None:
        self.places = places
        self._views = views
        self._upload = upload

    def __eq__(self, other: object) -> bool:
        """One voice is one object, and a batch asks for just that."""
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __getitem__(self, name: str) -> Array:
        array: Array = self._views[name]
        upload = self._upload
        if upload is not None and upload.awaited():
            self._upload = None
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def move(self, views: Mapping[str, Any]) -> None:
        """Has its arrays elsewhere from now on; with no views, nowhere: it was freed."""
        self._views = views


class DeviceStorage:
    """``FeatureStorage`` in slabs of a device's memory; thread-safe.

    ``dtypes`` names the arrays whose type numpy lacks: ``{"latents": "bfloat16"}`` takes uint16 bit patterns.
    """

    def __init__(
        self,
        memory: DeviceMemory,
        *,
        capacity_bytes: int,
        slab_bytes: int = SLAB_BYTES,
        dtypes: Mapping[str, str] | None = None,
    ) -> None:
        self._memory = memory
        self._slabs = Slabs(memory, budget_bytes=capacity_bytes, slab_bytes=slab_bytes)
        self._dtypes = dtypes or {}
        self._lock = threading.Lock()
        self._blocks: dict[StoredFeatures, Block] = {}
        self._owners: dict[Block, StoredFeatures] = {}
        self._freed: deque[StoredFeatures] = deque()

    @property
    def reserved_bytes(self) -> int:
        """What the slabs take of the device."""
        return self._slabs.reserved_bytes

    @property
    def excess_bytes(self) -> int:
        """How much of that is beyond the capacity: ``settle`` gives it back, as far as it can."""
        return self._slabs.excess_bytes

    def size_bytes(self, features: Features) -> int:
        """The voice's share of a slab full of its like."""
        return self._slabs.share_bytes(_extent(self._places(features)))

    def store(self, features: Features) -> Features:
        places = self._places(features)
        with self._lock:
            self._end_freed()
            try:
                block = self._slabs.allocate(_extent(places))
            except (SlabsFull, MemoryError) as error:
                raise StorageFull from error
        try:
            upload = self._memory.write(block.slab.buffer, block.offset, [(at, features[at.name]) for at in places])
            stored = StoredFeatures(places, self._memory.views(block.slab.buffer, block.offset, places), upload)
        except BaseException:
            with self._lock:
                self._slabs.free(block)
            raise
        with self._lock:
            self._blocks[stored] = block
            self._owners[block] = stored
        return stored

    def free(self, stored: Features) -> None:
        """Never waits: where another thread is at the slabs, the bytes are another voice's a moment later."""
        assert isinstance(stored, StoredFeatures)
        stored.move({})  # who uses a voice after its release shall fail, not speak with another one
        self._freed.append(stored)
        if self._lock.acquire(blocking=False):
            try:
                self._end_freed()
            finally:
                self._lock.release()

    def resize(self, capacity_bytes: int) -> None:
        """Empty slabs go back now, others as they become empty, or by ``settle``."""
        with self._lock:
            self._end_freed()
            self._slabs.resize(capacity_bytes)

    def settle(self) -> int:
        """Clears slabs beyond the capacity and gives freed memory back to the machine; how many bytes of slabs went.

        Waits for copies on the device: not for an event loop, nor under a tier's lock.
        """
        before = self._slabs.reserved_bytes
        while self._cleared_a_slab():
            pass
        self._memory.trim()
        return max(0, before - self._slabs.reserved_bytes)

    def check_integrity(self) -> None:
        """Asserts that every voice has its block and no other, and that the slabs are whole."""
        with self._lock:
            self._end_freed()
            self._slabs.check_integrity()
            assert {block: stored for stored, block in self._blocks.items()} == self._owners
            assert self._slabs.used_bytes >= sum(block.nbytes for block in self._owners)

    def _places(self, features: Features) -> list[Placed]:
        places, offset = [], 0
        for name, array in features.items():
            dtype = self._dtypes.get(name, array.dtype.name)
            places.append(Placed(name, offset, array.nbytes, dtype, array.shape))
            offset += aligned(array.nbytes)
        return places

    def _end_freed(self) -> None:
        while self._freed:
            stored = self._freed.popleft()
            stored.move({})  # a move may have come between
            block = self._blocks.pop(stored)
            del self._owners[block]
            self._slabs.free(block)

    def _cleared_a_slab(self) -> bool:
        """Whether the slabs take less than before; copies outside of the lock, since ``free`` shall not wait."""
        with self._lock:
            self._end_freed()
            before = self._slabs.reserved_bytes
            moves = self._slabs.moves()
            # While these are copied their voices may be freed, and the slab with them.
            copies = [Move(a.slab.buffer, a.offset, b.slab.buffer, b.offset, a.nbytes) for a, b in moves]
        self._memory.copy(copies)
        with self._lock:
            self._end_freed()
            for old, new in moves:
                if (stored := self._owners.pop(old, None)) is None:  # freed while it was copied, or still being written
                    self._slabs.free(new)
                    continue
                stored.move(self._memory.views(new.slab.buffer, new.offset, stored.places))
                self._owners[new] = stored
                self._blocks[stored] = new
                self._slabs.free(old)
            return self._slabs.reserved_bytes < before


def _extent(places: Sequence[Placed]) -> int:
    return places[-1].offset + aligned(places[-1].nbytes) if places else 0


class HostSlabMemory:
    """``DeviceMemory`` of numpy arrays, for a machine without torch."""

    host: SlabMemory | None = None

    def allocate(self, nbytes: int) -> Any:
        return np.empty(nbytes, np.uint8)

    def free(self, buffer: Any) -> None:
        """Nothing: the interpreter frees it with the last view."""

    def write(self, buffer: Any, offset: int, pieces: Sequence[tuple[Placed, Array]]) -> Upload | None:
        for place, array in pieces:
            begin = offset + place.offset
            buffer[begin : begin + place.nbytes] = raw_bytes(array)
        return None

    def views(self, buffer: Any, offset: int, places: Sequence[Placed]) -> Mapping[str, Any]:
        views = {}
        for place in places:
            begin = offset + place.offset
            view = buffer[begin : begin + place.nbytes].view(_storable(place.dtype)).reshape(place.shape)
            view.flags.writeable = False
            views[place.name] = view
        return views

    def copy(self, moves: Sequence[Move]) -> None:
        for move in moves:
            moved = move.source[move.source_offset :][: move.nbytes]
            move.target[move.target_offset :][: move.nbytes] = moved

    def trim(self) -> None:
        """Nothing is kept back."""


def raw_bytes(array: Array) -> Array:
    """The elements of an array in their order and this machine's, as uint8; a copy only where they are not so yet."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(-1).view(np.uint8)


def _storable(dtype: str) -> str:
    return "uint16" if dtype == "bfloat16" else dtype
