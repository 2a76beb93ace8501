"""A ``timbre-server`` process on free ports of this machine, for the demo, the benchmarks and the tests."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SERVER = Path(sys.executable).with_name("timbre-server")


@dataclass
class LocalServer:
    """Use as a context manager: starts, waits until ready, and ends with SIGTERM."""

    settings: Mapping[str, str] = field(default_factory=dict)
    """Variables without their prefix, as ``{"ENGINE__NAME": "stub"}``."""
    core: int | None = None
    """Pins the process to one core."""
    start_timeout_seconds: float = 60.0
    lines: list[dict[str, Any]] = field(default_factory=list)
    """The log so far, a line each."""

    def __enter__(self) -> Self:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIMBRE_")}
        chosen = {"HTTP__PORT": "0", "HTTP__ADMIN_PORT": "0", "DRAIN__ACCEPT_SECONDS": "0", **self.settings}
        command = [str(SERVER)] if self.core is None else ["taskset", "--cpu-list", str(self.core), str(SERVER)]
        self.process = subprocess.Popen(
            command,
            env=inherited | {f"TIMBRE_{name}": value for name, value in chosen.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._ready: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            ready = self._ready.get(timeout=self.start_timeout_seconds)
        except queue.Empty:
            ready = None
        if ready is None:
            self.process.kill()
            self._reader.join()
            raise RuntimeError(f"the server did not start: {self.lines}")
        self.seconds_to_ready: float = ready["seconds"]
        self.url = f"http://127.0.0.1:{ready['api_port']}"
        self.admin_url = f"http://127.0.0.1:{ready['admin_port']}"
        return self

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                try:
                    entry = json.loads(line)
                except ValueError:
                    entry = {"message": line.rstrip()}
                self.lines.append(entry)
                if entry["message"] == "ready":
                    self._ready.put(entry)
        self._ready.put(None)

    def stop(self, with_signal: signal.Signals = signal.SIGTERM, timeout_seconds: float = 30.0) -> int:
        """Sends the signal, waits for the end and returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        try:
            code = self.process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._reader.join()
        return code

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
