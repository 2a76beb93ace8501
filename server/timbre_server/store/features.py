"""How do all pods share what one of them extracted, so that the fleet extracts each recording once?

One hash per recording holds the features of every encoder, so erasing them is one command and everything about a
recording lies in one slot of a cluster.  Whoever finds nothing asks for a lease; its token fences the publication.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from timbre_contract.keys import ServiceKeys
from timbre_server.errors import RegistryFull, StoreUnavailable
from timbre_server.ports import Blob, Claim, Failed, Granted, Held, Room, Taken
from timbre_server.store.bulk import BulkReader
from timbre_server.store.bulk_questions import Command
from timbre_server.store.bulk_replies import Unusual
from timbre_server.store.link import Client, RedisLink
from timbre_server.store.lua_script import LuaScript
from timbre_server.store.news import News

WHISPER: Final = "features"
"""First word of what is whispered when a claim was resolved; the digest follows."""

MAX_ENCODERS: Final = 4
"""Features of one recording for so many encoders: two models before and after an upgrade.  A fifth starts anew."""

_CLAIM = LuaScript("claim_features")
_PUBLISH = LuaScript("publish_features")
_FAIL = LuaScript("fail_extraction")
_ABANDON = LuaScript("abandon_lease")
_RENEW = LuaScript("renew_lease")
_ERASE = LuaScript("erase_features")


class RedisSharedFeatures:
    """``SharedFeatures`` over Redis; lives on one event loop.

    ``heard`` is to be called with the digest of every claim that was resolved; without it, ``news`` waits its whole time.
    """

    def __init__(
        self,
        link: RedisLink,
        keys: ServiceKeys,
        *,
        ttl_seconds: int,
        lease_seconds: float,
        failure_ttl_seconds: float,
    ) -> None:
        """Features that nobody asks for live ``ttl_seconds``; the others as in ``settings.VoiceCacheSettings``."""
        self._link = link
        self._keys = keys
        self._ttl_seconds = ttl_seconds
        self._lease_seconds = lease_seconds
        self._failure_ttl_seconds = failure_ttl_seconds
        self._bulk = BulkReader(link) if link.settings.mode != "cluster" else None
        self._news = News()

    async def get(self, digest: str, key: str, *, room: Room | None = None) -> Blob | None:
        hash_key = self._keys.features(digest)
        commands = [("HGET", hash_key, key)]
        also = [("EXPIRE", hash_key, self._ttl_seconds)]
        if bulk := self._bulk:
            with suppress(Unusual):
                (reply,) = await self._link.read_aside(lambda: bulk.read(commands, also=also, room=room))
                return reply if isinstance(reply, memoryview) else None
        return (await self._by_library(commands, also))[0]

    async def get_many(
        self,
        wanted: Iterable[tuple[str, str]],
        *,
        arrived: Callable[[int, Blob], None] | None = None,
        room: Room | None = None,
    ) -> Sequence[Blob | None]:
        commands = (("HGET", self._keys.features(digest), key) for digest, key in wanted)
        taken: list[Command] = []

        def taking() -> Iterator[Command]:
            for command in commands:
                taken.append(command)
                yield command

        if bulk := self._bulk:
            with suppress(Unusual):
                replies = await self._link.read_aside(lambda: bulk.read(taking(), arrived=arrived, room=room))
                return [reply for reply in replies if not isinstance(reply, int)]
        # Patient: no request waits for them, and they are many megabytes.
        blobs = await self._by_library([*taken, *commands], patient=True)
        if arrived is not None:
            for place, blob in enumerate(blobs):
                if blob is not None:
                    arrived(place, blob)
        return blobs

    async def _by_library(
        self, commands: Sequence[Command], also: Sequence[Command] = (), *, patient: bool = False
    ) -> Sequence[Blob | None]:
        async def ask(client: Client) -> Sequence[Blob | None]:
            pipeline = client.pipeline(transaction=False)
            for command in (*commands, *also):
                pipeline.execute_command(*command)
            blobs: Sequence[Blob | None] = await pipeline.execute()
            return blobs[: len(commands)]

        return await self._link.read(ask, patient=patient)

    async def claim(self, digest: str, key: str) -> Claim:
        token = secrets.token_hex(8)
        keys = [self._keys.features(digest), self._keys.lease(digest), self._keys.failure(digest, key)]
        lease = _milliseconds(self._lease_seconds)
        # Before Redis is asked: a resolution between its answer and ``news`` is not missed.
        with self._news.expecting(digest), _full_is_away():
            outcome, *rest = await self._link.read(
                lambda client: _CLAIM.run(client, keys, key, token, lease, self._ttl_seconds)
            )
        if outcome == b"taken":
            return Taken(max(0, rest[0]) / 1000)
        self._news.ignore(digest)
        match outcome:
            case b"held":
                return Held(rest[0])
            case b"failed":
                return _failed(rest[0])
            case _:
                return Granted(token, self._lease_seconds)

    async def renew(self, digest: str, token: str) -> bool:
        keys = [self._keys.lease(digest)]
        return bool(
            await self._link.write(lambda client: _RENEW.run(client, keys, token, _milliseconds(self._lease_seconds)))
        )

    async def publish(self, digest: str, key: str, blob: bytes, token: str) -> bool:
        keys = [self._keys.features(digest), self._keys.lease(digest)]
        arguments = (key, token, self._ttl_seconds, blob, MAX_ENCODERS, *self._whisper(digest))
        with _full_is_away():
            return bool(await self._link.write(lambda client: _PUBLISH.run(client, keys, *arguments)))

    async def fail(self, digest: str, key: str, failure: Failed, token: str) -> None:
        keys = [self._keys.lease(digest), self._keys.failure(digest, key)]
        text = json.dumps({"code": failure.code, "message": failure.message})
        life = _milliseconds(self._failure_ttl_seconds)
        with _full_is_away():
            await self._link.write(lambda client: _FAIL.run(client, keys, token, text, life, *self._whisper(digest)))

    async def abandon(self, digest: str, token: str) -> None:
        keys = [self._keys.lease(digest)]
        await self._link.write(lambda client: _ABANDON.run(client, keys, token, *self._whisper(digest)))

    async def news(self, digest: str, *, timeout_seconds: float) -> None:
        await self._news.wait(digest, timeout_seconds=timeout_seconds)

    def heard(self, digest: str) -> None:
        """Wakes those of this pod who wait for news of that recording."""
        self._news.heard(digest)

    async def erase(self, digest: str) -> int:
        keys = [self._keys.features(digest), self._keys.lease(digest)]
        return int(await self._link.write(lambda client: _ERASE.run(client, keys, *self._whisper(digest))))

    async def close(self) -> None:
        """Closes the connection for bulk reads; the link is its maker's.  Idempotent."""
        if self._bulk is not None:
            await self._bulk.close()

    def _whisper(self, digest: str) -> tuple[str, str]:
        return self._keys.whisper(), f"{WHISPER} {digest}"


@contextmanager
def _full_is_away() -> Iterator[None]:
    """A server without room for a cache is as good as away; it is the registry's error that says what to do about it."""
    try:
        yield
    except RegistryFull as error:
        raise StoreUnavailable("the shared store has no room for features") from error


def _failed(text: bytes) -> Failed:
    """What another pod wrote, perhaps one of another version.  Raises: StoreUnavailable: it makes no sense here."""
    try:
        failure = json.loads(text)
    except (ValueError, RecursionError):
        failure = None
    match failure:
        case {"code": str(code), "message": str(message)}:
            return Failed(code, message)
    raise StoreUnavailable("the shared store remembers a failure that this version cannot read")


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
