"""Features in a device's slabs: equal to what was stored, never in the way of kernels, and really given back."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from timbre_server.domain.voice import Features
from timbre_server.errors import ConfigurationError
from timbre_server.voicecache.device_storage import DeviceStorage
from timbre_server.voicecache.nvml import DeviceReading, open_device
from timbre_server.voicecache.sizing import SizingLimits
from timbre_server.voicecache.sizing_loop import SizingLoop
from timbre_server.voicecache.slabs import SLAB_BYTES
from timbre_server.voicecache.storage import StorageFull
from timbre_server.voicecache.tier import Tier
from timbre_server.voicecache.torch_memory import STAGING_BYTES, CudaMemory, TorchMemory, torch_memory

pytestmark = pytest.mark.gpu

MIB = 1 << 20


@pytest.fixture
def memory(device: str) -> TorchMemory:
    return torch_memory(device)


def storage(memory: TorchMemory, slab_count: int, **options: Any) -> DeviceStorage:
    return DeviceStorage(memory, capacity_bytes=slab_count * SLAB_BYTES, **options)


def voice(seed: int, size_bytes: int = MIB) -> Features:
    generator = np.random.default_rng(seed)
    return {
        "latents": generator.standard_normal((4, size_bytes // 32), np.float32),
        "codes": generator.integers(0, 1 << 40, size_bytes // 16, np.int64),
    }


def same(stored: Mapping[str, Any], expected: Features) -> bool:
    return list(stored) == list(expected) and all(
        np.array_equal(stored[name].cpu().numpy(), array) for name, array in expected.items()
    )


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int64", "int32", "int16", "uint8", "bool"])
def test_arrays_of_each_type_lie_on_the_device_and_are_equal(
    torch: Any, memory: TorchMemory, dtype: str, device: str
) -> None:
    source = {
        "a": (np.arange(60).reshape(3, 4, 5) % 7).astype(dtype),
        "b": np.ones((), dtype),
        "c": np.ones((0, 2), dtype),
    }
    stored: Mapping[str, Any] = storage(memory, 1).store(source)
    assert same(stored, source)
    for name, array in source.items():
        assert stored[name].device.type == torch.device(device).type
        assert tuple(stored[name].shape) == array.shape
        assert stored[name].nbytes == array.nbytes


def test_bfloat16_is_stored_from_its_bit_patterns(torch: Any, memory: TorchMemory) -> None:
    values = torch.tensor([1.0, -2.5, 3e38, 0.0], dtype=torch.bfloat16)
    source = {"latents": values.view(torch.uint16).numpy()}
    stored: Mapping[str, Any] = storage(memory, 1, dtypes={"latents": "bfloat16"}).store(source)
    assert stored["latents"].dtype == torch.bfloat16
    assert torch.equal(stored["latents"].cpu(), values)


def test_voices_share_a_slab(memory: TorchMemory) -> None:
    held = storage(memory, 1)
    stores: list[Mapping[str, Any]] = [held.store(voice(seed)) for seed in range(8)]
    assert len({stored["codes"].untyped_storage().data_ptr() for stored in stores}) == 1
    assert all(same(stored, voice(seed)) for seed, stored in enumerate(stores))


def test_a_voice_larger_than_the_pinned_buffer_arrives_whole(memory: TorchMemory) -> None:
    source = voice(1, 2 * STAGING_BYTES + 12_345 * 32)
    assert same(storage(memory, 4).store(source), source)


def test_a_voice_may_be_used_at_once(torch: Any, memory: TorchMemory) -> None:
    held = storage(memory, 4)
    for seed in range(50):
        source = voice(seed)
        stored: Mapping[str, Any] = held.store(source)
        assert int(stored["codes"].sum()) == int(source["codes"].sum())
        held.free(stored)


def test_moved_voices_are_equal_and_so_is_what_was_taken_before(memory: TorchMemory) -> None:
    held = storage(memory, 4)
    stores: list[Mapping[str, Any]] = [held.store(voice(seed)) for seed in range(60)]
    for index, stored in enumerate(stores):
        if index % 5:
            held.free(stored)
    kept = stores[::5]
    taken = [stored["codes"] for stored in kept]
    held.resize(SLAB_BYTES)
    assert held.settle() == 3 * SLAB_BYTES
    for index, stored in enumerate(kept):
        assert same(stored, voice(5 * index))
        assert np.array_equal(taken[index].cpu().numpy(), voice(5 * index)["codes"])
    held.check_integrity()


def test_a_device_without_room_is_a_full_storage(memory: TorchMemory) -> None:
    endless = 1 << 60
    held = DeviceStorage(memory, capacity_bytes=endless, slab_bytes=endless)
    with pytest.raises(StorageFull if isinstance(memory, CudaMemory) else RuntimeError):
        held.store(voice(1))
    assert held.reserved_bytes == 0


def test_a_device_that_is_not_there_is_an_error_of_configuration(torch: Any) -> None:
    with pytest.raises(ConfigurationError):
        torch_memory("cuda:99")


def test_readers_beside_writers_read_their_own_voices(torch: Any, memory: TorchMemory) -> None:
    """An engine's thread that computes, while others store, free and shrink."""
    held = storage(memory, 6)
    stop = threading.Event()
    wrong: list[int] = []

    def use(seed: int) -> None:
        expected = voice(seed)
        total = int(expected["codes"].sum())
        for _ in range(60):
            try:
                stored: Mapping[str, Any] = held.store(expected)
            except StorageFull:
                continue
            if int(stored["codes"].sum()) != total:
                wrong.append(seed)
            held.free(stored)

    def shrink() -> None:
        count = 0
        while not stop.is_set():
            count += 1
            held.resize((2 + count % 5) * SLAB_BYTES)
            held.settle()

    users = [threading.Thread(target=use, args=(seed,)) for seed in range(3)]
    shrinker = threading.Thread(target=shrink)
    for thread in (*users, shrinker):
        thread.start()
    for thread in users:
        thread.join(120)
    stop.set()
    shrinker.join(120)
    assert wrong == []
    held.check_integrity()


def test_storing_waits_for_no_kernel(torch: Any, cuda: str, memory: CudaMemory) -> None:
    held = storage(memory, 1)
    held.store(voice(0))
    matrix = torch.ones(4096, 4096, device=cuda)
    torch.cuda.synchronize(cuda)
    for _ in range(200):
        matrix = matrix @ matrix * 1e-4
    busy = torch.cuda.current_stream(cuda).record_event()
    stores = [held.store(voice(seed)) for seed in (1, 2, 3)]
    assert not busy.query(), "the kernels still run, and all three voices are on their way"
    assert all(same(stored, voice(seed)) for seed, stored in zip((1, 2, 3), stores, strict=True))


def test_what_is_given_back_is_free_for_others(torch: Any, cuda: str, memory: CudaMemory) -> None:
    reader = open_device(uuid=memory.uuid(), torch_memory=memory.allocated_and_reserved)
    assert reader is not None
    try:
        held = storage(memory, 32)
        stores = [held.store(voice(seed)) for seed in range(32 * 15)]
        torch.cuda.synchronize(cuda)
        torch.cuda.empty_cache()
        before = reader.read()
        assert before is not None
        for index, stored in enumerate(stores):
            if index % 8:
                held.free(stored)
        held.resize(4 * SLAB_BYTES)
        given_back = held.settle()
        after = reader.read()
        assert after is not None
        assert given_back == 28 * SLAB_BYTES
        assert before.reserved_bytes - after.reserved_bytes == given_back, "torch has let go"
        assert after.free_bytes - before.free_bytes >= given_back * 9 // 10, "and the device has it"
        assert all(same(stored, voice(8 * index)) for index, stored in enumerate(stores[::8]))
    finally:
        reader.close()


class Nobody:
    """An observer of tier and loop that listens to nothing but resizes."""

    def __init__(self) -> None:
        self.resizes: list[str] = []

    def voice_cache_resized(self, reason: str) -> None:
        self.resizes.append(reason)

    def device_read(self, *told: Any) -> None:
        pass

    def voice_evicted(self, *told: Any) -> None:
        pass

    def watch_voice_cache(self, *told: Any) -> None:
        pass

    def watch_voice_lookups(self, *told: Any) -> None:
        pass


class Cpu:
    """Stands for a device of 4 GiB where there is none: counts the storage and a neighbour."""

    def __init__(self) -> None:
        self.storage: DeviceStorage | None = None
        self._taken_bytes = 0

    def read(self, *, load: bool = True) -> DeviceReading:
        total = 4096 * MIB
        used = self._taken_bytes + (self.storage.reserved_bytes if self.storage else 0)
        return DeviceReading(total, total - used, used)

    def neighbour_takes(self, nbytes: int) -> None:
        """Takes so many bytes, after giving back what was taken before."""
        self._taken_bytes = nbytes


class Cuda:
    """The device itself, through NVML; its neighbour's memory is torch's, but no less gone."""

    def __init__(self, torch: Any, memory: CudaMemory, device: str) -> None:
        reader = open_device(uuid=memory.uuid(), torch_memory=memory.allocated_and_reserved)
        assert reader is not None
        self.read = reader.read
        self.close = reader.close
        self.storage: DeviceStorage | None = None
        self._torch, self._device = torch, device
        self._taken: Any = None

    def neighbour_takes(self, nbytes: int) -> None:
        """The same."""
        self._taken = None
        self._torch.cuda.empty_cache()
        if nbytes:
            self._taken = self._torch.empty(nbytes, dtype=self._torch.uint8, device=self._device)


@pytest.fixture
def scene(torch: Any, memory: TorchMemory, device: str) -> Iterator[Cpu | Cuda]:
    if not isinstance(memory, CudaMemory):
        yield Cpu()
        return
    cuda = Cuda(torch, memory, device)
    yield cuda
    cuda.neighbour_takes(0)
    cuda.close()


def test_the_cache_gives_way_to_a_neighbour_and_comes_back(memory: TorchMemory, scene: Cpu | Cuda) -> None:
    """Step of pressure, then calm: on the real device, through the real NVML, where there is one."""
    limits = SizingLimits(min_bytes=4 * SLAB_BYTES, max_bytes=32 * SLAB_BYTES, keep_free_percent=20, dwell_seconds=1.0)
    now, heard, sources = 0.0, Nobody(), [voice(seed) for seed in range(7)]
    held = storage(memory, 32)
    scene.storage = held
    tier = Tier("device", held, capacity_bytes=limits.max_bytes, observer=heard, ghost_bytes=limits.max_bytes)
    loop = SizingLoop(tier, held, scene, limits, observer=heard, clock=lambda: now)
    assert tier.capacity_bytes == limits.max_bytes

    def use(voices: range) -> None:
        for seed in voices:
            lease = tier.get(str(seed)) or tier.put(str(seed), str(seed), sources[seed % 7])
            assert lease is not None
            assert same(lease.features, sources[seed % 7])
            lease.release()

    use(range(32 * 15))
    calm = scene.read()
    assert calm is not None
    free_of_charge = calm.free_bytes - calm.total_bytes // 5
    scene.neighbour_takes(free_of_charge + 64 * MIB)
    loop.tick()
    assert heard.resizes == ["pressure"]
    assert held.reserved_bytes <= tier.capacity_bytes <= limits.max_bytes - 64 * MIB
    pressed = scene.read()
    assert pressed is not None
    assert pressed.free_bytes >= pressed.total_bytes // 5
    loop.tick()
    assert heard.resizes == ["pressure"], "what was given back counts"
    scene.neighbour_takes(0)
    for _ in range(6):
        use(range(32 * 15))
        now += 1.1
        loop.tick()
    assert heard.resizes[1:].count("demand") >= 2
    assert tier.capacity_bytes > limits.max_bytes - 64 * MIB - limits.step_bytes
    tier.check_integrity()
    held.check_integrity()
