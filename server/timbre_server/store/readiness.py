"""Which pods of this service take requests?  Each says so every second, and is forgotten soon after it stops."""

from __future__ import annotations

from typing import Final

from timbre_contract.keys import ServiceKeys
from timbre_server.store.link import RedisLink
from timbre_server.store.lua_script import LuaScript

SAY_EVERY_SECONDS: Final = 1.0

BELIEVED_MILLISECONDS: Final = 3_000
"""How long a pod is believed: three times ``SAY_EVERY_SECONDS``, so that two may be lost."""

_SAY = LuaScript("say_ready")
_OTHERS = LuaScript("others_ready")


class RedisReadiness:
    """The pods that are ready, as all of them say to Redis."""

    def __init__(self, link: RedisLink, keys: ServiceKeys, *, pod: str) -> None:
        """``pod`` names this process among those of the scope, uniquely."""
        self._link = link
        self._keys = [keys.ready()]
        self._pod = pod

    async def say(self) -> None:
        """This pod is ready.  Raises: StoreUnavailable."""
        await self._link.write(lambda client: _SAY.run(client, self._keys, self._pod, BELIEVED_MILLISECONDS))

    async def leave(self) -> None:
        """It is not any more.  Raises: StoreUnavailable."""
        await self._link.write(lambda client: client.zrem(self._keys[0], self._pod))

    async def others(self) -> int:
        """How many others are.  Raises: StoreUnavailable."""
        return int(
            await self._link.read(lambda client: _OTHERS.run(client, self._keys, self._pod, BELIEVED_MILLISECONDS))
        )
