"""What does the driver say of our device: its memory, its load, its temperature?

Through ``nvidia-ml-py``, which is loaded on the first use.  Without it, without a driver or without a device there is no
reader, and the log says once that the budget is fixed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

_log = logging.getLogger("timbre.voicecache")

VISIBLE: Final = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
"""Which devices this process may use: CUDA's word first, then that of the container's runtime."""
ALL: Final = frozenset({"", "all"})
"""What the container's runtime says where it hides nothing."""
NONE: Final = frozenset({"none", "void", "nodevfiles", "-1"})
"""What CUDA and the container's runtime say where no device is meant."""

TorchMemoryUse = Callable[[], tuple[int, int]]
"""(allocated, reserved) in bytes, as torch counts them for this process."""


@dataclass(frozen=True)
class DeviceReading:
    """One look at the device; bytes, of all processes together unless said."""

    total_bytes: int
    free_bytes: int
    used_bytes: int
    allocated_bytes: int = 0
    """In tensors of this process."""
    reserved_bytes: int = 0
    """Taken from the device by this process, in tensors or kept back for the next ones."""
    utilization: float | None = None
    """Share of time in which a kernel ran, 0 to 1; None where the device does not say, as MIG instances."""
    temperature_celsius: float | None = None

    def memory_bytes(self) -> Mapping[str, int]:
        """By kind, as ``timbre_device_memory_bytes`` names them."""
        return {
            "total": self.total_bytes,
            "used": self.used_bytes,
            "free": self.free_bytes,
            "allocated": self.allocated_bytes,
            "reserved": self.reserved_bytes,
        }


class DeviceReader:
    """Reads one device until ``close``; thread-safe as NVML is."""

    def __init__(self, nvml: Any, handle: Any, torch_memory: TorchMemoryUse | None = None) -> None:
        self._nvml = nvml
        self._handle = handle
        self._torch_memory = torch_memory
        self._version: int | None = nvml.nvmlMemory_v2

    def read(self, *, load: bool = True) -> DeviceReading | None:
        """The device now; None if the driver does not answer.  Without ``load``: memory alone, which is what costs least."""
        try:
            memory = self.memory()
        except self._nvml.NVMLError as error:
            _log.debug("device not read", extra={"fields": {"error": str(error)}})
            return None
        allocated, reserved = self._torch_memory() if self._torch_memory else (0, 0)
        utilization = self._optional(self._nvml.nvmlDeviceGetUtilizationRates) if load else None
        celsius = self._optional(self._nvml.nvmlDeviceGetTemperature, self._nvml.NVML_TEMPERATURE_GPU) if load else None
        return DeviceReading(
            total_bytes=memory.total,
            free_bytes=memory.free,
            used_bytes=memory.used,
            allocated_bytes=allocated,
            reserved_bytes=reserved,
            utilization=None if utilization is None else utilization.gpu / 100,
            temperature_celsius=None if celsius is None else float(celsius),
        )

    def close(self) -> None:
        """Ends the use of the driver."""
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError as error:
            _log.debug("driver not closed", extra={"fields": {"error": str(error)}})

    def memory(self) -> Any:
        """What NVML says of the memory; version 2 counts apart what the driver keeps, and drivers before 510 lack it.

        Raises:
            NVMLError: the driver does not answer.
        """
        if self._version is None:
            return self._nvml.nvmlDeviceGetMemoryInfo(self._handle)
        try:
            return self._nvml.nvmlDeviceGetMemoryInfo(self._handle, version=self._version)
        except self._nvml.NVMLError:
            memory = self._nvml.nvmlDeviceGetMemoryInfo(self._handle)
            self._version = None
            return memory

    def _optional(self, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(self._handle, *arguments)
        except self._nvml.NVMLError:
            return None


def open_device(
    ordinal: int = 0,
    *,
    uuid: str = "",
    environment: Mapping[str, str] | None = None,
    torch_memory: TorchMemoryUse | None = None,
) -> DeviceReader | None:
    """A reader of the device that CUDA calls ``ordinal``, or None, once said in the log: then the budget is fixed.

    ``uuid`` is the device's own name where torch knows it: CUDA and NVML may number devices differently.
    """
    try:
        nvml = import_module("pynvml")
    except ImportError:
        _say_fixed("nvidia-ml-py is not installed")
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        _say_fixed(str(error))
        return None
    name = uuid or visible_device(ordinal, os.environ if environment is None else environment)
    try:
        if name is not None:
            reader = DeviceReader(nvml, _handle(nvml, name), torch_memory)
            reader.memory()
            return reader
        _say_fixed("no device is visible")
    except nvml.NVMLError as error:
        _say_fixed(str(error))
    nvml.nvmlShutdown()
    return None


def visible_device(ordinal: int, environment: Mapping[str, str]) -> str | None:
    """What NVML can find the device of that ordinal by: an index, ``GPU-...`` or ``MIG-...``; None if none is visible."""
    cuda, container = (environment.get(variable) for variable in VISIBLE)
    if cuda is not None:
        return _named(cuda, ordinal)
    if container is None or container.strip() in ALL:
        return str(ordinal)
    name = _named(container, ordinal)
    # The runtime's indices are those of the host; in the container NVML counts what is visible there.
    return str(ordinal) if name is not None and name.isdecimal() else name


def _named(names: str, ordinal: int) -> str | None:
    for position, name in enumerate(names.split(",")):
        if not name.strip() or name.strip().lower() in NONE:
            return None  # CUDA stops at the first that it cannot use
        if position == ordinal:
            return name.strip()
    return None


def _handle(nvml: Any, name: str) -> Any:
    """Raises: NVMLError."""
    if not name.isdecimal():
        return _handle_by_uuid(nvml, name)
    device = nvml.nvmlDeviceGetHandleByIndex(int(name))
    try:
        split, _ = nvml.nvmlDeviceGetMigMode(device)
    except nvml.NVMLError:
        return device
    # The memory of a GPU that is split is told to the privileged only; CUDA uses its first instance.
    return nvml.nvmlDeviceGetMigDeviceHandleByIndex(device, 0) if split else device


def _handle_by_uuid(nvml: Any, name: str) -> Any:
    """Raises: NVMLError."""
    for prefix in ("",) if name.startswith(("GPU-", "MIG-")) else ("GPU-", "MIG-"):  # torch leaves it away
        try:
            return nvml.nvmlDeviceGetHandleByUUID(prefix + name)
        except (nvml.NVMLError_NotFound, nvml.NVMLError_InvalidArgument):
            continue
    for index in range(nvml.nvmlDeviceGetCount()):  # CUDA takes the beginning of a name as well
        device = nvml.nvmlDeviceGetHandleByIndex(index)
        if nvml.nvmlDeviceGetUUID(device).startswith(name):
            return device
    raise nvml.NVMLError(nvml.NVML_ERROR_NOT_FOUND)


def _say_fixed(why: str) -> None:
    _log.warning("the voice cache keeps a fixed budget on the device", extra={"fields": {"reason": why}})
