"""Who makes speech where no other pod can be asked?  Whoever wants it; but what was erased meanwhile is not stored."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from timbre_server.ports import Granted, ResultName, Standing

LEASE_SECONDS: Final = 60.0
"""Nobody waits for it to end."""


class LoneLeases:
    """``ResultLeases`` of a pod that is alone: within the pod, equal requests share one synthesis anyway."""

    def __init__(self) -> None:
        self._tokens: dict[str, ResultName] = {}

    async def claim(self, name: ResultName) -> Granted:
        token = secrets.token_hex(8)
        self._tokens[token] = name
        return Granted(token, LEASE_SECONDS)

    async def renew(self, name: ResultName, token: str) -> Standing:
        return Standing.OURS if self._tokens.get(token) == name else Standing.LOST

    async def abandon(self, name: ResultName, token: str) -> bool:
        return self._tokens.get(token) == name and self._tokens.pop(token, None) is not None

    async def retaken(self, name: ResultName) -> None:
        pass  # nobody else has the old take

    async def news(self, name: ResultName, *, timeout_seconds: float) -> None:  # noqa: ARG002 - there is no news
        await asyncio.sleep(timeout_seconds)

    async def erase(self, digest: str) -> int:
        for token in [token for token, name in self._tokens.items() if name.digest == digest]:
            del self._tokens[token]
        return 0

    async def close(self) -> None:
        pass
