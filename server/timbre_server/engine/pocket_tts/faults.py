"""What does an error of torch mean: too large a batch, one bad call, or a device that is gone for good?"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final, TypeVar

import torch  # type: ignore[import-not-found,unused-ignore]

from timbre_server.errors import EngineError, EngineOutOfMemory

T = TypeVar("T")

_CPU_OUT_OF_MEMORY: Final = "DefaultCPUAllocator"
"""In the message of torch's CPU allocator, which raises a plain RuntimeError where CUDA's has a class of its own."""


def _nothing() -> None:
    pass


class Device:
    """The place where the model computes, and whether it still does."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.broken: str | None = None
        """One sentence once it is gone for good: after such an error every later CUDA call fails, until a restart."""

    def attempt(self, work: Callable[[], T], let_go: Callable[[], None] = _nothing) -> T:
        """What ``work`` returns; if it fails, ``let_go`` drops what else the batch holds on the device.

        Raises:
            EngineOutOfMemory: no memory for it; what it had is free again, for other processes too.
            EngineError: anything else that torch raises.
        """
        failure: EngineError
        try:
            return work()
        except (torch.OutOfMemoryError, MemoryError):
            failure = EngineOutOfMemory("the engine's device has no memory left for this batch")
        except RuntimeError as error:
            failure = self._meaning(error)
        # Out of the except block the error is gone, and with it the frames that hold the tensors of the attempt: only
        # now can their memory be given back.  So the failure has no cause; its message says what torch said.
        let_go()
        self.give_back()
        raise failure

    def alive(self) -> bool:
        """Whether the device still answers."""
        if self.device.type != "cuda":
            return True
        try:
            torch.cuda.synchronize(self.device)
        except RuntimeError:
            return False
        return True

    def _meaning(self, error: RuntimeError) -> EngineError:
        if _CPU_OUT_OF_MEMORY in str(error):
            return EngineOutOfMemory("the engine has no memory left for this batch")
        if not self.alive():
            self.broken = f"the device {self.device} failed and needs a restart ({type(error).__name__})"
            return EngineError(self.broken)
        return EngineError(f"the engine failed ({type(error).__name__})")

    def give_back(self) -> None:
        """Hands memory that torch holds in reserve back to the machine."""
        if self.device.type == "cuda" and self.broken is None:
            with contextlib.suppress(RuntimeError):
                torch.cuda.empty_cache()


def chosen(wish: str) -> torch.device:
    """The device of that name, or the best one that there is.

    Raises:
        RuntimeError: torch knows no device of that name.
    """
    return torch.device(wish or ("cuda:0" if torch.cuda.is_available() else "cpu"))
