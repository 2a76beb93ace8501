"""What was stored is what is read, in one object, wherever its bytes move to."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from timbre_server.domain.pcm import Array
from timbre_server.domain.voice import Features, feature_bytes
from timbre_server.voicecache.device_storage import DeviceStorage, HostSlabMemory, Move, Placed, Upload
from timbre_server.voicecache.slabs import ALIGNMENT
from timbre_server.voicecache.storage import StorageFull

KIB = 1 << 10
SLAB = 64 * KIB


def storage(slab_count: int, memory: HostSlabMemory | None = None, **options: Any) -> DeviceStorage:
    return DeviceStorage(memory or HostSlabMemory(), capacity_bytes=slab_count * SLAB, slab_bytes=SLAB, **options)


def voice(seed: int, size_bytes: int = 4 * KIB) -> Features:
    generator = np.random.default_rng(seed)
    return {
        "latents": generator.standard_normal((2, size_bytes // 16), np.float32),
        "codes": generator.integers(0, 1 << 40, size_bytes // 16, np.int64),
    }


def same(stored: Features, given_features: Features) -> bool:
    return list(stored) == list(given_features) and all(
        np.array_equal(stored[name], array) and stored[name].dtype == array.dtype
        for name, array in given_features.items()
    )


DTYPES = st.sampled_from(["float32", "float16", "int64", "uint8", "bool", ">f4"])


@given(
    st.dictionaries(st.text(max_size=4), arrays.arrays(DTYPES, arrays.array_shapes(min_dims=0, min_side=0)), max_size=4)
)
def test_any_arrays_come_back_equal(features: Features) -> None:
    held = storage(1)
    stored = held.store(features)
    assert list(stored) == list(features)
    for name, array in features.items():
        np.testing.assert_array_equal(stored[name], array)
        assert stored[name].shape == array.shape
    held.check_integrity()


def test_nobody_can_write_into_what_is_stored() -> None:
    stored = storage(1).store(voice(1))
    with pytest.raises(ValueError, match="read-only"):
        stored["latents"][0, 0] = 1.0


def test_what_is_stored_does_not_follow_its_source() -> None:
    source = {"latents": np.ones(8, np.float32)}
    stored = storage(1).store(source)
    source["latents"][:] = 2.0
    assert stored["latents"][0] == 1.0


def test_strided_arrays_are_stored_in_their_order() -> None:
    source = {"latents": np.arange(64, dtype=np.float32).reshape(8, 8).T[::2]}
    assert same(storage(1).store(source), source)


def test_arrays_begin_aligned() -> None:
    stored = storage(1).store({"a": np.zeros(1, np.uint8), "b": np.zeros(3, np.float32)})
    distance = stored["b"].ctypes.data - stored["a"].ctypes.data
    assert distance == ALIGNMENT


def test_bit_patterns_of_a_type_that_numpy_lacks_pass_unchanged() -> None:
    source = {"latents": np.arange(16, dtype=np.uint16)}
    assert same(storage(1, dtypes={"latents": "bfloat16"}).store(source), source)


def test_two_voices_are_never_equal_and_may_be_keys() -> None:
    held = storage(1)
    first, second = held.store(voice(1)), held.store(voice(1))
    assert first != second
    assert len({id(first), id(second)}) == len({first, second}) == 2  # type: ignore[arg-type]


def test_sizes_add_up_to_what_fits() -> None:
    held = storage(4)
    size = held.size_bytes(voice(0, 5 * KIB))
    assert size >= feature_bytes(voice(0, 5 * KIB))
    for seed in range(4 * SLAB // size):
        held.store(voice(seed, 5 * KIB))
    assert held.reserved_bytes == 4 * SLAB


def test_no_room_takes_nothing() -> None:
    held = storage(1)
    kept = held.store(voice(1, 30 * KIB))
    with pytest.raises(StorageFull):
        held.store(voice(2, 40 * KIB))
    held.check_integrity()
    assert same(kept, voice(1, 30 * KIB))


def test_a_device_without_memory_is_a_full_storage() -> None:
    class Exhausted(HostSlabMemory):
        def allocate(self, nbytes: int) -> Any:
            raise MemoryError

    held = storage(1, Exhausted())
    with pytest.raises(StorageFull):
        held.store(voice(1))
    assert held.reserved_bytes == 0


def test_a_write_that_breaks_off_keeps_no_memory() -> None:
    class Broken(HostSlabMemory):
        def write(self, buffer: Any, offset: int, pieces: Sequence[tuple[Placed, Array]]) -> Upload | None:
            raise RuntimeError("the device is lost")

    held = storage(1, Broken())
    with pytest.raises(RuntimeError):
        held.store(voice(1))
    held.check_integrity()
    held.resize(0)
    assert held.reserved_bytes == 0


def test_what_was_freed_cannot_be_read_by_mistake() -> None:
    held = storage(1)
    stored = held.store(voice(1))
    held.free(stored)
    with pytest.raises(KeyError):
        stored["latents"]


def test_shrinking_gives_memory_back_though_every_slab_keeps_a_voice() -> None:
    held = storage(8)
    stored = [held.store(voice(seed, 8 * KIB)) for seed in range(64)]
    for index, features in enumerate(stored):
        if index % 4:
            held.free(features)
    kept = stored[::4]
    views = [features["latents"] for features in kept]
    held.resize(2 * SLAB)
    assert held.reserved_bytes == 8 * SLAB
    assert held.settle() == 6 * SLAB
    assert held.reserved_bytes == 2 * SLAB
    assert held.excess_bytes == 0
    for index, features in enumerate(kept):
        assert same(features, voice(4 * index, 8 * KIB))
        assert np.array_equal(views[index], voice(4 * index, 8 * KIB)["latents"]), "taken before the move"
    held.check_integrity()


def test_a_move_gives_a_new_place_to_the_same_object() -> None:
    held = storage(2)
    stored = [held.store(voice(seed, 30 * KIB)) for seed in range(4)]
    held.free(stored[0])
    held.free(stored[2])
    held.resize(SLAB)
    places = {features["latents"].ctypes.data for features in (stored[1], stored[3])}
    held.settle()
    after = {features["latents"].ctypes.data for features in (stored[1], stored[3])}
    assert len(places & after) == 1
    assert same(stored[1], voice(1, 30 * KIB))
    assert same(stored[3], voice(3, 30 * KIB))


class MemoryThatCalls(HostSlabMemory):
    """Calls somebody in the middle of a copy or a write."""

    def __init__(self) -> None:
        self.meanwhile: list[Any] = []

    def write(self, buffer: Any, offset: int, pieces: Sequence[tuple[Placed, Array]]) -> Upload | None:
        while self.meanwhile:
            self.meanwhile.pop()()
        return super().write(buffer, offset, pieces)

    def copy(self, moves: Sequence[Move]) -> None:
        while self.meanwhile:
            self.meanwhile.pop()()
        super().copy(moves)


def _half_empty(memory: MemoryThatCalls) -> tuple[DeviceStorage, list[Features]]:
    held = storage(3, memory)
    stored = [held.store(voice(seed, 30 * KIB)) for seed in range(4)]
    held.free(stored.pop(0))
    held.free(stored.pop(1))
    return held, stored


def test_a_voice_that_is_freed_while_it_moves_is_gone() -> None:
    memory = MemoryThatCalls()
    held, stored = _half_empty(memory)
    held.resize(SLAB)
    memory.meanwhile = [lambda: held.free(stored[0]), lambda: held.free(stored[1])]
    held.settle()
    assert held.reserved_bytes == SLAB, "the one spare"
    for features in stored:
        with pytest.raises(KeyError):
            features["latents"]
    held.check_integrity()


def test_a_voice_that_is_being_written_stays_where_it_is() -> None:
    memory = MemoryThatCalls()
    held = storage(2, memory)
    stored = [held.store(voice(seed, 30 * KIB)) for seed in range(2)]
    memory.meanwhile = [lambda: (held.free(stored[0]), held.resize(SLAB), held.settle())]
    written = held.store(voice(9, 20 * KIB))
    assert same(written, voice(9, 20 * KIB))
    assert same(stored[1], voice(1, 30 * KIB))
    held.check_integrity()
    assert held.settle() == SLAB, "now it may move"
    assert same(written, voice(9, 20 * KIB))


@pytest.mark.parametrize("in_the_way", ["none", "stored meanwhile", "still being written"])
def test_where_a_voice_was_read_before_it_moved_no_other_voice_comes(in_the_way: str) -> None:
    """An engine holds on to the arrays that it has taken for as long as it speaks."""
    memory = MemoryThatCalls()
    held, (first, second) = _half_empty(memory)
    taken = [(first["latents"], 1), (second["latents"], 3)]

    def shrink() -> None:
        held.resize(SLAB)
        if in_the_way == "stored meanwhile":
            memory.meanwhile = [lambda: _stored(held, 7, 20 * KIB)]
        held.settle()
        held.resize(3 * SLAB)

    if in_the_way == "still being written":
        memory.meanwhile = [shrink]
        held.store(voice(6, 2 * KIB))
    else:
        shrink()
    for seed in range(10, 20):
        _stored(held, seed, 14 * KIB)
    assert all(np.array_equal(array, voice(seed, 30 * KIB)["latents"]) for array, seed in taken)
    held.check_integrity()


def _stored(held: DeviceStorage, seed: int, size_bytes: int) -> None:
    with contextlib.suppress(StorageFull):
        held.store(voice(seed, size_bytes))


def test_freeing_does_not_wait_for_who_is_at_the_slabs() -> None:
    """A tier frees under its lock: were this to wait, the test would hang."""

    class Slow(HostSlabMemory):
        def allocate(self, nbytes: int) -> Any:
            if entered.is_set():
                at_slabs.set()
                assert go_on.wait(10)
            return super().allocate(nbytes)

    entered, at_slabs, go_on = threading.Event(), threading.Event(), threading.Event()
    held = storage(2, Slow())
    stored = held.store(voice(1, 40 * KIB))
    entered.set()
    other = threading.Thread(target=held.store, args=(voice(2, 40 * KIB),))
    other.start()
    assert at_slabs.wait(10)
    held.free(stored)
    with pytest.raises(KeyError):
        stored["latents"]
    go_on.set()
    other.join(10)
    held.check_integrity()
    assert held.reserved_bytes == SLAB


def test_threads_that_store_read_free_and_settle_see_only_their_own_voices() -> None:
    held = storage(8)
    stop = threading.Event()
    wrong: list[int] = []

    def use(seed: int) -> None:
        expected = voice(seed)
        for _ in range(150):
            try:
                stored = held.store(expected)
            except StorageFull:
                continue
            if not same(stored, expected):
                wrong.append(seed)
            held.free(stored)

    def shrink() -> None:
        count = 0
        while not stop.is_set():
            count += 1
            held.resize((1 + count % 8) * SLAB)
            held.settle()

    users = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    shrinker = threading.Thread(target=shrink)
    for thread in (*users, shrinker):
        thread.start()
    for thread in users:
        thread.join(60)
    stop.set()
    shrinker.join(60)
    assert wrong == []
    held.check_integrity()
    held.resize(0)
    held.settle()
    assert held.reserved_bytes == 0
