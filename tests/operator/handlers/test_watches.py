"""kopf tells us what happens, and does nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from tests.operator.handlers.watched_api import WatchedApi
from timbre_operator.handlers.watches import Pace, Watches
from timbre_operator.kinds import DEPLOYMENT, POD, VOICE_SERVICE, WATCHED, Watched
from timbre_operator.reconciler.backoff import Backoff

BY_NAME = {watched.kind.kind: watched for watched in WATCHED}
SOME = (BY_NAME["VoiceService"], BY_NAME["Deployment"])


def a_thing(name: str, version: int = 1) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "studio", "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": metadata}


class Scene:
    """Watches of an API, and what they told."""

    def __init__(self, api: WatchedApi, address: str) -> None:
        self.api = api
        self.told: list[tuple[str, str, str]] = []
        self.tokens = ["Bearer one"]
        """Of each login the next one, of later ones the last."""
        self.logins = 0
        self._address = address
        self._news = asyncio.Event()
        at_once = Pace(restart=Backoff(0.0, 0.0), login_seconds=0.0)
        self.breaks = 0
        self.watches = Watches(self._hear, self._session, namespaces=(), broke=self._broke, pace=at_once)

    async def until_told(self, what: tuple[str, str, str]) -> None:
        while what not in self.told:
            self._news.clear()
            await self._news.wait()

    def _hear(self, type_: str, manifest: Mapping[str, Any]) -> None:
        self.told.append((type_, manifest["kind"], manifest["metadata"]["name"]))
        self._news.set()

    def _broke(self) -> None:
        self.breaks += 1

    async def _session(self) -> tuple[str, aiohttp.ClientSession]:
        self.logins += 1
        token = self.tokens[min(self.logins, len(self.tokens)) - 1]
        return self._address, aiohttp.ClientSession(headers={"Authorization": token})


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    api = WatchedApi(*SOME)
    async with TestServer(api.application()) as server:
        made = Scene(api, str(server.make_url("")).rstrip("/"))
        yield made
        await made.watches.stop()
        await api.until_idle()
        assert server.runner is not None
        assert server.runner.server is not None
        # Who came last waits to be accepted; then its transport is made, then its protocol hears of it.  A server that
        # closes in between loses it: https://github.com/python/cpython/issues/109564
        for _ in range(4):
            await asyncio.sleep(0)
        # The clients are gone; the server hears of it when its loop next looks at its sockets.
        while server.runner.server.connections:  # noqa: ASYNC110  # aiohttp tells nobody
            await asyncio.sleep(0.01)


async def test_what_is_there_is_told_first_and_then_every_change(scene: Scene) -> None:
    scene.api.items["deployments"] = [a_thing("old")]
    await scene.watches.follow(SOME)
    await scene.until_told(("", "Deployment", "old"))
    await scene.api.until_watched(DEPLOYMENT)
    for number, type_ in enumerate(("ADDED", "MODIFIED", "DELETED"), 2):
        scene.api.tell(DEPLOYMENT, type_, a_thing("new", number))
        await scene.until_told((type_, "Deployment", "new"))


async def test_only_our_own_objects_are_asked_for_and_nothing_is_ever_written(scene: Scene) -> None:
    await scene.watches.follow(SOME)
    await scene.api.until_watched(VOICE_SERVICE)
    await scene.api.until_watched(DEPLOYMENT)
    scene.api.tell(VOICE_SERVICE, "ADDED", a_thing("narrator"))
    await scene.until_told(("ADDED", "VoiceService", "narrator"))
    assert {method for method, _, _ in scene.api.requests} == {"GET"}
    selectors = {plural: query.get("labelSelector") for _, plural, query in scene.api.requests}
    assert selectors == {"voiceservices": None, "deployments": "app.kubernetes.io/managed-by=timbre-operator"}


async def test_what_another_operator_of_kopfs_kind_noted_on_an_object_is_not_read(scene: Scene) -> None:
    """kopf compares an object with what it noted before, at the cost of copies; here nothing is noted, and nothing compared."""
    await scene.watches.follow(SOME)
    await scene.api.until_watched(DEPLOYMENT)
    noted = a_thing("new")
    noted["metadata"]["annotations"] = {"kopf.zalando.org/last-handled-configuration": "no JSON"}
    scene.api.tell(DEPLOYMENT, "ADDED", noted)
    await scene.until_told(("ADDED", "Deployment", "new"))


async def test_the_same_kinds_again_begin_nothing_anew(scene: Scene) -> None:
    await scene.watches.follow(SOME)
    await scene.api.until_watched(DEPLOYMENT)
    lists = len(scene.api.requests)
    await scene.watches.follow(list(SOME))
    assert len(scene.api.requests) == lists


async def test_a_kind_that_comes_later_is_watched_and_one_that_goes_is_not(scene: Scene) -> None:
    await scene.watches.follow(SOME[:1])
    await scene.api.until_watched(VOICE_SERVICE)
    await scene.watches.follow(SOME)
    await scene.api.until_watched(DEPLOYMENT)
    await scene.watches.follow(SOME[:1])
    await scene.api.until_watched(DEPLOYMENT, times=0)


async def test_a_stream_that_ends_is_opened_again_where_it_ended(scene: Scene) -> None:
    await scene.watches.follow(SOME)
    await scene.api.until_watched(DEPLOYMENT)
    scene.api.tell(DEPLOYMENT, "ADDED", a_thing("new", 17))
    await scene.until_told(("ADDED", "Deployment", "new"))
    scene.api.break_watches()
    await scene.api.until_watched(DEPLOYMENT, times=0)
    await scene.api.until_watched(DEPLOYMENT)
    (_, _, last) = [asked for asked in scene.api.requests if asked[1] == "deployments"][-1]
    assert last["resourceVersion"] == "17"


async def test_whoever_is_not_let_in_logs_in_again(scene: Scene) -> None:
    scene.tokens = ["Bearer old", "Bearer one"]
    await scene.watches.follow(SOME)
    await scene.api.until_watched(DEPLOYMENT)
    assert scene.logins >= 2  # a second request may have found the session closed by the first


@pytest.mark.slow  # kopf takes five seconds to end when it fails
async def test_watches_that_break_for_good_begin_anew(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.api.failures = 1
    scene.api.items["deployments"] = [a_thing("old")]
    await scene.watches.follow(SOME)
    await scene.until_told(("", "Deployment", "old"))
    assert "the watches ended; they begin anew" in caplog.text
    assert scene.breaks == 1


async def test_stopping_leaves_no_thread_and_no_stream(scene: Scene) -> None:
    await scene.watches.follow(SOME)
    await scene.api.until_watched(DEPLOYMENT)
    await scene.watches.stop()
    assert scene.watches._running is None
    await scene.watches.stop()  # and again, which is nothing


def test_every_kind_but_voice_services_is_selected_by_our_labels() -> None:
    assert [watched.kind for watched in WATCHED if not watched.selector] == [VOICE_SERVICE]
    assert dict(BY_NAME["Pod"].selector) == {"app.kubernetes.io/name": "timbre"}
    assert isinstance(BY_NAME["Pod"], Watched)
    assert BY_NAME["Pod"].kind is POD


async def test_a_cancellation_that_is_swallowed_on_its_way_holds_no_end_up(scene: Scene) -> None:
    """Watches are exchanged within the resync: whoever waited for old ones without end would list nothing any more."""
    loops: list[asyncio.AbstractEventLoop] = []
    begun, swallowed = asyncio.Event(), asyncio.Event()
    main = asyncio.get_running_loop()

    async def deaf_once() -> tuple[str, aiohttp.ClientSession]:
        loops.append(asyncio.get_running_loop())
        main.call_soon_threadsafe(begun.set)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            main.call_soon_threadsafe(swallowed.set)
            await asyncio.Event().wait()
        raise AssertionError("nobody logs in")

    watches = Watches(lambda *_: None, deaf_once, namespaces=())
    await watches.follow(SOME)
    await begun.wait()
    async with asyncio.timeout(30):
        await watches.stop()
    assert swallowed.is_set()
    assert loops[0].is_closed()
