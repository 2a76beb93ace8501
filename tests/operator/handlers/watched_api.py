"""As much of an API server as a watch needs: discovery, lists, and streams that a test writes to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from timbre_operator.kinds import Watched, group_of
from timbre_operator.ports import Kind

_ALWAYS: Final = (
    Kind("v1", "Namespace", "namespaces"),
    Kind("v1", "Event", "events"),
    Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions"),
)
"""Every API server has these, and kopf waits for them."""


class WatchedApi:
    """Serves some kinds; ``requests`` is what was asked for, without discovery."""

    def __init__(self, *kinds: Watched) -> None:
        self._kinds = [watched.kind for watched in kinds]
        self._all = [*self._kinds, *_ALWAYS]
        self.items: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        self.requests: list[tuple[str, str, Mapping[str, str]]] = []
        self.tokens: list[str] = []
        self.allowed = "Bearer one"
        """Others are not let in."""
        self.failures = 0
        """So many requests more are answered in a way that kopf does not survive."""
        self._streams: dict[str, set[asyncio.Queue[bytes]]] = defaultdict(set)
        self.news = asyncio.Event()

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        return application

    def tell(self, kind: Kind, type_: str, manifest: Mapping[str, Any]) -> None:
        """To everybody who watches this kind."""
        for stream in self._streams[kind.plural]:
            stream.put_nowait(json.dumps({"type": type_, "object": manifest}).encode() + b"\n")

    def break_watches(self) -> None:
        """Every stream ends."""
        for streams in self._streams.values():
            for stream in streams:
                stream.put_nowait(b"")

    async def until_watched(self, kind: Kind, *, times: int = 1) -> None:
        """So often, and 0 means that nobody does any more: a server hears of an end a moment later."""
        while len(self._streams[kind.plural]) != times:
            self.news.clear()
            await self.news.wait()

    async def until_idle(self) -> None:
        """Every stream has ended."""
        self.break_watches()
        for kind in self._kinds:
            await self.until_watched(kind, times=0)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.tokens.append(request.headers.get("Authorization", ""))
        if self.tokens[-1] != self.allowed:
            return web.json_response({"kind": "Status", "code": 401, "reason": "Unauthorized"}, status=401)
        if self.failures:
            self.failures -= 1
            return web.json_response({"kind": "Status", "code": 404, "reason": "NotFound"}, status=404)
        *root, last = request.path.strip("/").split("/")
        if last not in {kind.plural for kind in self._kinds}:
            return web.json_response(self._discovery([*root, last]))
        self.requests.append((request.method, last, dict(request.query)))
        if request.query.get("watch"):
            return await self._stream(request, last)
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": self.items[last]})

    def _discovery(self, path: list[str]) -> Mapping[str, Any]:
        groups = {group_of(kind): kind.api_version for kind in self._all if group_of(kind)}
        match path:
            case ["api"]:
                return {"versions": ["v1"]}
            case ["apis"]:
                versions = {group: {"groupVersion": v, "version": v.rpartition("/")[2]} for group, v in groups.items()}
                return {"groups": [{"name": g, "versions": [v], "preferredVersion": v} for g, v in versions.items()]}
            case [_, *version]:
                return {"resources": [_resource(kind) for kind in self._all if kind.api_version == "/".join(version)]}
            case _:
                return {}

    async def _stream(self, request: web.Request, plural: str) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        stream: asyncio.Queue[bytes] = asyncio.Queue()
        self._streams[plural].add(stream)
        self.news.set()
        try:
            with contextlib.suppress(ConnectionResetError):  # nobody listens any more
                while line := await stream.get():
                    await response.write(line)
        finally:
            self._streams[plural].discard(stream)
            self.news.set()
        return response


def _resource(kind: Kind) -> Mapping[str, Any]:
    return {
        "name": kind.plural,
        "singularName": kind.kind.lower(),
        "kind": kind.kind,
        "namespaced": True,
        "verbs": ["get", "list", "watch", "patch"],
    }
