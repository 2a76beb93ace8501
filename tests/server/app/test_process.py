"""The server as a process: how it starts, what it refuses, and that its end loses nothing."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from examples.local_server import SERVER, LocalServer

STUB = {"ENGINE__NAME": "stub", "ENGINE__OPTIONS": '{"fixed_seconds": 0.05, "per_job_seconds": 0.01}'}


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SERVER, *arguments], env=variables, capture_output=True, text=True, timeout=30, check=False)


def get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def speak(server: LocalServer, text: str, response_format: str = "wav") -> tuple[int, bytes, dict[str, str]]:
    body = {"model": "tts-1", "voice": "alloy", "input": text, "response_format": response_format}
    request = urllib.request.Request(
        f"{server.url}/v1/audio/speech", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)


def until(claim: Callable[[], bool]) -> None:
    """Returns when the claim is true, which another process brings about; fails after 10 s."""
    deadline = time.monotonic() + 10
    while not claim():
        assert time.monotonic() < deadline, "it never came true"


def exports(server: LocalServer, sample: bytes) -> bool:
    return sample in get(f"{server.admin_url}/metrics")[1]


def test_an_unknown_setting_stops_the_start_with_its_name() -> None:
    done = run(TIMBRE_BATCHING__MAX_BATCHSIZE="3")
    assert done.returncode == 2
    assert "TIMBRE_BATCHING__MAX_BATCHSIZE" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("engine", "options"), [("stub", '{"fixed_second": 1}'), ("embedded", '{"voice": "heart"}'), ("stub", "[]")]
)
def test_an_option_that_the_engine_lacks_stops_the_start(engine: str, options: str) -> None:
    done = run(TIMBRE_ENGINE__NAME=engine, TIMBRE_ENGINE__OPTIONS=options)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_voices_to_preload_that_are_nowhere_stop_the_start(tmp_path: Path) -> None:
    done = run(TIMBRE_ENGINE__NAME="stub", TIMBRE_VOICES__PRELOAD=str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "TIMBRE_VOICES__PRELOAD cannot be read: No such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_stops_the_start_and_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run(TIMBRE_ENGINE__NAME="stub", TIMBRE_HTTP__PORT=port, TIMBRE_HTTP__ADMIN_PORT="0")
    assert done.returncode == 2
    assert port in done.stderr
    assert "Traceback" not in done.stderr


def test_help_lists_every_setting_with_its_default() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "TIMBRE_HTTP__PORT=8000" in done.stdout
    assert "TIMBRE_ENGINE__NAME=embedded" in done.stdout


def test_version_is_printed() -> None:
    assert run("--version").stdout.startswith("timbre-server ")


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer({**STUB, "DRAIN__ACCEPT_SECONDS": "0.5"}) as running:
        yield running


def test_a_ready_server_answers_on_both_ports(server: LocalServer) -> None:
    assert get(f"{server.admin_url}/readyz")[0] == 200
    assert get(f"{server.admin_url}/livez")[0] == 200
    status, wav, _ = speak(server, "Hello.")
    assert (status, wav[:4]) == (200, b"RIFF")
    until(lambda: exports(server, b'timbre_requests_total{route="/v1/audio/speech",status="200"} 1.0'))


TELL_WHAT_IS_FROZEN = """
import gc
from timbre_server.__main__ import main
code = main([])
print(code, gc.get_freeze_count())
"""


def test_nothing_is_kept_from_the_last_collection_which_libraries_take_for_leaks() -> None:
    variables = {f"TIMBRE_{name}": value for name, value in STUB.items()}
    ports = {"TIMBRE_HTTP__PORT": "0", "TIMBRE_HTTP__ADMIN_PORT": "0", "TIMBRE_DRAIN__ACCEPT_SECONDS": "0"}
    with subprocess.Popen(
        [sys.executable, "-c", TELL_WHAT_IS_FROZEN], env=variables | ports, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert any('"ready"' in line for line in process.stdout)
        process.terminate()
        *_, last = process.stdout
    assert last == "0 0\n"


def test_the_log_never_holds_the_text(server: LocalServer) -> None:
    speak(server, "A secret sentence.")
    server.stop()
    assert not any("secret" in json.dumps(line).lower() for line in server.lines)
    assert any(line["message"] == "request finished" and line["request_id"] for line in server.lines)


def test_a_client_that_leaves_in_mid_upload_is_no_failure_of_the_server(server: LocalServer) -> None:
    address = urllib.parse.urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(
            b"POST /v1/audio/speech HTTP/1.1\r\nHost: timbre\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
    while (
        b'timbre_requests_total{route="/v1/audio/speech",status="499"} 1.0' not in get(f"{server.admin_url}/metrics")[1]
    ):
        pass
    server.stop()
    assert [line for line in server.lines if line.get("level") == "error"] == []


def test_a_client_that_stops_reading_is_given_up_and_holds_neither_queue_nor_drain() -> None:
    body = {"model": "tts-1", "voice": "alloy", "input": "word " * 800, "response_format": "pcm", "speed": 0.5}
    content = json.dumps(body).encode()
    head = (
        f"POST /v1/audio/speech HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    )
    with LocalServer({**STUB, "HTTP__SEND_TIMEOUT_SECONDS": "0.5"}) as server:
        address = urllib.parse.urlsplit(server.url)
        with socket.create_connection((address.hostname, address.port)) as client:
            client.sendall(head.encode() + b"\r\n\r\n" + content)
            until(lambda: exports(server, b'timbre_requests_total{route="/v1/audio/speech",status="499"} 1.0'))
            until(lambda: exports(server, b"timbre_pending_requests 0.0"))
            assert server.stop() == 0
    assert [line for line in server.lines if "exception" in line] == []


@pytest.mark.parametrize("port", ["url", "admin_url"])
def test_what_is_no_http_gets_an_error_in_our_shape(server: LocalServer, port: str) -> None:
    address = urllib.parse.urlsplit(getattr(server, port))
    with socket.create_connection((address.hostname, address.port), timeout=10) as client:
        client.sendall(b"\x16\x03\x01\x02\x00 no HTTP at all\r\n\r\n")
        head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
    server.stop()
    assert [line for line in server.lines if line.get("level") in {"warning", "error"}] == []


def test_sigterm_under_load_loses_no_request(server: LocalServer) -> None:
    """Clients that open a connection each, as those behind a Service do, until they are turned away properly."""
    results: list[tuple[int, bytes]] = []
    ending = threading.Event()

    def client() -> None:
        while True:
            try:
                status, body, _ = speak(server, "One. Two. Three.")
            except urllib.error.URLError as error:
                # Legal once the drain has begun and not before: the listener is closed.
                if isinstance(error.reason, ConnectionRefusedError) and ending.is_set():
                    return
                raise
            results.append((status, body))
            if status != 200:
                return

    with ThreadPoolExecutor(8) as clients:
        running = [clients.submit(client) for _ in range(8)]
        until(lambda: len(results) >= 16)
        assert not any(future.done() for future in running)
        ending.set()
        code = server.stop(signal.SIGTERM)
        for future in running:
            future.result()
    assert code == 0
    spoken = [body for status, body in results if status == 200]
    refused = [json.loads(body)["error"] for status, body in results if status != 200]
    assert len(spoken) >= 24  # the eight in flight were finished
    assert {len(body) for body in spoken} == {len(spoken[0])}
    assert {error["code"] for error in refused} <= {"draining"}


def test_a_draining_server_closes_connections_and_finishes_streams(server: LocalServer) -> None:
    long_text = " ".join(f"Sentence number {number}." for number in range(10))
    with ThreadPoolExecutor(2) as clients:
        long = clients.submit(speak, server, long_text, "mp3")
        until(lambda: exports(server, b"timbre_pending_requests 1.0"))
        drain = urllib.request.Request(f"{server.admin_url}/drain", method="POST")
        with urllib.request.urlopen(drain, timeout=10) as answer:
            told: dict[str, Any] = json.load(answer)
        late = speak(server, "Late.")
        assert get(f"{server.admin_url}/readyz")[0] == 503
        assert long.result()[0] == 200
    assert told == {"status": "draining", "in_flight": 1}
    assert (late[0], late[2].get("connection", late[2].get("Connection"))) == (200, "close")
    assert server.process.poll() is None  # only a signal ends it
    assert server.stop() == 0


def test_a_killed_engine_is_noticed_by_the_liveness_probe(server: LocalServer) -> None:
    status, body, _ = speak(server, "Now [die] please.")
    assert (status, json.loads(body)["error"]["code"]) == (503, "engine_stopped")
    assert get(f"{server.admin_url}/livez")[0] == 503
    assert get(f"{server.admin_url}/readyz")[0] == 503
