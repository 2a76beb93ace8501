"""How is speech shared that lies in one place, while the right to make it is agreed on in another?

Two places have no common moment.  So what is published is stored first, and removed again if the lease on it turns out to
be lost: whoever erased a voice has taken its leases away before.
"""

from __future__ import annotations

from timbre_server.ports import Blob, Granted, Held, ResultFiles, ResultLeases, ResultName, Standing, Taken


class StoredResults:
    """``SharedResults`` over files and leases."""

    def __init__(self, files: ResultFiles, leases: ResultLeases) -> None:
        self._files = files
        self._leases = leases

    async def get(self, name: ResultName) -> Blob | None:
        return await self._files.get(name)

    async def claim(self, name: ResultName) -> Held | Granted | Taken:
        if blob := await self._files.get(name):
            return Held(bytes(blob))
        claim = await self._leases.claim(name)
        if isinstance(claim, Granted) and (blob := await self._files.get(name)):  # published in between
            await self._leases.abandon(name, claim.token)
            return Held(bytes(blob))
        return claim

    async def renew(self, name: ResultName, token: str) -> Standing:
        return await self._leases.renew(name, token)

    async def publish(self, name: ResultName, blob: bytes, token: str | None) -> bool:
        if token is None:
            await self._files.put(name, blob)
            await self._leases.retaken(name)
            return True
        if await self._leases.renew(name, token) is Standing.LOST:
            return False
        await self._files.put(name, blob)
        if await self._leases.abandon(name, token):
            return True
        await self._files.remove(name)
        return False

    async def abandon(self, name: ResultName, token: str) -> bool:
        return await self._leases.abandon(name, token)

    async def retaken(self, name: ResultName) -> None:
        await self._leases.retaken(name)

    async def news(self, name: ResultName, *, timeout_seconds: float) -> None:
        await self._leases.news(name, timeout_seconds=timeout_seconds)

    async def erase(self, digest: str) -> int:
        try:
            await self._leases.erase(digest)
        finally:  # what lies here can go although nobody can be asked
            erased = await self._files.erase(digest)
        return erased

    async def close(self) -> None:
        await self._leases.close()
        await self._files.close()
