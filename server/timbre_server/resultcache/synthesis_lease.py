"""How does the pod that makes speech for all keep that right, and hand over what came of it?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from types import TracebackType
from typing import Final, Self

from timbre_server.errors import StoreUnavailable
from timbre_server.ports import Granted, ResultName, SharedResults, Standing

RENEWALS_PER_LEASE: Final = 3
"""Two renewals may be lost, to a slow server or a busy loop, before the lease is."""


class SynthesisLease:
    """The right to make one speech, renewed while the block runs and until its result is handed over.

    An error in the block ends the lease, and the next pod that waits tries.
    """

    def __init__(self, shared: SharedResults, name: ResultName, granted: Granted) -> None:
        self._shared = shared
        self._name = name
        self._token = granted.token
        self._period_seconds = granted.lease_seconds / RENEWALS_PER_LEASE
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        # In a context of its own: it works for all who wait.
        self._renewing = asyncio.create_task(self._renew(), name=f"lease-{self._name.key[:8]}", context=Context())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            await self.abandon()

    async def is_awaited(self) -> bool:
        """Whether other pods wait for what comes of it."""
        with suppress(StoreUnavailable):
            return await self._shared.renew(self._name, self._token) is Standing.AWAITED
        return False

    async def hand_over(self, encoded: Callable[[], bytes], wanted: Callable[[], bool]) -> None:
        """Publishes the result, unless it is not wanted any more; leaves it to the next where there is no room for it."""
        try:
            if wanted():
                await self._shared.publish(self._name, encoded(), self._token)
            else:
                await self._abandon()
        except StoreUnavailable:
            await self._abandon()
        finally:
            self._stop_renewing()

    async def abandon(self) -> None:
        """Leaves it to the next."""
        self._stop_renewing()
        await self._abandon()

    async def _abandon(self) -> None:
        with suppress(StoreUnavailable):  # then it ends by itself
            await self._shared.abandon(self._name, self._token)

    async def _renew(self) -> None:
        standing = Standing.OURS
        while standing is not Standing.LOST:
            await asyncio.sleep(self._period_seconds)
            with suppress(StoreUnavailable):  # perhaps the next renewal gets through in time
                standing = await self._shared.renew(self._name, self._token)

    def _stop_renewing(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
