"""What does speech cost that was said before?  Beside it, in the same run: a plain cache in FastAPI, and Triton's own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.closed_loop import load, request
from benchmarks.measuring import Bar, Chart, Result, cpu_seconds, median, pin_to_core, quantile
from examples.local_redis import RedisServer
from examples.local_server import LocalServer

SERVER_CORE, CLIENT_CORE = 0, 1
AT_ONCE = 8
ROUNDS = 7
SLICE_SECONDS = 0.7
"""All servers in turn, so that all see the same machine."""
TEXT = "x" * 52
"""3.1 s of the stub's speech, 150 KB as WAV: the upper half of what the articles give for a sentence."""
PATH = "/v1/audio/speech"
TRITON_PYTHON = Path(__file__).resolve().parents[1] / ".venv-triton" / "bin" / "python"
TRITON_BODY = {
    "inputs": [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [TEXT]}],
    "outputs": [{"name": "audio", "parameters": {"binary_data": True}}],
}
HOST, SHARED = "timbre, in-process tier", "timbre, Redis tier"
PLAIN, TRITON = "FastAPI + redis-py", "Triton, response cache"
STUB = {"ENGINE__NAME": "stub", "LOG__ACCESS": "false"}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Peer:
    """A server that runs."""

    url: str
    pid: int


@contextlib.contextmanager
def _peer(command: list[str], url: str, ready: str) -> Iterator[Peer]:
    """Another server on the servers' core."""
    pinned = ["taskset", "--cpu-list", str(SERVER_CORE), *command]
    process = subprocess.Popen(pinned, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(url + ready, timeout=1).close()
                break
            time.sleep(0.1)
        else:
            raise RuntimeError(f"{command} did not start")
        yield Peer(url, process.pid)
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def plain_server(redis_url: str) -> Iterator[Peer]:
    """FastAPI and redis-py."""
    port = _free_port()
    command = [sys.executable, "-m", "benchmarks.plain_cache_server", str(port), redis_url]
    with _peer(command, f"http://127.0.0.1:{port}", "/calls") as peer:
        yield peer


@contextlib.contextmanager
def _triton(answer_bytes: int) -> Iterator[Peer]:
    port = _free_port()
    command = [str(TRITON_PYTHON), "-m", "benchmarks.triton_server", str(port), str(answer_bytes)]
    with _peer(command, f"http://127.0.0.1:{port}", "/v2/models/tts/ready") as peer:
        yield peer


def _speech(url: str) -> bytes:
    body = json.dumps({"model": "tts-1", "voice": "alloy", "input": TEXT, "response_format": "wav"}).encode()
    return request(url, PATH, body, "Content-Type: application/json")


@dataclass
class Measured:
    """One server, the request that hits there, and what came of it."""

    peer: Peer
    message: bytes
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    answers: int = 0
    cpu_seconds: float = 0.0
    seconds: float = 0.0

    def one_at_a_time(self) -> None:
        """How long an answer takes."""
        latencies = load(self.peer.url, self.message, connections=1, seconds=SLICE_SECONDS).latencies
        self.p50_ms.append(median(latencies) * 1000)
        self.p99_ms.append(quantile(latencies, 0.99) * 1000)

    def several_at_a_time(self) -> None:
        """What an answer takes of the server's core."""
        before = cpu_seconds(self.peer.pid)
        several = load(self.peer.url, self.message, connections=AT_ONCE, seconds=SLICE_SECONDS)
        self.cpu_seconds += cpu_seconds(self.peer.pid) - before
        self.answers += len(several.latencies)
        self.seconds += several.seconds

    @property
    def per_core_second(self) -> float:
        """Answers for each second that the server had of its core: its rate where nothing else runs there and no client is
        too slow for it."""
        return self.answers / self.cpu_seconds

    def figures(self) -> dict[str, float]:
        """For the JSON."""
        return {
            "p50_ms": median(self.p50_ms),
            "p99_ms": median(self.p99_ms),
            "per_core_second": self.per_core_second,
            "per_second": self.answers / self.seconds,
        }


def _servers(stack: contextlib.ExitStack) -> dict[str, Measured]:
    redis = RedisServer("--maxmemory", "1gb", "--maxmemory-policy", "volatile-lru")
    stack.callback(redis.close)
    os.sched_setaffinity(redis.pid, {CLIENT_CORE})
    shared = {**STUB, "REDIS__URL": redis.url}
    only_redis = {**shared, "RESULT_CACHE__HOST_MAX_BYTES": "0", "SCOPE": "redis"}
    ours = [stack.enter_context(LocalServer(settings, core=SERVER_CORE)) for settings in (shared, only_redis)]
    peers = [Peer(server.url, server.process.pid) for server in ours] + [stack.enter_context(plain_server(redis.url))]
    servers = {name: Measured(peer, _speech(peer.url)) for name, peer in zip((HOST, SHARED, PLAIN), peers, strict=True)}
    if TRITON_PYTHON.exists():
        triton = stack.enter_context(_triton(150_000))
        servers[TRITON] = Measured(
            triton, request(triton.url, "/v2/models/tts/infer", json.dumps(TRITON_BODY).encode())
        )
    return servers


def results() -> Result:
    """Slices of load on each server in turn."""
    pin_to_core(CLIENT_CORE)
    with contextlib.ExitStack() as stack:
        servers = _servers(stack)
        for server in servers.values():
            load(server.peer.url, server.message, connections=1, seconds=1.0)  # said, stored, and found once
        for _ in range(ROUNDS):
            for server in servers.values():
                server.one_at_a_time()
                server.several_at_a_time()
        return _result({name: server.figures() for name, server in servers.items()})


def _result(figures: Mapping[str, Mapping[str, float]]) -> Result:
    def beside(ours: str, peer: str, figure: str = "per_core_second") -> float:
        return figures[ours][figure] / figures[peer][figure]

    bars = [
        Bar("Redis tier's rate beside FastAPI + redis-py", beside(SHARED, PLAIN), "x", 2.0, at_most=False),
        Bar("in-process tier's rate beside FastAPI + redis-py", beside(HOST, PLAIN), "x", 3.0, at_most=False),
    ]
    if TRITON in figures:
        bars += [
            Bar("in-process tier's p50 beside Triton's", beside(HOST, TRITON, "p50_ms"), "x", 2.0),
            Bar("in-process tier's rate beside Triton's", beside(HOST, TRITON), "x", 0.4, at_most=False),
        ]
    charts = [
        Chart(title, unit, {name: each[figure] for name, each in figures.items()}, at_most=unit == "ms")
        for title, unit, figure in (
            (f"Answers for each second of the server's core, {AT_ONCE} at a time", "1/s", "per_core_second"),
            ("One at a time, p50", "ms", "p50_ms"),
            ("One at a time, p99", "ms", "p99_ms"),
        )
    ]
    missing = "" if TRITON in figures else "; Triton is not installed (scripts/triton_peer.sh), so it was not measured"
    workload = f"150 KB of WAV that was said before, through HTTP, each server on one core{missing}"
    return Result("results", workload, bars, dict(figures), charts)
