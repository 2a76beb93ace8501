"""What every row shares: a result with its bars, the load of one client, and the memory of a process."""

from __future__ import annotations

import http.client
import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Bar:
    """A figure and the bound that it should keep."""

    figure: str
    value: float
    unit: str
    bound: float
    at_most: bool = True

    @property
    def kept(self) -> bool:
        """Whether the bound is kept."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound


@dataclass(frozen=True)
class Chart:
    """A picture of a row: us, the peers, and the line to keep; ``benchmarks.plots`` says how one is drawn."""

    title: str
    """What is measured, without the unit."""
    unit: str
    bars: Mapping[str, float]
    """Who -> value, in order: first ours, whose names begin with ``timbre``, then the peers."""
    limit: float | None = None
    """The bound that ours should keep, in the same unit; drawn as a line."""
    at_most: bool = True
    """Whether ours shall stay below the limit, or above it."""
    ours: Sequence[str] = ()
    """Keys of ``bars`` that are ours, where their names do not say so."""


@dataclass(frozen=True)
class Result:
    """What a row measured."""

    row: str
    workload: str
    bars: Sequence[Bar]
    figures: dict[str, Any] = field(default_factory=dict)
    charts: Sequence[Chart] = ()
    """For the plot; a row without any gets its bars beside their bounds."""


@dataclass(frozen=True)
class Reply:
    """One answered speech request."""

    body: bytes
    first_byte_seconds: float
    seconds: float


class Client:
    """One keep-alive connection to a server; the least that a client can cost."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)

    def speak(self, text: str, response_format: str, voice: str = "alloy", **extra: Any) -> Reply:
        """Says the text, though it may have been said before; raises on anything but 200."""
        body = {"model": "tts-1", "voice": voice, "input": text, "response_format": response_format, **extra}
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        began = time.perf_counter()
        self._connection.request("POST", "/v1/audio/speech", json.dumps(body), headers)
        response = self._connection.getresponse()
        first = response.read1(65536)
        first_byte = time.perf_counter() - began
        rest = response.read()
        if response.status != 200:
            raise RuntimeError(f"status {response.status}: {first + rest!r}")
        return Reply(first + rest, first_byte, time.perf_counter() - began)

    def enrol(self, recording: Path) -> str:
        """The id of a new voice."""
        boundary = "timbre-benchmark"
        parts = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="name"\r\n\r\n{recording.stem}\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="audio_sample"; filename="a"\r\n'
            "Content-Type: audio/flac\r\n\r\n"
        ).encode()
        body = parts + recording.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        self._connection.request(
            "POST", "/v1/audio/voices", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        )
        return str(json.load(self._connection.getresponse())["id"])


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies (nearest rank)."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def pss_mib(pid: int) -> float:
    """Proportional set size of a process and all its descendants, in MiB."""
    total_kib = 0
    for member in [pid, *_descendants(pid)]:
        for line in Path(f"/proc/{member}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                total_kib += int(line.split()[1])
    return total_kib / 1024


def cpu_seconds(pid: int) -> float:
    """What a process and all its descendants have had of the processors so far."""
    ticks = 0
    for member in [pid, *_descendants(pid)]:
        fields = Path(f"/proc/{member}/stat").read_text("ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text("ascii").split():
            found += [int(child), *_descendants(int(child))]
    return found


def pin_to_core(core: int) -> None:
    """Keeps this process off the server's core.  Raises: RuntimeError, where there is no such core for it."""
    if core not in (free := os.sched_getaffinity(0)):
        raise RuntimeError(
            f"core {core} is needed, for server and client have one each; this process may use {sorted(free)}"
        )
    os.sched_setaffinity(0, {core})
