"""Has something happened that somebody here waits for?  What was said between a question and the wait is not missed."""

from __future__ import annotations

import asyncio


class News:
    """Who waits for news of which subject; lives on one event loop, and keeps nothing of a subject that nobody waits for."""

    def __init__(self) -> None:
        self._subjects: dict[str, asyncio.Event] = {}

    def expect(self, subject: str) -> None:
        """From now on news of that subject count for the next ``wait``; older ones do not."""
        if subject not in self._subjects or self._subjects[subject].is_set():
            self._subjects[subject] = asyncio.Event()

    def ignore(self, subject: str) -> None:
        """Nobody will wait after all."""
        self._subjects.pop(subject, None)

    async def wait(self, subject: str, *, timeout_seconds: float) -> None:
        """Returns when there were news since ``expect``, or when the time is up."""
        event = self._subjects.setdefault(subject, asyncio.Event())
        try:
            async with asyncio.timeout(timeout_seconds):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            if self._subjects.get(subject) is event:
                del self._subjects[subject]

    def heard(self, subject: str) -> None:
        """Wakes those who wait for news of that subject."""
        if event := self._subjects.get(subject):
            event.set()
