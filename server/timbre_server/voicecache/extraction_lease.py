"""How does the pod that extracts a voice for all keep that right, and hand over what came of it?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from timbre_server.errors import AudioRejected, StoreUnavailable
from timbre_server.ports import Failed, Granted, SharedFeatures

RENEWALS_PER_LEASE: Final = 3
"""Two renewals may be lost, to a slow server or a busy loop, before the lease is."""


class ExtractionLease:
    """The right to extract one recording, renewed while the block runs and until its result is handed over.

    An error in the block ends the lease: what would happen again to every pod is told to them, anything else leaves
    the recording to the next.
    """

    def __init__(self, shared: SharedFeatures, digest: str, key: str, granted: Granted) -> None:
        self._shared = shared
        self._digest = digest
        self._key = key
        self._token = granted.token
        self._period_seconds = granted.lease_seconds / RENEWALS_PER_LEASE
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._renewing = asyncio.create_task(self._renew(), name=f"lease-{self._digest[:8]}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._stop_renewing()
            await self._give_up(error)

    async def hand_over(self, encoded: Callable[[], bytes], wanted: Callable[[], bool]) -> None:
        """Publishes the result, encoded in a thread, unless it is not wanted any more."""
        try:
            blob = await asyncio.to_thread(encoded)
            if wanted():
                with suppress(StoreUnavailable):  # a cache: the next pod extracts again
                    await self._shared.publish(self._digest, self._key, blob, self._token)
            else:
                await self._give_up(None)
        finally:
            self._stop_renewing()

    async def _give_up(self, error: BaseException | None) -> None:
        with suppress(StoreUnavailable):  # then it ends by itself
            if isinstance(error, AudioRejected):
                failure = Failed(error.code, error.message)
                await self._shared.fail(self._digest, self._key, failure, self._token)
            else:
                await self._shared.abandon(self._digest, self._token)

    async def _renew(self) -> None:
        ours = True
        while ours:
            await asyncio.sleep(self._period_seconds)
            with suppress(StoreUnavailable):  # perhaps the next renewal gets through in time
                ours = await self._shared.renew(self._digest, self._token)

    def _stop_renewing(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
