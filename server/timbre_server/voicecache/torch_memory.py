"""How are slabs had from torch, written without stalling the device, and given back so that NVML sees it?

The only module of the cache that needs torch.  Uploads have a stream of their own, and go straight from where a voice lies
in page-locked memory, else through one pinned buffer; who uses an array first makes its own stream wait for the upload's
event, so that neither a thread nor the whole device is held up.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, Final

from timbre_server.domain.pcm import Array
from timbre_server.errors import ConfigurationError
from timbre_server.voicecache.arena import HugePages
from timbre_server.voicecache.device_storage import Move, Placed, Upload, raw_bytes
from timbre_server.voicecache.pinned import PinnedSlabs
from timbre_server.voicecache.slabs import SlabMemory

STAGING_BYTES: Final = 8 << 20
"""Pinned memory for uploads: twice the largest voice that the benchmarks know (4 MiB); larger ones go in several turns."""

_PORTABLE: Final = 1
"""``cudaHostRegisterPortable``: locked for every context, as torch locks memory itself."""


def torch_memory(device: str) -> TorchMemory:
    """Memory of a device by torch's name of it.

    Raises:
        ConfigurationError: there is no torch, or no such device.
    """
    try:
        torch = import_module("torch")
    except ImportError as error:
        raise ConfigurationError("The engine's device needs torch, which is not installed.") from error
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigurationError(f"torch cannot use the device {device}.") from error
    return CudaMemory(torch, device) if torch.device(device).type == "cuda" else TorchMemory(torch, device)


class TorchMemory:
    """``DeviceMemory`` of torch tensors, without streams: right for the CPU."""

    host: SlabMemory | None = None

    def __init__(self, torch: Any, device: str) -> None:
        self._torch = torch
        self._device = torch.device(device)
        self._dropped = False

    def allocate(self, nbytes: int) -> Any:
        try:
            return self._torch.empty(nbytes, dtype=self._torch.uint8, device=self._device)
        except self._torch.OutOfMemoryError as error:
            raise MemoryError(f"no {nbytes} bytes on {self._device}") from error

    def free(self, buffer: Any) -> None:  # noqa: ARG002 - the memory goes with the last view, which torch counts
        self._dropped = True

    def write(self, buffer: Any, offset: int, pieces: Sequence[tuple[Placed, Array]]) -> Upload | None:
        image = buffer.numpy()
        for place, array in pieces:
            image[offset + place.offset :][: place.nbytes] = raw_bytes(array)
        return None

    def views(self, buffer: Any, offset: int, places: Sequence[Placed]) -> Mapping[str, Any]:
        """Tensors; torch knows no read-only ones, so that nobody writes into them is the engine's promise."""
        views = {}
        for place in places:
            begin = offset + place.offset
            flat = buffer[begin : begin + place.nbytes]
            views[place.name] = flat.view(getattr(self._torch, place.dtype)).reshape(place.shape)
        return views

    def copy(self, moves: Sequence[Move]) -> None:
        for move in moves:
            moved = move.source[move.source_offset :][: move.nbytes]
            move.target[move.target_offset :][: move.nbytes].copy_(moved, non_blocking=True)

    def trim(self) -> None:
        self._dropped = False


class CudaMemory(TorchMemory):
    """The same on CUDA.

    Engines are expected to work on the device's default stream, as torch does unless told otherwise, and to have read a
    voice when its lease ends: speech that was delivered has left the device, and the kernels before it are over.
    """

    def __init__(self, torch: Any, device: str) -> None:
        super().__init__(torch, device)
        self._stream = torch.cuda.Stream(self._device)
        self._staging = torch.empty(STAGING_BYTES, dtype=torch.uint8, pin_memory=True)
        self._staging_image = self._staging.numpy()
        self._staged: Any = None
        self._lent: Any = None
        self._flying: deque[tuple[Any, object]] = deque()
        """Ends of copies that may not be over, and what they read meanwhile."""
        self._lock = threading.Lock()
        self._page_lock = ThreadPoolExecutor(1, "page-lock")
        self.host = self._locked = PinnedSlabs(_CudaPageLock(torch, self._device), HugePages(), self._page_lock)

    def allocate(self, nbytes: int) -> Any:
        buffer = super().allocate(nbytes)
        buffer.record_stream(self._stream)  # freed while a copy runs, it stays ours until the copy is over
        # torch may lend what kernels on their way still read; our first bytes there come after them.
        self._lent = self._torch.cuda.default_stream(self._device).record_event()
        return buffer

    def write(self, buffer: Any, offset: int, pieces: Sequence[tuple[Placed, Array]]) -> Upload | None:
        parts = [(place.offset, raw_bytes(array)) for place, array in pieces if array.nbytes]
        locked = [(begin, source) for begin, part in parts if (source := self._locked.locked(part)) is not None]
        if not parts:
            return None
        with self._lock:
            self._wait_for_lent()
            if len(locked) == len(parts):
                copied = self._copied(buffer, offset, locked)
                self._flying.append((copied, parts))
            else:
                copied = self._copied_in_turns(buffer, offset, parts)
            while self._flying and self._flying[0][0].query():
                self._flying.popleft()
        return _CudaUpload(self._torch, self._device, copied)

    def copy(self, moves: Sequence[Move]) -> None:
        if not moves:
            return
        with self._lock:
            self._wait_for_lent()
            with self._torch.cuda.stream(self._stream):
                super().copy(moves)
                copied = self._stream.record_event()
        copied.synchronize()

    def trim(self) -> None:
        """Frees what torch keeps back, ours and the engine's: waits for the kernels that run."""
        if self._dropped:
            self._dropped = False
            with self._torch.cuda.device(self._device):
                self._torch.cuda.empty_cache()

    def allocated_and_reserved(self) -> tuple[int, int]:
        """What torch uses of the device, and what it has taken from it, both in bytes."""
        statistics = self._torch.cuda.memory_stats(self._device)
        return statistics.get("allocated_bytes.all.current", 0), statistics.get("reserved_bytes.all.current", 0)

    def uuid(self) -> str:
        """The device's name for NVML: of the GPU, or of its MIG instance."""
        return str(self._torch.cuda.get_device_properties(self._device).uuid)

    def _wait_for_lent(self) -> None:
        if self._lent is not None:
            self._stream.wait_event(self._lent)  # never forgotten: another thread may lend the next one meanwhile

    def _copied(self, buffer: Any, offset: int, sources: Sequence[tuple[int, Array]]) -> Any:
        """The end of copies from page-locked memory."""
        with self._torch.cuda.stream(self._stream):
            for begin, source in sources:
                target = buffer[offset + begin : offset + begin + len(source)]
                target.copy_(self._torch.from_numpy(source), non_blocking=True)
            return self._stream.record_event()

    def _copied_in_turns(self, buffer: Any, offset: int, parts: Sequence[tuple[int, Array]]) -> Any:
        """The end of copies through the pinned buffer."""
        end = max(begin + len(part) for begin, part in parts)
        for begin in range(0, end, STAGING_BYTES):
            size = min(STAGING_BYTES, end - begin)
            if self._staged is not None:
                self._staged.synchronize()  # the last turn's bytes have left the pinned buffer
            self._stage(parts, begin, size)
            with self._torch.cuda.stream(self._stream):
                target = buffer[offset + begin : offset + begin + size]
                target.copy_(self._staging[:size], non_blocking=True)
                self._staged = self._stream.record_event()
        return self._staged

    def _stage(self, parts: Sequence[tuple[int, Array]], begin: int, size: int) -> None:
        for offset, part in parts:
            low, high = max(offset, begin), min(offset + len(part), begin + size)
            if low < high:
                self._staging_image[low - begin : high - begin] = part[low - offset : high - offset]


class _CudaUpload:
    def __init__(self, torch: Any, device: Any, event: Any) -> None:
        self._torch = torch
        self._device = device
        self._event = event

    def awaited(self) -> bool:
        if self._event.query():
            return True
        self._torch.cuda.current_stream(self._device).wait_event(self._event)
        return False


class _CudaPageLock:
    """``PageLock`` by the CUDA runtime; an error stays with the thread that called it, and fails no kernel of others."""

    def __init__(self, torch: Any, device: Any) -> None:
        self._torch = torch
        self._device = device

    def lock(self, address: int, nbytes: int) -> None:
        with self._torch.cuda.device(self._device):
            self._check(self._torch.cuda.cudart().cudaHostRegister(address, nbytes, _PORTABLE))

    def unlock(self, address: int) -> None:
        with self._torch.cuda.device(self._device):
            self._check(self._torch.cuda.cudart().cudaHostUnregister(address))

    def _check(self, status: Any) -> None:
        if int(status):
            raise MemoryError(f"CUDA error {int(status)}")
