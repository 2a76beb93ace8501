"""The host's memory: nothing is copied that need not be, and nobody writes into what is kept."""

import numpy as np
import pytest

from timbre_server.voicecache.storage import HostStorage


def test_a_read_only_array_is_kept_without_a_copy() -> None:
    array = np.arange(12, dtype=np.float32)
    array.flags.writeable = False
    assert HostStorage().store({"a": array})["a"] is array


def test_a_writeable_array_is_kept_as_a_view_that_cannot_be_written() -> None:
    array = np.arange(12, dtype=np.float32)
    stored = HostStorage().store({"a": array})["a"]
    assert np.shares_memory(stored, array)
    assert array.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        stored[0] = 1


def test_a_strided_array_is_made_contiguous() -> None:
    array = np.arange(12, dtype=np.float32)[::2]
    stored = HostStorage().store({"a": array})["a"]
    assert stored.flags.c_contiguous
    assert np.array_equal(stored, array)


def test_a_scalar_keeps_its_shape() -> None:
    assert HostStorage().store({"a": np.array(1.0)})["a"].shape == ()


def test_a_slice_of_a_batch_does_not_keep_the_batch_in_memory() -> None:
    batch = np.zeros((16, 1000), np.float32)
    stored = HostStorage().store({"a": batch[3], "b": batch[4]})
    assert not np.shares_memory(stored["a"], batch)
    assert stored["a"].base is None or stored["a"].base.nbytes == 4000


def test_the_arrays_of_one_blob_stay_views_of_it() -> None:
    blob = bytes(4000)
    arrays = {"a": np.frombuffer(blob, np.float32, 10), "b": np.frombuffer(blob, np.float32, 990, offset=40)}
    stored = HostStorage().store(arrays)
    assert all(stored[name] is array for name, array in arrays.items())


def test_it_counts_the_bytes_of_the_arrays_and_reserves_none() -> None:
    storage = HostStorage()
    assert storage.size_bytes({"a": np.zeros(10, np.float32), "b": np.zeros(3, np.uint8)}) == 43
    storage.resize(1000)
    storage.free(storage.store({"a": np.zeros(10, np.float32)}))
    assert storage.reserved_bytes == 0
