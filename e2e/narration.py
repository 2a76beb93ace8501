"""What happens right now, and how long has it taken?"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from e2e.kubectl import Kubectl

SCREEN_COLUMNS = 150


@dataclass
class Narration:
    """Lines with the time since the demo began; several threads may speak."""

    began: float = field(default_factory=time.monotonic)
    measured: list[tuple[str, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, text: str) -> None:
        with self._lock:
            print(f"[{time.monotonic() - self.began:6.1f}s] {text[:SCREEN_COLUMNS]}", flush=True)

    def note(self, what: str, value: str) -> None:
        """Also a row of the table at the end."""
        self.say(f"{what}: {value}")
        self.measured.append((what, value))

    def follow(self, name: str, command: Sequence[str | Path]) -> None:
        """Runs a program and tells what it prints.

        Raises:
            RuntimeError: it failed.
        """
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as program:
            assert program.stdout is not None
            for line in program.stdout:
                self.say(f"{name}: {line.rstrip()}")
        if program.returncode:
            raise RuntimeError(f"{name} failed with {program.returncode}; its last lines stand above")

    def follow_together(self, programs: dict[str, Sequence[str | Path]]) -> None:
        """All of them at once; the first failure is raised when all have ended."""
        failures: list[RuntimeError] = []

        def run(name: str, command: Sequence[str | Path]) -> None:
            try:
                self.follow(name, command)
            except RuntimeError as error:
                failures.append(error)

        threads = [threading.Thread(target=run, args=item) for item in programs.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def watch(self, kubectl: Kubectl, what: str) -> subprocess.Popen[str]:
        """Tells each line of ``kubectl get --watch`` as it comes, until the process is ended."""
        process = subprocess.Popen(
            [
                kubectl.folder / "bin/kubectl",
                f"--kubeconfig={kubectl.folder / 'kubeconfig'}",
                f"--namespace={kubectl.namespace}",
                "get",
                what,
                "--watch",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        lines = process.stdout
        assert lines is not None

        def tell() -> None:
            for line in lines:
                self.say(f"    {line.rstrip()}")

        threading.Thread(target=tell, daemon=True).start()
        return process
