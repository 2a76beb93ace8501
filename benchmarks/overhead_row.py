"""What does the server add to its engine?  Beside it, in the same run: the engine alone, and a server that does nothing."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from urllib.parse import urlsplit

import numpy as np

from benchmarks.measuring import Bar, Result, median, quantile
from benchmarks.server_rows import SENTENCES
from examples.local_server import LocalServer
from timbre_server.domain.speech import SpeechParameters
from timbre_server.engine.stub import StubEngine
from timbre_server.ports import Utterance

FIXED_SECONDS, PER_JOB_SECONDS = 0.020, 0.002
ROUNDS = 200
BLOCK = 20
"""Calls in a row before the next kind has its turn: as one client makes them, and all kinds still see the same machine.
One by one, whichever comes after another process pays for its cold caches: 0.3 ms here."""
END_OF_CHUNKS = b"0\r\n\r\n"


class LeanClient:
    """A socket and no more: Python's HTTP client takes 1 ms of its own, which is not the server's."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(1 << 20)

    def seconds(self, response_format: str, text: str = "") -> tuple[float, int]:
        """From the first byte sent to the last byte received, and how many were received.

        A ``text`` may be kept; the usual one is made again each time.
        """
        body = json.dumps(
            {"model": "tts-1", "voice": "alloy", "input": text or SENTENCES[0], "response_format": response_format}
        ).encode()
        cache_control = b"" if text else b"Cache-Control: no-store\r\n"
        request = (
            b"POST /v1/audio/speech HTTP/1.1\r\nHost: timbre\r\nContent-Type: application/json\r\n%b"
            b"Content-Length: %d\r\n\r\n%b" % (cache_control, len(body), body)
        )
        view, received, length = memoryview(self._buffer), 0, None
        began = time.perf_counter()
        self._socket.sendall(request)
        while True:
            received += self._socket.recv_into(view[received:])
            length = length or _length(bytes(view[:1024]))
            if received == length or (length < 0 and view[received - 5 : received] == END_OF_CHUNKS):
                return time.perf_counter() - began, received


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _length(beginning: bytes) -> int:
    """Bytes of head and body, or -1 if the body comes in chunks."""
    head, _, _ = beginning.lower().partition(b"\r\n\r\n")
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(f"not a success: {head!r}")
    _, found, rest = head.partition(b"content-length: ")
    return len(head) + 4 + int(rest.split(b"\r\n")[0]) if found else -1


@contextlib.contextmanager
def _bare_server(body_bytes: int) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    seconds = str(FIXED_SECONDS + PER_JOB_SECONDS)
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.bare_server", str(port), seconds, str(body_bytes)])
    try:
        for _ in range(100):
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def overhead() -> Result:
    """Engine alone, bare server and Timbre, in turn, so that all see the same machine."""
    engine = StubEngine(fixed_seconds=FIXED_SECONDS, per_job_seconds=PER_JOB_SECONDS)
    engine.load()
    job = Utterance(SENTENCES[0], engine.preset_voices()["alloy"], SpeechParameters())
    settings = {
        "ENGINE__NAME": "stub",
        "ENGINE__OPTIONS": json.dumps({"fixed_seconds": FIXED_SECONDS, "per_job_seconds": PER_JOB_SECONDS}),
        "LOG__ACCESS": "false",
    }
    times: dict[str, list[float]] = {"engine_alone": [], "bare_server": [], "pcm": [], "wav": [], "wav, kept": []}
    new = (f"{SENTENCES[0][:-7]} {number:05d}." for number in count())
    with LocalServer(settings) as server:
        timbre = LeanClient(server.url)
        _, size = timbre.seconds("wav")
        with _bare_server(size) as url:
            bare = LeanClient(url)
            calls = {
                "engine_alone": lambda: _timed(lambda: list(engine.synthesize([job], lambda _: False))),
                "bare_server": lambda: bare.seconds("pcm")[0],
                "pcm": lambda: timbre.seconds("pcm")[0],
                "wav": lambda: timbre.seconds("wav")[0],
                "wav, kept": lambda: timbre.seconds("wav", next(new))[0],
            }
            for _ in range(ROUNDS // BLOCK):
                for name, call in calls.items():
                    times[name] += [call() * 1000 for _ in range(BLOCK)]
    alone, floor = median(times["engine_alone"]), median(times["bare_server"])
    bars = [
        Bar(f"{name} over HTTP minus the engine alone, medians of {ROUNDS}", median(times[name]) - alone, "ms", 2.0)
        for name in ("pcm", "wav", "wav, kept")
    ]
    figures: dict[str, object] = {
        name: {"median_ms": median(values), "p95_ms": quantile(values, 0.95), "std_ms": float(np.std(values))}
        for name, values in times.items()
    }
    figures["bare_server_minus_engine_ms"] = floor - alone
    workload = (
        f"stub engine S(n) = 20 + 2n ms, one client, keep-alive; a server that does nothing adds {floor - alone:.2f} ms"
    )
    return Result("overhead", workload, bars, figures)
