"""When does a write of the registry count as done?

As soon as the master has it, or after replicas (``WAIT``) or the disk (``WAITAOF``) have it too.  Both speak about the
writes of the connection that they arrive on, so they travel behind the write in one pipeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import redis.exceptions
from redis.asyncio.cluster import RedisCluster

from timbre_server.errors import StoreUnavailable
from timbre_server.settings import RedisSettings
from timbre_server.store.link import Client
from timbre_server.store.lua_script import LuaScript

_NOT_DURABLE: Final = "the change was made, but may not survive a failure of the voice store: {} not confirm it in time"


class Durability:
    """How writes are confirmed."""

    def __init__(self, settings: RedisSettings) -> None:
        milliseconds = int(settings.wait_timeout_seconds * 1000)
        self._waits: list[tuple[tuple[str | int, ...], int, str]] = []
        """Command, the number that it must answer, and who failed otherwise."""
        if settings.wait_replicas:
            self._waits.append((("WAIT", settings.wait_replicas, milliseconds), settings.wait_replicas, "replicas did"))
        if settings.wait_aof:
            self._waits.append((("WAITAOF", 1, 0, milliseconds), 1, "its disk did"))

    async def run(self, client: Client, script: LuaScript, keys: Sequence[str], *arguments: str | bytes | float) -> Any:
        """The reply of a script that writes, once the write is confirmed; raises what the library raises.

        Raises:
            StoreUnavailable: the write happened and was not confirmed in time.
        """
        if not self._waits:
            return await script.run(client, keys, *arguments)
        replies = await self._pipeline(client, script.command(keys, *arguments), keys[0])
        if isinstance(replies[0], redis.exceptions.NoScriptError):
            replies = await self._pipeline(client, script.command(keys, *arguments, whole=True), keys[0])
        elif isinstance(replies[0], redis.exceptions.AskError):  # or MovedError: the cluster was changed
            await client.exists(keys[0])  # follows the slot and remembers where it is
            replies = await self._pipeline(client, script.command(keys, *arguments, whole=True), keys[0])
        if isinstance(replies[0], Exception):
            raise replies[0]
        for (_, wanted, who), reply in zip(self._waits, replies[1:], strict=True):
            if isinstance(reply, Exception):
                raise StoreUnavailable(_NOT_DURABLE.format(who)) from reply
            if (reply[0] if isinstance(reply, list) else reply) < wanted:
                raise StoreUnavailable(_NOT_DURABLE.format(who))
        return replies[0]

    async def _pipeline(self, client: Client, command: tuple[Any, ...], key: str) -> list[Any]:
        if isinstance(client, RedisCluster):
            pipeline = client.pipeline()
            pipeline.execute_command(*command)
            for wait, _, _ in self._waits:
                pipeline.execute_command(*wait, target_nodes=client.get_node_from_key(key))
            return list(await pipeline.execute(raise_on_error=False, allow_redirections=False))
        pipeline = client.pipeline(transaction=False)
        for step in (command, *(wait for wait, _, _ in self._waits)):
            pipeline.execute_command(*step)
        return list(await pipeline.execute(raise_on_error=False))
