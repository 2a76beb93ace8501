"""What is said when torch fails, and what is given back?"""

from __future__ import annotations

import weakref
from collections.abc import Callable

import pytest

pytest.importorskip("torch", reason="needs torch: make test-torch")

import torch

from timbre_server.engine.pocket_tts.faults import Device, chosen
from timbre_server.errors import EngineError, EngineOutOfMemory


class DeadDevice(Device):
    """As CUDA after an illegal access: it answers nothing any more."""

    def alive(self) -> bool:
        return False


@pytest.fixture
def device() -> Device:
    return Device(torch.device("cpu"))


def raising(error: Exception) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


def test_what_works_is_handed_on(device: Device) -> None:
    assert device.attempt(lambda: 7) == 7


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        MemoryError(),
    ],
    ids=["cuda", "python"],
)
def test_no_memory_is_told_from_other_failures(device: Device, error: Exception) -> None:
    with pytest.raises(EngineOutOfMemory):
        device.attempt(raising(error))
    assert device.broken is None


def test_another_failure_breaks_nothing_for_good(device: Device) -> None:
    with pytest.raises(EngineError) as failed:
        device.attempt(raising(RuntimeError("mat1 and mat2 shapes cannot be multiplied")))

    assert not isinstance(failed.value, EngineOutOfMemory)
    assert device.broken is None


def test_a_device_that_answers_no_more_is_broken_for_good() -> None:
    device = DeadDevice(torch.device("cpu"))
    with pytest.raises(EngineError):
        device.attempt(raising(RuntimeError("CUDA error: an illegal memory access was encountered")))

    assert device.broken is not None
    assert "restart" in device.broken


def test_no_memory_on_a_cpu_is_told_too(device: Device) -> None:
    """A PiB, which no machine has."""
    with pytest.raises(EngineOutOfMemory):
        device.attempt(lambda: torch.empty(1 << 50, dtype=torch.uint8))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("no such kernel")])
def test_what_failed_holds_no_memory_when_the_failure_is_told(error: RuntimeError) -> None:
    """Else a batch of half the size would find the memory of the whole one still taken."""
    held: list[weakref.ref[torch.Tensor]] = []
    batch = [torch.ones(1000)]
    held.append(weakref.ref(batch[0]))
    alive_when_given_back: list[bool] = []

    class WatchedDevice(Device):
        def give_back(self) -> None:
            alive_when_given_back.extend(tensor() is not None for tensor in held)

    def greedy() -> None:
        ballast = torch.ones(1000)
        held.append(weakref.ref(ballast))
        raise type(error)(*error.args)

    with pytest.raises(EngineError) as failed:
        WatchedDevice(torch.device("cpu")).attempt(greedy, batch.clear)

    assert alive_when_given_back == [False, False]
    assert failed.value.__cause__ is None
    assert failed.value.__context__ is None


def test_other_peoples_errors_pass(device: Device) -> None:
    with pytest.raises(KeyError):
        device.attempt(raising(KeyError("latents")))


def test_the_wish_decides_where_else_cuda() -> None:
    assert chosen("cpu") == torch.device("cpu")
    assert chosen("") == torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    with pytest.raises(RuntimeError):
        chosen("abacus")
