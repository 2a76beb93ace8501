"""Slabs are page-locked behind the back of who borrows them, and given back only when the device knows them no more."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from timbre_server.domain.pcm import Array
from timbre_server.voicecache.arena import HugePages
from timbre_server.voicecache.pinned import PinnedSlabs
from timbre_server.voicecache.storage import LANDING_BYTES, HostStorage

MIB = 1 << 20


class NotedLock:
    """A ``PageLock`` that notes what a device would know; ``refuses``: the machine's limit is reached."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.keeps = False
        self.known: dict[int, int] = {}

    def lock(self, address: int, nbytes: int) -> None:
        if self.refuses:
            raise MemoryError("CUDA error 2")
        self.known[address] = nbytes

    def unlock(self, address: int) -> None:
        if self.keeps:
            raise MemoryError("CUDA error 700")
        del self.known[address]


class AtOnce(Executor):
    """Does each thing before it returns."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def address(array: Array) -> int:
    return int(array.ctypes.data)


def pinned(lock: NotedLock) -> PinnedSlabs:
    return PinnedSlabs(lock, HugePages(), AtOnce())


def test_what_lies_in_a_locked_slab_is_found_in_it() -> None:
    slabs = pinned(NotedLock())
    one, other = slabs.allocate(MIB), slabs.allocate(2 * MIB)
    for slab in (one, other):
        part = slab[256:1280].view(np.float32)
        found = slabs.locked(part)
        assert found is not None
        assert np.shares_memory(found, slab)
        assert (address(found), found.nbytes, found.flags.writeable) == (address(part), part.nbytes, True)
        assert slabs.locked(slab) is not None
    for elsewhere in (np.zeros(4), HugePages().allocate(MIB)):
        assert slabs.locked(elsewhere) is None


def test_an_array_that_reaches_beyond_its_slab_is_not_in_it() -> None:
    whole = HugePages().allocate(2 * MIB)

    class Halves(HugePages):
        def allocate(self, nbytes: int) -> Array:
            return whole[:nbytes]

    slabs = PinnedSlabs(NotedLock(), Halves(), AtOnce())
    slabs.allocate(MIB)
    assert slabs.locked(whole[MIB - 1 : MIB]) is not None
    assert slabs.locked(whole[MIB - 1 : MIB + 1]) is None
    assert slabs.locked(whole[MIB:]) is None


def test_a_slab_is_unlocked_before_its_memory_goes() -> None:
    lock = NotedLock()
    slabs = pinned(lock)
    buffer = slabs.allocate(MIB)
    assert lock.known == {address(buffer): MIB}
    gone = weakref.ref(buffer)
    slabs.free(buffer)
    assert lock.known == {}
    assert slabs.locked(buffer) is None
    del buffer
    assert gone() is None


def test_where_the_machine_refuses_slabs_are_ordinary_memory_and_it_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    slabs = pinned(NotedLock(refuses=True))
    with caplog.at_level(logging.WARNING, "timbre.pinned"):
        buffers = [slabs.allocate(MIB) for _ in range(3)]
    assert [record.getMessage() for record in caplog.records] == [
        "voices in this process' memory are not page-locked: uploads to the device are slower (CUDA error 2)"
    ]
    for buffer in buffers:
        buffer[:] = 1
        assert slabs.locked(buffer) is None
        slabs.free(buffer)


def test_a_slab_that_cannot_be_unlocked_is_never_anothers_memory() -> None:
    lock = NotedLock()
    slabs = pinned(lock)
    buffer = slabs.allocate(MIB)
    lock.keeps = True
    kept = weakref.ref(buffer)
    slabs.free(buffer)
    del buffer
    gc.collect()
    assert kept() is not None


def test_a_slab_that_comes_and_goes_before_its_turn_is_unlocked_after_it_was_locked() -> None:
    lock = NotedLock()
    with ThreadPoolExecutor(1) as thread:
        slabs = PinnedSlabs(lock, HugePages(), thread)
        for _ in range(20):
            slabs.free(slabs.allocate(MIB))
    assert lock.known == {}


def test_voices_of_the_host_lie_in_locked_memory_wherever_they_came_from() -> None:
    slabs = pinned(NotedLock())
    storage = HostStorage(MIB, slabs)
    room = storage.room(1000)
    assert room is not None
    received = {"a": np.frombuffer(room.toreadonly(), np.float32, 200, 8)}
    extracted = {"a": np.ones((3, 5), np.float32)}
    for features in (received, extracted):
        stored = storage.store(features)["a"]
        assert slabs.locked(stored) is not None
        assert not stored.flags.writeable


def test_what_the_host_gives_up_is_unlocked_and_goes_back() -> None:
    lock = NotedLock()
    storage = HostStorage(4 * LANDING_BYTES, pinned(lock))
    voices = [storage.store({"a": np.zeros(LANDING_BYTES, np.uint8)}) for _ in range(4)]
    assert sum(lock.known.values()) == storage.reserved_bytes == 4 * LANDING_BYTES
    voices.clear()
    storage.resize(0)
    assert lock.known == {}
    assert storage.reserved_bytes == 0


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the kernel's flags of a mapping are Linux'")
def test_children_get_no_copy_of_voices() -> None:
    """The kernel copies locked pages as it forks, all of them."""
    buffer = HugePages().allocate(MIB)
    begin = address(buffer)
    flags, inside = "", False
    for line in Path("/proc/self/smaps").read_text("ascii").splitlines():
        word = line.split()[0]
        if "-" in word and not word.endswith(":"):
            low, high = (int(part, 16) for part in word.split("-"))
            inside = low <= begin < high
        elif inside and word == "VmFlags:":
            flags = line
    assert "dc" in flags.split()
