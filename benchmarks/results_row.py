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
from pathlib import Path

from benchmarks.closed_loop import load, request
from benchmarks.measuring import Bar, Chart, Result, median, pin_to_core, quantile
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
STUB = {"ENGINE__NAME": "stub", "LOG__ACCESS": "false"}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def _peer(command: list[str], url: str, ready: str) -> Iterator[str]:
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
        yield url
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def plain_server(redis_url: str) -> Iterator[str]:
    """FastAPI and redis-py."""
    port = _free_port()
    command = [sys.executable, "-m", "benchmarks.plain_cache_server", str(port), redis_url]
    with _peer(command, f"http://127.0.0.1:{port}", "/calls") as url:
        yield url


@contextlib.contextmanager
def _triton(answer_bytes: int) -> Iterator[str]:
    port = _free_port()
    command = [str(TRITON_PYTHON), "-m", "benchmarks.triton_server", str(port), str(answer_bytes)]
    with _peer(command, f"http://127.0.0.1:{port}", "/v2/models/tts/ready") as url:
        yield url


def _speech(url: str) -> bytes:
    body = json.dumps({"model": "tts-1", "voice": "alloy", "input": TEXT, "response_format": "wav"}).encode()
    return request(url, PATH, body, "Content-Type: application/json")


def _messages(stack: contextlib.ExitStack) -> dict[str, tuple[str, bytes]]:
    """Each server's address and the request that hits there."""
    redis = RedisServer("--maxmemory", "1gb", "--maxmemory-policy", "volatile-lru")
    stack.callback(redis.close)
    os.sched_setaffinity(redis.pid, {CLIENT_CORE})
    shared = {**STUB, "REDIS__URL": redis.url}
    host = stack.enter_context(LocalServer(shared, core=SERVER_CORE)).url
    only_redis = {**shared, "RESULT_CACHE__HOST_MAX_BYTES": "0", "SCOPE": "redis"}
    from_redis = stack.enter_context(LocalServer(only_redis, core=SERVER_CORE)).url
    plain = stack.enter_context(plain_server(redis.url))
    messages = {
        "timbre, in-process tier": (host, _speech(host)),
        "timbre, Redis tier": (from_redis, _speech(from_redis)),
        "FastAPI + redis-py": (plain, _speech(plain)),
    }
    if TRITON_PYTHON.exists():
        url = stack.enter_context(_triton(150_000))
        body = json.dumps(TRITON_BODY).encode()
        messages["Triton, response cache"] = (url, request(url, "/v2/models/tts/infer", body))
    return messages


def results() -> Result:
    """Slices of load on each server in turn; the medians of their medians and rates."""
    pin_to_core(CLIENT_CORE)
    p50: dict[str, list[float]] = {}
    p99: dict[str, list[float]] = {}
    rates: dict[str, list[float]] = {}
    with contextlib.ExitStack() as stack:
        messages = _messages(stack)
        for url, message in messages.values():
            load(url, message, connections=1, seconds=1.0)  # said, stored, and found once
        for _ in range(ROUNDS):
            for name, (url, message) in messages.items():
                one = load(url, message, connections=1, seconds=SLICE_SECONDS)
                p50.setdefault(name, []).append(median(one.latencies) * 1000)
                p99.setdefault(name, []).append(quantile(one.latencies, 0.99) * 1000)
                several = load(url, message, connections=AT_ONCE, seconds=SLICE_SECONDS)
                rates.setdefault(name, []).append(several.per_second)
    return _result(_medians(p50), _medians(p99), _medians(rates))


def _medians(values: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: median(each) for name, each in values.items()}


def _result(p50: Mapping[str, float], p99: Mapping[str, float], rates: Mapping[str, float]) -> Result:
    host, shared, plain, triton = (
        "timbre, in-process tier",
        "timbre, Redis tier",
        "FastAPI + redis-py",
        "Triton, response cache",
    )
    bars = [
        Bar("Redis tier's rate beside FastAPI + redis-py", rates[shared] / rates[plain], "x", 2.0, at_most=False),
        Bar("in-process tier's rate beside FastAPI + redis-py", rates[host] / rates[plain], "x", 3.0, at_most=False),
    ]
    if triton in rates:
        bars += [
            Bar("in-process tier's p50 beside Triton's", p50[host] / p50[triton], "x", 2.0),
            Bar("in-process tier's rate beside Triton's", rates[host] / rates[triton], "x", 0.4, at_most=False),
        ]
    charts = [
        Chart(f"Answers a second, {AT_ONCE} at a time", "1/s", rates, at_most=False),
        Chart("One at a time, p50", "ms", p50),
        Chart("One at a time, p99", "ms", p99),
    ]
    figures = {name: {"p50_ms": p50[name], "p99_ms": p99[name], "per_second": rates[name]} for name in rates}
    missing = "" if triton in rates else "; Triton is not installed (scripts/triton_peer.sh), so it was not measured"
    workload = f"150 KB of WAV that was said before, through HTTP, each server on one core{missing}"
    return Result("results", workload, bars, figures, charts)
