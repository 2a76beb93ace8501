"""A real ``redis-server`` on a free port of this machine, with whatever options, to be killed at will."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

BINARY = os.environ.get("REDIS_SERVER", "redis-server")
"""Another binary than the system's, as Redis 8 or Valkey."""

REDIS_IS_HERE = shutil.which(BINARY) is not None


class RedisServer:
    """One server process; its folder outlives a restart and goes with ``close``."""

    def __init__(self, *options: str, port: int | None = None) -> None:
        """``options`` as on its command line: ``"--appendonly", "yes"``.  Running when this returns."""
        self.folder = Path(tempfile.mkdtemp(prefix="timbre-redis-"))
        self.port = port or free_port()
        self.options = options
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Over TCP, as users connect."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Starts it (again), on the same port with the same folder, and returns when it accepts connections."""
        self._process = subprocess.Popen(
            [
                *(BINARY, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""),
                *("--unixsocket", str(self.folder / "redis.sock"), "--daemonize", "no", *self.options),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "Ready to accept connections" in line:
                break
        else:
            message = f"{BINARY} did not start with {self.options}"
            raise RuntimeError(message)
        # Whatever it says from now on is dropped, so that a full pipe never stops it.
        drain = ["sh", "-c", "exec cat >/dev/null"]
        self._reader = subprocess.Popen(drain, stdin=self._process.stdout)
        self._process.stdout.close()

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP makes a black hole of it, SIGCONT brings it back."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL: nothing is saved that was not on its way to the disk."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._reader.wait()
            self._process = None

    def close(self) -> None:
        """Kills it and removes its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def free_port() -> int:
    """A TCP port that nobody listens on, for a server that may go away and come back on it.

    It lies below those that outgoing connections are given: one of them may take any of its own in the meantime.
    """
    outgoing = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii")
    first_outgoing = int(outgoing.split()[0])
    while True:
        port = first_outgoing // 2 + secrets.randbelow(first_outgoing // 2)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
