"""The API server as tests and the fake node talk to it: plain objects in, plain objects out, every answer as it came."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

Object = dict[str, Any]

PATIENCE_SECONDS: Final = 60.0
"""Far more than anything here takes; a loaded machine must not fail a test."""
_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
_GONE: Final = 410
_PUT_OFF: Final = 429
"""Too busy, or a kind so new that its storage is not read yet."""


class ApiError(Exception):
    """The API server said no."""

    def __init__(self, status: int, answer: Mapping[str, Any]) -> None:
        self.status = status
        self.reason = str(answer.get("reason", ""))
        self.message = str(answer.get("message", ""))
        self.causes: list[dict[str, str]] = (answer.get("details") or {}).get("causes") or []
        """Field and message of each mistake."""
        super().__init__(f"{status} {self.reason}: {self.message}")


@dataclass(frozen=True)
class Event:
    """One change: ADDED, MODIFIED or DELETED, and the object after it; LISTED once all that was there has been told."""

    type: str
    object: Object


class Api:
    """One user's access, by a kubeconfig; belongs to one event loop."""

    def __init__(self, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        user = config["users"][0]["user"]
        self.server: str = config["clusters"][0]["cluster"]["server"]
        self.authority_pem = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"])
        tls = ssl.create_default_context(cadata=self.authority_pem.decode())
        if "client-certificate-data" in user:
            _load(tls, user)
        headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        self._session = aiohttp.ClientSession(
            self.server, connector=aiohttp.TCPConnector(ssl=tls, limit=0), headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=PATIENCE_SECONDS),
        )  # fmt: skip

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def request(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", **query: Any
    ) -> Any:
        """The answer, as JSON where it is JSON; asked again where the API server puts it off, as every client does.

        Raises:
            ApiError: anything but a success.
        """
        written = json.dumps(body) if body is not None else None
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        while True:
            async with self._session.request(
                method, path, data=written, headers=headers, params=_text(query)
            ) as response:
                text = await response.text()
                answer = json.loads(text) if response.content_type == "application/json" else text
                if response.ok:
                    return answer
                if response.status != _PUT_OFF or "Retry-After" not in response.headers:
                    raise ApiError(response.status, answer if isinstance(answer, dict) else {"message": text})
                pause_seconds = int(response.headers["Retry-After"])
            await asyncio.sleep(pause_seconds)

    async def create(self, manifest: Mapping[str, Any], **query: Any) -> Object:
        return dict(await self.request("POST", path_of(manifest, collection=True), manifest, **query))

    async def apply(
        self, manifest: Mapping[str, Any], *, manager: str = "test", subresource: str = "", **query: Any
    ) -> Object:
        """Server-side apply, forced."""
        path = path_of(manifest) + (f"/{subresource}" if subresource else "")
        query = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict", **query}
        return dict(await self.request("PATCH", path, manifest, content_type=_APPLY, **query))

    async def fetch(self, kind: str, namespace: str, name: str) -> Object:
        """``kind`` with its version, as ``apps/v1/Deployment``."""
        return dict(await self.request("GET", path_to(kind, namespace, name)))

    async def find(self, kind: str, namespace: str = "", **query: Any) -> list[Object]:
        """All of the namespace, or of all namespaces; each with its kind, which a list leaves out."""
        return (await self._list(kind, namespace, **query))[0]

    async def patch(
        self, manifest: Mapping[str, Any], patch: Mapping[str, Any], subresource: str = "", **query: Any
    ) -> Object:
        """A JSON merge patch of this very object."""
        path = path_of(manifest) + (f"/{subresource}" if subresource else "")
        body = {**patch, "metadata": {**patch.get("metadata", {}), "uid": manifest["metadata"]["uid"]}}
        return dict(await self.request("PATCH", path, body, content_type=_MERGE, **query))

    async def delete(self, manifest: Mapping[str, Any], **options: Any) -> None:
        """This very object where its uid is known, whoever has its name otherwise; no error if it is gone."""
        uid = manifest["metadata"].get("uid")
        body = {**({"preconditions": {"uid": uid}} if uid else {}), **options}
        try:
            await self.request("DELETE", path_of(manifest), body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def watch(self, kind: str, namespace: str = "", **query: Any) -> AsyncIterator[Event]:
        """What is there as ADDED, then every change, for ever; a watch that breaks is begun anew."""
        known: dict[str, Object] = {}
        while True:
            try:
                found, version = await self._list(kind, namespace, **query)
                for event in _listed(found, known):
                    yield event
                yield Event("LISTED", {})
                async for event in self._changes(kind, namespace, version, query):
                    _remember(event, known)
                    yield event
            except aiohttp.ClientError:
                await asyncio.sleep(0.2)  # the API server is away

    async def until(
        self, kind: str, namespace: str, name: str, claim: Callable[[Object], Any], *, gone: bool = False
    ) -> Object:
        """The object, once the claim holds for it; ``gone``: once it is deleted."""
        last: Object = {}
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                async for event in self.watch(kind, namespace, fieldSelector=f"metadata.name={name}"):
                    is_there = bool(event.object) and event.type != "DELETED"
                    if event.type == "LISTED" and last:
                        continue
                    last = event.object
                    if (gone and not is_there) or (not gone and is_there and claim(last)):
                        return last
        except TimeoutError:
            shown = json.dumps(last.get("status") or last, indent=1)
            raise AssertionError(f"{kind} {namespace}/{name} did not get there; it is {shown}") from None
        raise AssertionError("a watch does not end")

    async def _list(self, kind: str, namespace: str, **query: Any) -> tuple[list[Object], str]:
        answer = await self.request("GET", path_to(kind, namespace), **query)
        version, _, name = kind.rpartition("/")
        items = [{"apiVersion": version, "kind": name, **item} for item in answer["items"]]
        return items, answer["metadata"]["resourceVersion"]

    async def _changes(self, kind: str, namespace: str, version: str, query: Mapping[str, Any]) -> AsyncIterator[Event]:
        query = {**query, "watch": "true", "resourceVersion": version}
        async with self._session.get(path_to(kind, namespace), params=_text(query)) as response:
            buffer = b""
            async for chunk in response.content.iter_any():
                *lines, buffer = (buffer + chunk).split(b"\n")  # an object may be longer than aiohttp's lines
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        if event["object"].get("code") == _GONE:
                            return
                        raise ApiError(event["object"].get("code", 500), event["object"])
                    yield Event(event["type"], event["object"])


def _listed(found: list[Object], known: dict[str, Object]) -> list[Event]:
    """What a new list says, the objects included that went while nobody watched."""
    there = {item["metadata"]["uid"]: item for item in found}
    gone = [Event("DELETED", item) for uid, item in known.items() if uid not in there]
    known.clear()
    known.update(there)
    return [*gone, *(Event("ADDED", item) for item in found)]


def _remember(event: Event, known: dict[str, Object]) -> None:
    uid = event.object["metadata"]["uid"]
    if event.type == "DELETED":
        known.pop(uid, None)
    else:
        known[uid] = event.object


def path_of(manifest: Mapping[str, Any], *, collection: bool = False) -> str:
    """Of this object, or of its kind in its namespace."""
    metadata = manifest["metadata"]
    kind = f"{manifest['apiVersion']}/{manifest['kind']}"
    return path_to(kind, metadata.get("namespace", ""), "" if collection else metadata["name"])


def path_to(kind: str, namespace: str = "", name: str = "") -> str:
    """``kind`` as ``v1/Pod`` or ``apps/v1/Deployment``; a namespace where one is given."""
    version, _, singular = kind.rpartition("/")
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    inside = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{inside}/{plural(singular)}" + (f"/{name}" if name else "")


def plural(kind: str) -> str:
    """Every kind that tests use follows English."""
    word = kind.lower()
    if word.endswith("y"):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith("s") else "s")


def _text(query: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in query.items()}


def _load(tls: ssl.SSLContext, user: Mapping[str, str]) -> None:
    """OpenSSL reads certificates from files only."""
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = Path(folder, "certificate"), Path(folder, "key")
        certificate.write_bytes(base64.b64decode(user["client-certificate-data"]))
        key.touch(mode=0o600)
        key.write_bytes(base64.b64decode(user["client-key-data"]))
        tls.load_cert_chain(certificate, key)
