"""How do all pods share finished speech, and agree on who makes what nobody has?

Each speech is a string of its own, which ends by itself.  Whoever finds nothing asks for a lease; its token fences the
publication.  The speech of one recording lies in many slots of a cluster, so a list beside it says what an erasure has
to find; a name is in that list before anything is stored under it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final

from timbre_contract.keys import ServiceKeys
from timbre_server.errors import RegistryFull, StoreUnavailable
from timbre_server.ports import Blob, Granted, Held, ResultName, Standing, Taken
from timbre_server.store.bulk import BulkReader
from timbre_server.store.bulk_replies import Unusual
from timbre_server.store.link import Client, RedisLink
from timbre_server.store.lua_script import LuaScript
from timbre_server.store.news import News

WHISPER: Final = "result"
"""First word of what is whispered when a claim was resolved; the key follows."""

RETAKE: Final = "retake"
"""The same when a new take has replaced the old one, of which pods may have copies."""

ERASED_AT_ONCE: Final = 500
"""Results that are erased by one pipeline: freeing so many strings of 150 KB takes Redis about a millisecond (``UNLINK``)."""

_CLAIM = LuaScript("claim_result")
_RENEW = LuaScript("renew_result_lease")
_PUBLISH = LuaScript("publish_result")
_ABANDON = LuaScript("abandon_result_lease")
_INDEX = LuaScript("index_result")

_STANDINGS: Final = (Standing.LOST, Standing.OURS, Standing.AWAITED)


class RedisSharedResults:
    """``SharedResults`` over Redis; lives on one event loop.

    ``heard`` is to be called with the key of every claim that was resolved; without it, ``news`` waits its whole time.
    """

    def __init__(self, link: RedisLink, keys: ServiceKeys, *, ttl_seconds: int, lease_seconds: float) -> None:
        self._link = link
        self._keys = keys
        self._ttl_seconds = ttl_seconds
        self._lease_seconds = lease_seconds
        self._bulk = BulkReader(link) if link.settings.mode != "cluster" else None
        self._news = News()

    async def get(self, name: ResultName) -> Blob | None:
        key = self._keys.result(name.key)
        if bulk := self._bulk:
            with suppress(Unusual):
                (reply,) = await self._link.read_aside(lambda: bulk.read([("GET", key)]))
                return reply if isinstance(reply, memoryview) else None
        blob: Blob | None = await self._link.read(lambda client: client.get(key))
        return blob

    async def claim(self, name: ResultName) -> Held | Granted | Taken:
        token = secrets.token_hex(8)
        lease = _milliseconds(self._lease_seconds)
        # Before Redis is asked: a resolution between its answer and ``news`` is not missed.
        with self._news.expecting(name.key), _full_is_away():
            outcome, *rest = await self._link.read(lambda client: _CLAIM.run(client, self._pair(name), token, lease))
        if outcome == b"taken":
            return Taken(max(0, rest[0]) / 1000)
        self._news.ignore(name.key)
        if outcome == b"held":
            return Held(rest[0])
        await self._index(name)
        return Granted(token, self._lease_seconds)

    async def renew(self, name: ResultName, token: str) -> Standing:
        keys, life = [self._keys.result_lease(name.key)], _milliseconds(self._lease_seconds)
        return _STANDINGS[await self._link.write(lambda client: _RENEW.run(client, keys, token, life))]

    async def publish(self, name: ResultName, blob: bytes, token: str | None) -> bool:
        await self._index(name)
        arguments = (token or "", self._ttl_seconds, blob, *self._whisper(name, WHISPER if token else RETAKE))
        with _full_is_away():
            return bool(await self._link.write(lambda client: _PUBLISH.run(client, self._pair(name), *arguments)))

    async def abandon(self, name: ResultName, token: str) -> bool:
        keys = [self._keys.result_lease(name.key)]
        return bool(await self._link.write(lambda client: _ABANDON.run(client, keys, token, *self._whisper(name))))

    async def retaken(self, name: ResultName) -> None:
        channel, word = self._whisper(name, RETAKE)
        await self._link.write(lambda client: client.publish(channel, word))

    async def news(self, name: ResultName, *, timeout_seconds: float) -> None:
        await self._news.wait(name.key, timeout_seconds=timeout_seconds)

    def heard(self, key: str) -> None:
        """Wakes those of this pod who wait for news of that key."""
        self._news.heard(key)

    async def erase(self, digest: str) -> int:
        index, erased = self._keys.results(digest), 0
        while keys := await self._link.write(lambda client: client.zrange(index, 0, ERASED_AT_ONCE - 1)):
            erased += await self._erase_all([key.decode() for key in keys])
            # Only what was seen: what came meanwhile must be found by who erases again.
            await self._link.write(partial(_removed, index, keys))
        return erased

    async def close(self) -> None:
        """Closes the connection for bulk reads; the link is its maker's.  Idempotent."""
        if self._bulk is not None:
            await self._bulk.close()

    async def _erase_all(self, keys: list[str]) -> int:
        async def unlink(client: Client) -> int:
            pipeline = client.pipeline(transaction=False)
            for key in keys:
                pipeline.execute_command("UNLINK", self._keys.result(key))  # a cluster's pipeline has no ``unlink``
                pipeline.execute_command("UNLINK", self._keys.result_lease(key))
            removed: list[int] = await pipeline.execute()
            return sum(removed[::2])

        return await self._link.write(unlink)

    async def _index(self, name: ResultName) -> None:
        """Built-in voices are never erased."""
        if name.digest:
            keys = [self._keys.results(name.digest)]
            life = _milliseconds(self._ttl_seconds + 2 * self._lease_seconds)
            with _full_is_away():
                await self._link.write(lambda client: _INDEX.run(client, keys, name.key, life))

    def _pair(self, name: ResultName) -> list[str]:
        return [self._keys.result(name.key), self._keys.result_lease(name.key)]

    def _whisper(self, name: ResultName, word: str = WHISPER) -> tuple[str, str]:
        return self._keys.whisper(), f"{word} {name.key}"


async def _removed(index: str, keys: list[bytes], client: Client) -> None:
    await client.zrem(index, *keys)


@contextmanager
def _full_is_away() -> Iterator[None]:
    """A server without room for a cache is as good as away; it is the registry's error that says what to do about it."""
    try:
        yield
    except RegistryFull as error:
        raise StoreUnavailable("the shared store has no room for speech") from error


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
