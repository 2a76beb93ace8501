"""A pod that starts alone is ready on its caches; one that starts beside others, or without Redis, is not."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from examples.local_redis import free_port
from examples.local_server import LocalServer
from tests.redis_server import RedisServer
from tests.server.app.test_links_fleet import said as linked
from tests.server.app.test_links_fleet import status
from tests.server.app.test_results_fleet import new_text, said
from tests.virtual_time import in_virtual_time
from timbre_server.app.presence import Presence
from timbre_server.errors import StoreUnavailable
from timbre_server.service.lifecycle import Lifecycle
from timbre_server.store.readiness import SAY_EVERY_SECONDS


class Pods:
    """``Readiness`` as a test wants it."""

    def __init__(self, others: int = 0) -> None:
        self.count = others
        self.away = False
        self.calls: list[str] = []

    def _called(self, call: str) -> None:
        self.calls.append(call)
        if self.away:
            raise StoreUnavailable("away")

    async def say(self) -> None:
        self._called("say")

    async def leave(self) -> None:
        self._called("leave")

    async def others(self) -> int:
        self._called("others")
        return self.count


@pytest.mark.parametrize(("others", "is_ready"), [(0, True), (1, False)])
async def test_a_starting_pod_is_ready_where_no_other_is(others: int, *, is_ready: bool) -> None:
    lifecycle, pods = Lifecycle(), Pods(others)
    presence = Presence(lifecycle, pods)
    presence.start()
    await presence.turn()
    assert lifecycle.ready is is_ready
    await presence.stop()


async def test_a_starting_pod_that_can_ask_nobody_is_not_ready() -> None:
    lifecycle, pods = Lifecycle(), Pods()
    presence = Presence(lifecycle, pods)
    lifecycle.caches_open = True
    await presence.turn()
    assert lifecycle.ready
    pods.away = True
    await presence.turn()
    assert not lifecycle.ready


@in_virtual_time
async def test_a_pod_says_each_second_that_it_is_ready_and_then_that_it_is_not() -> None:
    lifecycle, pods = Lifecycle(), Pods()
    presence = Presence(lifecycle, pods)
    presence.start()
    await asyncio.sleep(1.5 * SAY_EVERY_SECONDS)
    lifecycle.warm("loading voices")
    lifecycle.become_ready()
    await asyncio.sleep(2 * SAY_EVERY_SECONDS)
    lifecycle.drain()
    await asyncio.sleep(SAY_EVERY_SECONDS)
    assert pods.calls == ["others", "others", "say", "say", "leave"]
    await presence.stop()


def readyz(port: int) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except OSError:
        return 0, {}


def test_what_was_said_before_is_answered_while_the_engine_loads_and_the_rest_waits(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_bytes(base64.b64encode(os.urandom(32)))
    settings = {
        "RESULT_CACHE__LINK_KEYS_FILE": str(keys),
        "ENGINE__NAME": "stub",
        "REDIS__URL": redis_server.url,
        "SCOPE": f"presence-{os.getpid()}",
        "LOG__ACCESS": "false",
        "RESULT_CACHE__COLD_START_WAIT_SECONDS": "30",
    }
    text, port, admin = new_text(), free_port(), free_port()
    with LocalServer(settings | {"POD": "pod-before"}) as before:
        assert said(before, text).cache == "miss"
        link, _ = linked(before, text, "alloy")
    loading = LocalServer(
        settings
        | {
            "POD": "pod-loading",
            "HTTP__PORT": str(port),
            "HTTP__ADMIN_PORT": str(admin),
            "ENGINE__OPTIONS": '{"load_seconds": 4}',
        }
    )
    loading.url = f"http://127.0.0.1:{port}"
    with ThreadPoolExecutor(2) as threads:
        starting = threads.submit(loading.__enter__)
        while readyz(admin)[0] != 200:
            assert not starting.done()
        assert readyz(admin)[1]["status"] == "starting"
        assert said(loading, text).cache == "hit"
        assert status(loading.url + link) == 200
        waits = threads.submit(said, loading, new_text())
        assert said(loading, text, response_format="mp3").cache == "hit"
        assert readyz(admin)[1]["status"] == "starting"
        assert waits.result().cache == "miss"
        starting.result()
    loading.stop()
