"""Which memory of this process may a device read by itself, and what if the machine refuses to lock it?

What is page-locked a device copies at the speed of the bus, while the processor does something else; anything else goes
through a buffer that is.  Locked are the pages of ordinary slabs, after they were lent and by a thread of its own: it takes
milliseconds, and may wait for what runs on the device.  Until then, and where it fails, a slab is memory like any other.
"""

from __future__ import annotations

from bisect import bisect_right
from concurrent.futures import Executor
from typing import Protocol

from timbre_server.domain.pcm import Array
from timbre_server.telemetry.log import get_logger
from timbre_server.voicecache.slabs import SlabMemory

_log = get_logger("pinned")


class PageLock(Protocol):
    """Locks pages for one device."""

    def lock(self, address: int, nbytes: int) -> None:
        """Makes pages stay where they are, and known to the device.  Raises: MemoryError: the machine refuses."""
        ...

    def unlock(self, address: int) -> None:
        """Ends what ``lock`` began at that address, and waits until the device does not read there any more.

        Raises: MemoryError: it cannot be ended.
        """
        ...


class PinnedSlabs:
    """``SlabMemory`` whose buffers become page-locked.  Thread-safe."""

    def __init__(self, lock: PageLock, memory: SlabMemory, thread: Executor) -> None:
        """``memory`` lends arrays of bytes; ``thread`` does one thing at a time, in order."""
        self._lock = lock
        self._memory = memory
        self._thread = thread
        self._locked: tuple[Array, ...] = ()
        """In the order of their addresses; replaced as a whole, so that it can be read without a lock."""
        self._has_told = False

    def allocate(self, nbytes: int) -> Array:
        buffer: Array = self._memory.allocate(nbytes)
        self._thread.submit(self._lock_pages, buffer)
        return buffer

    def free(self, buffer: Array) -> None:
        self._thread.submit(self._unlock_pages, buffer)

    def locked(self, array: Array) -> Array | None:
        """The bytes of a contiguous array, as part of the locked slab in which all of them lie; None if there is none."""
        slabs = self._locked
        begin = _address(array)
        index = bisect_right(slabs, begin, key=_address) - 1
        if index < 0:
            return None
        offset = begin - _address(slabs[index])
        return slabs[index][offset : offset + array.nbytes] if offset + array.nbytes <= slabs[index].nbytes else None

    def _lock_pages(self, buffer: Array) -> None:
        try:
            self._lock.lock(_address(buffer), buffer.nbytes)
        except MemoryError as error:
            self._tell("voices in this process' memory are not page-locked: uploads to the device are slower", error)
        else:
            self._locked = tuple(sorted((*self._locked, buffer), key=_address))

    def _unlock_pages(self, buffer: Array) -> None:
        left = tuple(slab for slab in self._locked if slab is not buffer)
        if len(left) < len(self._locked):
            try:
                self._lock.unlock(_address(buffer))
            except MemoryError as error:
                self._tell("page-locked memory could not be given back", error)
                return  # kept: what the device still knows must not become another's
            self._locked = left
        self._memory.free(buffer)

    def _tell(self, what: str, error: MemoryError) -> None:
        if not self._has_told:
            self._has_told = True
            _log.warning("%s (%s)", what, error)


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
