"""How does a Lua script run in Redis: by its digest, and whole where the server has not seen it yet?"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis.exceptions

from timbre_server.store.link import Client

_FOLDER = Path(__file__).with_name("lua")


class LuaScript:
    """A file of ``lua/``; every key goes in KEYS, so that a cluster can route it."""

    def __init__(self, *names: str) -> None:
        """Names of files without their suffix, read as one: what several scripts share stands in the first."""
        self._text = b"\n".join((_FOLDER / f"{name}.lua").read_bytes() for name in names)
        self._sha = hashlib.sha1(self._text, usedforsecurity=False).hexdigest()  # Redis' own name for it

    async def run(self, client: Client, keys: Sequence[str], *arguments: str | bytes | float) -> Any:
        """The script's reply; raises what the library raises."""
        try:
            return await client.evalsha(self._sha, len(keys), *keys, *arguments)
        except redis.exceptions.NoScriptError:
            return await client.eval(self._text, len(keys), *keys, *arguments)

    def command(self, keys: Sequence[str], *arguments: str | bytes | float, whole: bool = False) -> tuple[Any, ...]:
        """The call as a command for a pipeline; ``whole`` for a server that has not seen the script."""
        name, script = ("EVAL", self._text) if whole else ("EVALSHA", self._sha)
        return (name, script, len(keys), *keys, *arguments)
