"""Who still listens to speech of a recording that was erased since?"""

from __future__ import annotations

import asyncio


class Group:
    """Those who listen to kept speech of one recording, and began before it was erased, if it was."""

    __slots__ = ("_audience", "_digest", "_listeners", "gone")

    def __init__(self, audience: Audience, digest: str) -> None:
        self.gone: asyncio.Event | None = None
        """Once it was erased: set when nobody of them listens any more."""
        self._audience = audience
        self._digest = digest
        self._listeners = 0

    def enter(self) -> None:
        """One more."""
        self._listeners += 1

    def leave(self) -> None:
        """One less."""
        self._listeners -= 1
        if self._listeners == 0:
            self._audience.emptied(self._digest, self)


class Audience:
    """Listeners by recording; lives on the event loop.  Nobody is noted who listens to a built-in voice."""

    def __init__(self) -> None:
        self._present: dict[str, Group] = {}
        self._leaving: dict[str, set[Group]] = {}

    def enter(self, digest: str) -> Group | None:
        """The group of somebody who begins to listen; who calls its ``leave`` when done."""
        if not digest:
            return None
        group = self._present.get(digest)
        if group is None:
            group = self._present[digest] = Group(self, digest)
        group.enter()
        return group

    def erase(self, digest: str) -> None:
        """Who comes from now on hears something else."""
        group = self._present.pop(digest, None)
        if group is not None:
            group.gone = asyncio.Event()
            self._leaving.setdefault(digest, set()).add(group)

    async def gone(self, digest: str) -> None:
        """Returns when all have left who listened when that recording was erased."""
        for group in list(self._leaving.get(digest, ())):
            assert group.gone is not None
            await group.gone.wait()

    def emptied(self, digest: str, group: Group) -> None:
        """Nobody is left in that group."""
        if group.gone is None:
            del self._present[digest]
            return
        group.gone.set()
        groups = self._leaving[digest]
        groups.discard(group)
        if not groups:
            del self._leaving[digest]
