"""The host's memory: voices stay where they were received, anything else is copied once, and nobody writes into either."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.server.voicecache.tiers import Watcher, put
from timbre_server.domain.voice import Features
from timbre_server.voicecache.slabs import ALIGNMENT
from timbre_server.voicecache.storage import LANDING_BYTES, HostStorage, StorageFull
from timbre_server.voicecache.tier import CAPACITY, Tier

KIB = 1 << 10
DTYPES = st.sampled_from(["float32", "float16", "int64", "uint8", "bool", ">f4"])


def received(storage: HostStorage, size_bytes: int, header_bytes: int = 8) -> Features:
    """Two arrays as they are decoded from a blob that was received into a room."""
    room = storage.room(header_bytes + size_bytes)
    assert room is not None
    half = size_bytes // 2
    return {
        "a": np.frombuffer(room.toreadonly(), np.uint8, half, header_bytes),
        "b": np.frombuffer(room.toreadonly(), np.uint8, half, header_bytes + half),
    }


@given(
    st.dictionaries(st.text(max_size=4), arrays.arrays(DTYPES, arrays.array_shapes(min_dims=0, min_side=0)), max_size=4)
)
def test_any_arrays_come_back_equal_and_read_only(features: Features) -> None:
    stored = HostStorage(64 * KIB).store(features)
    assert list(stored) == list(features)
    for name, array in features.items():
        np.testing.assert_array_equal(stored[name], array)
        assert (stored[name].shape, stored[name].dtype) == (array.shape, array.dtype)
        assert stored[name].flags.c_contiguous
        assert not stored[name].flags.writeable


def test_what_was_received_here_is_kept_without_a_copy() -> None:
    storage = HostStorage(64 * KIB)
    features = received(storage, 4 * KIB)
    assert storage.store(features) is features


def test_what_was_received_elsewhere_is_copied() -> None:
    features = received(HostStorage(64 * KIB), 4 * KIB)
    stored = HostStorage(64 * KIB).store(features)
    assert not np.shares_memory(stored["a"], features["a"])


def test_a_later_change_of_an_extracted_array_does_not_reach_what_is_kept() -> None:
    batch = np.zeros((16, 1000), np.float32)
    stored = HostStorage(64 * KIB).store({"a": batch[3]})["a"]
    batch[:] = 1
    assert not stored.any()
    with pytest.raises(ValueError, match="read-only"):
        stored[0] = 1


def test_a_voice_costs_what_it_takes_where_it_lies() -> None:
    storage = HostStorage(64 * KIB)
    assert storage.size_bytes({"a": np.zeros(10, np.float32), "b": np.zeros(3, np.uint8)}) == 2 * ALIGNMENT
    assert storage.size_bytes(received(storage, 4 * KIB)) == 4 * KIB + ALIGNMENT


def test_copies_take_no_more_than_the_capacity_and_what_is_on_its_way() -> None:
    storage = HostStorage(KIB)
    kept = [storage.store({"a": np.zeros(LANDING_BYTES, np.uint8)}), storage.store({"a": np.zeros(KIB, np.uint8)})]
    assert storage.reserved_bytes <= KIB + LANDING_BYTES
    with pytest.raises(StorageFull):
        storage.store({"a": np.zeros(1, np.uint8)})
    storage.free(kept.pop())
    storage.store({"a": np.zeros(KIB, np.uint8)})


def test_an_evicted_voice_makes_room_for_the_next_one() -> None:
    """Where the tier has room and its memory has none: voices are on their way, and who was evicted lies among them."""
    storage, watcher = HostStorage(3 * KIB), Watcher()
    tier = Tier("host", storage, capacity_bytes=3 * KIB, observer=watcher)
    for key in "ab":
        assert put(tier, key, KIB)
    on_their_way: list[memoryview] = []
    for size in (1 << 20, KIB):
        while (room := storage.room(size)) is not None:
            on_their_way.append(room)
    assert sum(map(len, on_their_way)) == LANDING_BYTES + KIB
    assert put(tier, "c", KIB)
    assert watcher.evicted == {CAPACITY: 1}


def test_who_reads_a_voice_after_its_end_still_reads_that_voice() -> None:
    storage = HostStorage(0)
    stored = storage.store({"a": np.full(LANDING_BYTES // 2, 7, np.uint8)})
    late = stored["a"]
    storage.free(stored)
    del stored
    for mark in range(3):
        storage.store({"a": np.full(LANDING_BYTES // 2, mark, np.uint8)})
    assert (late == 7).all()


def test_a_smaller_capacity_is_kept_from_then_on() -> None:
    storage = HostStorage(2 * LANDING_BYTES)
    kept = [storage.store({"a": np.zeros(LANDING_BYTES, np.uint8)}) for _ in range(3)]
    storage.resize(0)
    kept.clear()
    storage.resize(0)
    assert storage.reserved_bytes <= LANDING_BYTES
