"""A service under load, an operator and an exporter, scraped by a real Prometheus with all of our rules."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from examples.fleet_demo import enrol, speak, upload
from examples.local_server import LocalServer
from tests.chart.alert_rules import HOME, all_groups
from tests.chart.helm import Helm
from tests.chart.live_operator import LiveOperator
from tests.chart.prometheus import Prometheus, Target
from tests.chart.redis_exporter import exporting
from tests.quality import recordings
from tests.redis_server import RedisServer
from timbre_contract import api

_SETTINGS: Final = {
    "ENGINE__NAME": "stub",
    "ENGINE__OPTIONS": '{"spectrum_bands": 3328}',
    # Room for one voice of 130 KiB: two of them evict each other.
    "VOICE_CACHE__HOST_MAX_BYTES": "200000",
    "SCOPE": "studio.narrator",
}
_POD: Final = {"namespace": "studio", "voiceservice": "narrator"}


class Load:
    """Requests of all sorts, again and again, until it is stopped."""

    def __init__(self, server: LocalServer, operator: LiveOperator) -> None:
        self._server = server
        self._operator = operator
        self._enough = threading.Event()
        self._failed: BaseException | None = None
        self._rounds = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Raises: what went wrong on the way."""
        self._enough.set()
        self._thread.join()
        if self._failed is not None:
            raise self._failed

    def _run(self) -> None:
        try:
            while not self._enough.is_set():
                self._round()
                self._rounds += 1
        except BaseException as error:  # noqa: BLE001  # a thread has nobody above it; stop() raises it
            self._failed = error

    def _round(self) -> None:
        """A preset twice, two voices that evict each other, one that is replaced and deleted, and one that nobody knows."""
        server = self._server
        for _ in ("made", "found"):
            _say(server, f"Round {self._rounds}.")
        voices = [enrol(server, recordings.path(name)) for name in ("librivox-male", "allison-female")]
        for voice in voices * 2:
            speak(server, voice)
        upload(server, "PUT", voices[0], recordings.path("carlo-male-italian"))
        speak(server, voices[0])
        for voice in voices:
            upload(server, "DELETE", voice)
        try:
            speak(server, voices[0])
        except HTTPError as unknown:
            unknown.close()  # it is an answer too, and its connection is open until then
        assert "timbre_queue_depth" in self._operator.ask_for_series()


def _say(server: LocalServer, text: str) -> None:
    """As most clients do: what was said before may be said again."""
    body = json.dumps({"model": "tts-1", "voice": "alloy", "input": text, "response_format": "pcm"}).encode()
    request = Request(f"{server.url}/v1/audio/speech", body, {"Content-Type": "application/json"})
    with urlopen(request) as answer:
        answer.read()


@contextmanager
def _pod(address: str, redis: RedisServer) -> Iterator[LocalServer]:
    """Where the operator looks for it: on the pod's address, with the port that all pods have."""
    place = {"HTTP__HOST": address, "HTTP__ADMIN_PORT": str(api.ADMIN_PORT)}
    with LocalServer(_SETTINGS | place | {"REDIS__URL": redis.url, "POD": "narrator-a"}) as server:
        server.url = server.url.replace("127.0.0.1", address)
        yield server


@pytest.fixture(scope="module")
def prometheus(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It scrapes a server under load, an operator at work, and the exporter of a Redis, as PodMonitors would tell it to.

    Ends with the module that asks: the load is not for the rest of the session.
    """
    folder = tmp_path_factory.mktemp("prometheus")
    with ExitStack() as stack:
        operator = stack.enter_context(LiveOperator(folder))
        exporter = stack.enter_context(exporting(redis_server, folder / "exporter.log"))
        server = stack.enter_context(_pod(operator.pod_address, redis_server))
        targets = [
            Target(f"{operator.pod_address}:{api.ADMIN_PORT}", {**_POD, "pod": "narrator-a"}),
            Target(exporter, {**_POD, "pod": "narrator-redis-0"}),
            Target(operator.address, {"namespace": HOME, "job": "timbre-operator", "pod": "operator-a"}),
        ]
        running = Prometheus(folder, targets, all_groups())
        stack.callback(running.close)
        stack.callback(Load(server, operator).stop)
        yield running


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm without a cluster."""
    return Helm(tmp_path_factory.mktemp("helm"))
