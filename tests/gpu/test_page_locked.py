"""Voices that lie in page-locked memory go to the device from there: on CUDA, and where a CPU plays it, copies late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tests.gpu.played_cuda import PlayedEvent, PlayedTorch
from timbre_server.domain.voice import Features
from timbre_server.voicecache.device_storage import DeviceStorage
from timbre_server.voicecache.slabs import SLAB_BYTES
from timbre_server.voicecache.storage import LANDING_BYTES, HostStorage
from timbre_server.voicecache.torch_memory import CudaMemory, torch_memory

pytestmark = pytest.mark.gpu

MIB = 1 << 20


def voice(seed: int, size_bytes: int = MIB) -> Features:
    generator = np.random.default_rng(seed)
    return {
        "latents": generator.standard_normal((4, size_bytes // 32), np.float32),
        "nothing": np.zeros((0, 3), np.float32),
        "codes": generator.integers(0, 1 << 40, size_bytes // 16, np.int64),
    }


def same(stored: Mapping[str, Any], expected: Features) -> bool:
    return all(np.array_equal(stored[name].cpu().numpy(), array) for name, array in expected.items())


def on_the_device(memory: CudaMemory) -> DeviceStorage:
    return DeviceStorage(memory, capacity_bytes=4 * SLAB_BYTES)


def on_the_host(memory: CudaMemory, capacity_bytes: int = 4 * SLAB_BYTES) -> HostStorage:
    """Its first slab is locked when this returns, if it ever is."""
    storage = HostStorage(capacity_bytes, memory.host)
    storage.store({"first": np.zeros(1)})
    wait_for_page_locks(memory)
    return storage


def wait_for_page_locks(memory: CudaMemory) -> None:
    """Returns when all that was to be locked until now is, if it ever is."""
    memory._page_lock.submit(lambda: None).result()


@pytest.fixture
def played(torch: Any) -> PlayedTorch:
    return PlayedTorch(torch)


def test_a_locked_voice_is_copied_from_where_it_lies(played: PlayedTorch) -> None:
    memory = CudaMemory(played, "cpu")
    source = on_the_host(memory).store(voice(1))
    stored: Mapping[str, Any] = on_the_device(memory).store(source)
    assert played.cuda.uploads is not None
    assert played.cuda.uploads.given == 2, "one copy for each array that has elements"
    assert memory._staged is None, "none of them through the buffer"
    assert same(stored, voice(1))


def test_a_voice_that_lies_elsewhere_is_copied_through_the_buffer(played: PlayedTorch) -> None:
    memory = CudaMemory(played, "cpu")
    held = on_the_device(memory)
    stores: list[Mapping[str, Any]] = [held.store(voice(seed)) for seed in range(3)]
    assert memory._staged is not None
    assert all(same(stored, voice(seed)) for seed, stored in enumerate(stores))


def test_where_pages_cannot_be_locked_voices_arrive_all_the_same(played: PlayedTorch) -> None:
    played.cuda.runtime.refuses = True
    memory = CudaMemory(played, "cpu")
    stored: Mapping[str, Any] = on_the_device(memory).store(on_the_host(memory).store(voice(1)))
    assert memory._staged is not None
    assert same(stored, voice(1))


def test_what_the_host_drops_is_read_to_its_end_before_it_is_anothers(played: PlayedTorch) -> None:
    memory = CudaMemory(played, "cpu")
    host, held = on_the_host(memory, 0), on_the_device(memory)
    source = host.store(voice(1, LANDING_BYTES // 2))  # in a slab of its own
    wait_for_page_locks(memory)
    stored: Mapping[str, Any] = held.store(source)
    host.free(source)
    del source
    assert host.room(LANDING_BYTES // 2) is None, "the device has not read it"
    assert same(stored, voice(1, LANDING_BYTES // 2))
    held.store(voice(2))
    assert host.room(LANDING_BYTES // 2) is not None


def test_a_slab_that_is_lent_while_an_upload_begins_is_waited_for_too(
    played: PlayedTorch, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = CudaMemory(played, "cpu")
    uploads = played.cuda.uploads
    assert uploads is not None
    awaited: list[PlayedEvent] = []

    def lending(event: PlayedEvent) -> None:
        if not awaited:
            memory.allocate(SLAB_BYTES)  # by another thread
        awaited.append(event)

    held = on_the_device(memory)
    monkeypatch.setattr(uploads, "wait_event", lending)
    held.store(voice(1))
    lent = memory._lent
    held.store(voice(2))
    assert awaited[-1] is lent
    assert awaited[0] is not lent


def test_what_is_given_back_the_runtime_does_not_know_any_more(played: PlayedTorch) -> None:
    memory = CudaMemory(played, "cpu")
    host = on_the_host(memory)
    assert sum(played.cuda.runtime.registered.values()) == SLAB_BYTES
    host.resize(-LANDING_BYTES)
    wait_for_page_locks(memory)
    assert played.cuda.runtime.registered == {}


def test_a_locked_slab_is_pinned_memory_to_torch(torch: Any, cuda: str) -> None:
    memory = torch_memory(cuda)
    assert isinstance(memory, CudaMemory)
    source = on_the_host(memory).store(voice(1))
    locked = memory._locked.locked(source["latents"])
    assert locked is not None
    assert torch.from_numpy(locked).is_pinned()


def test_a_locked_voice_arrives_whole_on_the_device(cuda: str) -> None:
    memory = torch_memory(cuda)
    assert isinstance(memory, CudaMemory)
    host, held = on_the_host(memory), on_the_device(memory)
    for seed in range(30):
        source = host.store(voice(seed))
        assert memory._locked.locked(source["codes"]) is not None
        stored: Mapping[str, Any] = held.store(source)
        host.free(source)
        del source
        assert int(stored["codes"].sum()) == int(voice(seed)["codes"].sum())
        held.free(stored)
    assert memory._staged is None


def test_copies_from_locked_memory_wait_for_no_kernel(torch: Any, cuda: str) -> None:
    memory = torch_memory(cuda)
    assert isinstance(memory, CudaMemory)
    host, held = on_the_host(memory), on_the_device(memory)
    held.store(host.store(voice(0)))
    matrix = torch.ones(4096, 4096, device=cuda)
    torch.cuda.synchronize(cuda)
    for _ in range(200):
        matrix = matrix @ matrix * 1e-4
    busy = torch.cuda.current_stream(cuda).record_event()
    stores = [held.store(host.store(voice(seed))) for seed in (1, 2, 3)]
    assert not busy.query(), "the kernels still run, and all three voices are on their way"
    assert all(same(stored, voice(seed)) for seed, stored in zip((1, 2, 3), stores, strict=True))
