"""The fleet of a server that runs alone: one pod, told of its own changes."""

from __future__ import annotations

import asyncio

from timbre_server.ports import Acknowledgements, ChangeListener, VoiceChange


class AloneFleet:
    """``Fleet`` of one; lives on one event loop."""

    def __init__(self, pod: str = "alone") -> None:
        self._pod = pod
        self._listeners: list[ChangeListener] = []
        self._acting: dict[str, asyncio.Task[None]] = {}

    def listen(self, listener: ChangeListener) -> None:
        self._listeners.append(listener)

    def tell(self, change: VoiceChange) -> None:
        """Sets the listeners to work on a change."""
        task = asyncio.create_task(self._act(change), name=f"change-{change.entry}")
        self._acting[change.entry] = task
        task.add_done_callback(lambda _: self._acting.pop(change.entry))

    async def acknowledged(self, entry: str, *, timeout_seconds: float) -> Acknowledgements:
        if entry in self._acting:
            _, unfinished = await asyncio.wait({self._acting[entry]}, timeout=timeout_seconds)
            if unfinished:
                return Acknowledgements(unconfirmed=(self._pod,))
        return Acknowledgements(acknowledged=(self._pod,))

    async def _act(self, change: VoiceChange) -> None:
        for listener in self._listeners:
            await listener(change)
