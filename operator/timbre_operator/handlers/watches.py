"""How are all kinds watched, and watched again when something breaks?

kopf is used for what is hard: watches that never end, with bookmarks, reconnects and server-side selectors.  It handles
nothing: no finalizer, no annotation, no peering, and no scanning either, because the lists of the resync say which kinds
there are and which may be seen.

kopf runs in a thread with a loop of its own.  When it ends it cancels every task of its loop that it does not know, and in
the main thread it takes the signals; ours have to end in their own order.  In a thread it can also be started again without
the rest: when a watch fails for good, when a kind appears, when a right was granted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import kopf

from timbre_operator.cluster.paths import selector
from timbre_operator.kinds import Watched
from timbre_operator.reconciler.backoff import Backoff
from timbre_operator.reconciler.trimming import trimmed

Heard = Callable[[str, Mapping[str, Any]], None]
"""Called in the main loop with the type of the event (empty for what a list had) and the object."""
Session = Callable[[], Awaitable[tuple[str, aiohttp.ClientSession]]]
"""Makes an authenticated session, and says where the API server is."""

_CALM_SECONDS: Final = 300.0
"""A failure after so long a time is the first of a new row."""
_REQUEST_SECONDS: Final = 30.0
"""Lists of thousands of objects; watches have no end."""

_CANCEL_SECONDS: Final = 1.0
"""Until a cancellation is taken for lost: kopf ends within milliseconds."""

logger = logging.getLogger("timbre.watches")


_RESTART: Final = Backoff(1.0, 30.0)


@dataclass(frozen=True)
class Pace:
    """How hard is tried again."""

    restart: Backoff = _RESTART
    """When kopf has ended."""
    login_seconds: float = 5.0
    """At least between two logins: kopf logs in whenever it was not let in (401), at once and without end."""


@dataclass(frozen=True)
class _Way:
    """How all kinds are watched."""

    heard: Heard
    broke: Callable[[], None]
    session: Session
    namespaces: tuple[str, ...]
    pace: Pace


class Watches:
    """One thread that watches a set of kinds."""

    def __init__(
        self,
        heard: Heard,
        session: Session,
        *,
        namespaces: Sequence[str],
        broke: Callable[[], None] = lambda: None,
        pace: Pace = Pace(),  # immutable
    ) -> None:
        """``broke`` is called in the main loop whenever watches ended by themselves."""
        self._way = _Way(heard, broke, session, tuple(namespaces), pace)
        self._kinds: tuple[Watched, ...] = ()
        self._running: _Thread | None = None

    async def follow(self, kinds: Iterable[Watched]) -> None:
        """Watches exactly these from now on; nothing happens where they are the same as before."""
        wanted = tuple(kinds)
        if wanted == self._kinds and self._running is not None:
            return
        await self.stop()
        self._kinds = wanted
        self._running = _Thread(self._way, wanted)
        self._running.start()
        names = [watched.kind.plural for watched in wanted]
        logger.info("watching", extra={"fields": {"kinds": names}})

    async def stop(self) -> None:
        """Returns when nothing is watched any more."""
        if self._running is not None:
            running, self._running = self._running, None
            await running.stop()


class _Thread:
    """kopf, from start to end."""

    def __init__(self, way: _Way, kinds: tuple[Watched, ...]) -> None:
        self._way = way
        self._kinds = kinds
        self._main = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._stopping = threading.Event()
        self._own: asyncio.AbstractEventLoop | None = None
        self._work: asyncio.Task[None] | None = None
        self._sessions: list[aiohttp.ClientSession] = []
        self._thread = threading.Thread(target=self._run, name="watches", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        # By cancellation: told to stop, kopf waits up to five seconds for tasks of its own that never end.
        self._stopping.set()
        if self._own is not None and self._work is not None:
            self._own.call_soon_threadsafe(self._work.cancel)
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CANCEL_SECONDS):
                    await self._ended.wait()
                return
            self._cancel_what_is_left()

    def _cancel_what_is_left(self) -> None:
        """A cancellation may be lost on its way through kopf, and whoever waits for that task would wait without end."""
        if self._own is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed just now
                self._own.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks()])

    def _run(self) -> None:
        try:
            asyncio.run(self._again_and_again())
        finally:
            self._main.call_soon_threadsafe(self._ended.set)

    async def _again_and_again(self) -> None:
        self._own, self._work = asyncio.get_running_loop(), asyncio.current_task()
        failures = 0
        with contextlib.suppress(asyncio.CancelledError):
            while not self._stopping.is_set():
                began = self._own.time()
                try:
                    await self._operator()
                except Exception:  # whatever kopf raises: without watches there is still the resync
                    logger.exception("the watches broke")
                failures = 1 if self._own.time() - began > _CALM_SECONDS else failures + 1
                self._main.call_soon_threadsafe(self._way.broke)
                wait = self._way.pace.restart.seconds(failures, 0.0)
                logger.warning("the watches ended; they begin anew", extra={"fields": {"in_seconds": wait}})
                await asyncio.sleep(wait)

    async def _operator(self) -> None:
        try:
            await kopf.operator(
                registry=self._registry(),
                settings=_settings(self._kinds),
                standalone=True,
                clusterwide=not self._way.namespaces,
                namespaces=self._way.namespaces,
            )
        finally:
            while self._sessions:
                await self._sessions.pop().close()

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        last = float("-inf")

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.AiohttpSession:
            nonlocal last
            now = asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, last + self._way.pace.login_seconds - now))
            last = asyncio.get_running_loop().time()
            server, session = await self._way.session()
            self._sessions.append(session)
            return kopf.AiohttpSession(server=server, aiohttp_session=session)

        for watched in self._kinds:
            self._register(registry, watched)
        return registry

    def _register(self, registry: kopf.OperatorRegistry, watched: Watched) -> None:
        kind = watched.kind
        version = kind.api_version.rpartition("/")[2]

        @kopf.on.event(watched.group, version, kind.plural, registry=registry)
        async def tell(event: Any, **_: Any) -> None:
            manifest = trimmed({**event["object"], "apiVersion": kind.api_version, "kind": kind.kind})
            self._main.call_soon_threadsafe(self._way.heard, event["type"] or "", manifest)


class _NoEssence(kopf.DiffBaseStorage):
    """kopf compares each object with the one before for handlers of changes, of which there are none here: the copies that
    it makes for this cost half of what hearing of an object costs."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        raise AssertionError("nothing of an object is kept")


def _settings(kinds: Iterable[Watched]) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = _NoEssence()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.process.ultimate_exiting_timeout = None  # it kills the thread, and with it everything else
    settings.networking.request_timeout = _REQUEST_SECONDS
    settings.networking.connect_timeout = 5
    for watched in kinds:
        if watched.selector:
            version = watched.kind.api_version.rpartition("/")[2]
            key = (watched.group, version, watched.kind.plural)
            settings.watching.label_selectors[key] = selector(watched.selector)
    return settings
