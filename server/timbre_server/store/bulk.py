"""How do megabytes come out of Redis without being copied three times?

The library reads 64 KiB at a time into one buffer, copies them into its parser and out again.  Here the bytes of a value go
from the socket to the memory where they stay.  The connection is one of the library's, with its address, credentials and
TLS; only its last step is ours: RESP 2, and of that no more than values and numbers.

Megabytes on a slow wire take longer than a read may wait for its answer, so what counts as no answer is silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

from timbre_server.ports import Room
from timbre_server.settings import RedisSettings
from timbre_server.store.bulk_questions import Arrived, Command, Reply
from timbre_server.store.bulk_replies import Replies, Unusual
from timbre_server.store.link import Client, RedisLink
from timbre_server.store.patience import Patience
from timbre_server.store.refusals import LIBRARY_ERRORS


class BulkReader:
    """One connection on which many may ask at once; opened when it is first needed.  Lives on one event loop."""

    def __init__(self, link: RedisLink) -> None:
        """Not for a cluster, where each key has a server of its own."""
        self._link = link
        self._client: Client = None
        self._replies: Replies | None = None
        self._opening = asyncio.Lock()

    async def read(
        self,
        commands: Iterable[Command],
        *,
        also: Sequence[Command] = (),
        arrived: Arrived | None = None,
        room: Room | None = None,
    ) -> list[Reply]:
        """The replies to the commands, in their order; those to ``also`` are not waited for.

        Commands are taken one by one as they are sent, so none needs to be made before its turn.  ``arrived`` is told of
        each value as soon as it is there; values are received into ``room`` as far as it has any.

        Fails when nothing comes for as long as a read may wait, or not all within the time of a write.  Raises ``Unusual``,
        and what the library raises.
        """
        replies = self._replies
        if replies is None or replies.is_stuck:
            async with Patience(self._link.settings.write_timeout_seconds):
                replies = await self._open()
        return await replies.ask(commands, also, arrived, room)

    async def close(self) -> None:
        """Idempotent."""
        async with self._opening:
            await self._close()

    async def _open(self) -> Replies:
        async with self._opening:
            if self._replies is not None and not self._replies.is_stuck:
                return self._replies  # another one was faster
            await self._close()
            client = self._link.dedicated(read_timeout_seconds=self._link.settings.read_timeout_seconds)
            try:
                await client.initialize()
                replies = _taken_over(client, self._link.settings)
            except BaseException:
                await client.aclose()
                raise
            self._client, self._replies = client, replies
            return replies

    async def _close(self) -> None:
        client, replies = self._client, self._replies
        self._client = self._replies = None
        if replies is not None:
            replies.abort()
        if client is not None:
            with suppress(*LIBRARY_ERRORS):
                await client.aclose()


def _taken_over(client: Client, settings: RedisSettings) -> Replies:
    """Our protocol in the place of the library's on a connection that is ready for commands."""
    try:
        transport = client.connection._writer.transport  # noqa: SLF001 - the one place; the lock file pins the library
        previous = transport.get_protocol()
        replies = Replies(transport, previous, settings.read_timeout_seconds, settings.write_timeout_seconds)
        transport.set_protocol(replies)
    except AttributeError as error:
        raise Unusual("the library keeps its transport elsewhere") from error
    return replies
