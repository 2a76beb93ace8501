"""torch on a CPU that plays a CUDA device: copies happen when the stream is told to go on, as late as on a busy device."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any


class PlayedEvent:
    """The end of what a stream was given before."""

    def __init__(self, stream: PlayedStream) -> None:
        self._stream = stream
        self._after = stream.given

    def query(self) -> bool:
        return self._stream.done >= self._after

    def synchronize(self) -> None:
        self._stream.go()


class PlayedStream:
    """Does nothing by itself."""

    def __init__(self) -> None:
        self.given = 0
        self.done = 0
        self._waiting: list[Callable[[], object]] = []

    def add(self, copy: Callable[[], object]) -> None:
        self.given += 1
        self._waiting.append(copy)

    def go(self) -> None:
        """Does what it was given."""
        for copy in self._waiting:
            copy()
        self._waiting.clear()
        self.done = self.given

    def record_event(self) -> PlayedEvent:
        return PlayedEvent(self)

    def wait_event(self, event: PlayedEvent) -> None:
        """Whoever computes on it sees what came before."""
        event.synchronize()


class PlayedRuntime:
    """Of the CUDA runtime what locks pages; ``refuses``: with error 2, as where there is no memory for it."""

    def __init__(self) -> None:
        self.refuses = False
        self.registered: dict[int, int] = {}

    def cudaHostRegister(self, address: int, nbytes: int, flags: int) -> int:  # noqa: N802 - the runtime's name
        assert flags == 1, "portable"
        if self.refuses:
            return 2
        self.registered[address] = nbytes
        return 0

    def cudaHostUnregister(self, address: int) -> int:  # noqa: N802 - the runtime's name
        return 0 if self.registered.pop(address, None) else 713


class PlayedCuda:
    """Of ``torch.cuda`` what the cache's memory asks for."""

    def __init__(self) -> None:
        self.runtime = PlayedRuntime()
        self.uploads: PlayedStream | None = None
        self._default = PlayedStream()
        self.current = self._default

    def Stream(self, device: Any) -> PlayedStream:  # noqa: N802 - torch's name and signature
        self.uploads = PlayedStream()
        return self.uploads

    def default_stream(self, device: Any) -> PlayedStream:
        return self._default

    def current_stream(self, device: Any) -> PlayedStream:
        return self.current

    @contextlib.contextmanager
    def stream(self, stream: PlayedStream) -> Iterator[None]:
        before, self.current = self.current, stream
        yield
        self.current = before

    @contextlib.contextmanager
    def device(self, device: Any) -> Iterator[None]:
        yield

    def cudart(self) -> PlayedRuntime:
        return self.runtime


class PlayedTorch:
    """torch, but for its CUDA device."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self.cuda = PlayedCuda()
        cuda = self.cuda

        class OnTheDevice(torch.Tensor):  # type: ignore[misc]  # torch is not there for the type checker
            def record_stream(self, stream: PlayedStream) -> None:
                pass

            def copy_(self, source: Any, *, non_blocking: bool = False) -> None:
                assert non_blocking
                target = self.as_subclass(torch.Tensor)
                cuda.current.add(lambda: target.copy_(source))

        self._kind = OnTheDevice

    def __getattr__(self, name: str) -> Any:
        return getattr(self._torch, name)

    def empty(self, *size: Any, pin_memory: bool = False, **options: Any) -> Any:
        made = self._torch.empty(*size, **options)
        return made if pin_memory else made.as_subclass(self._kind)
