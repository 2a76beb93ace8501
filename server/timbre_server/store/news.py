"""Has something happened that somebody here waits for?  What was said between a question and the wait is not missed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class _Subject:
    """What somebody waits for, or will as soon as a question is answered."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self.waiting = 0


class News:
    """Who waits for news of which subject; lives on one event loop, and keeps nothing of a subject that nobody waits for."""

    def __init__(self) -> None:
        self._subjects: dict[str, _Subject] = {}

    def expect(self, subject: str) -> None:
        """From now on news of that subject count for the next ``wait``; older ones do not."""
        known = self._subjects.get(subject)
        if known is None or known.news.is_set():
            self._subjects[subject] = _Subject()

    def ignore(self, subject: str) -> None:
        """Who expected news will not wait after all; those who wait are still told."""
        known = self._subjects.get(subject)
        if known is not None and not known.waiting:
            del self._subjects[subject]

    @contextmanager
    def expecting(self, subject: str) -> Iterator[None]:
        """``expect``, for a question in the block: if it fails, nobody will wait."""
        self.expect(subject)
        try:
            yield
        except BaseException:
            self.ignore(subject)
            raise

    async def wait(self, subject: str, *, timeout_seconds: float) -> None:
        """Returns when there were news since ``expect``, or when the time is up."""
        known = self._subjects.setdefault(subject, _Subject())
        known.waiting += 1
        try:
            async with asyncio.timeout(timeout_seconds):
                await known.news.wait()
        except TimeoutError:
            pass
        finally:
            known.waiting -= 1
            if not known.waiting and self._subjects.get(subject) is known:
                del self._subjects[subject]

    def heard(self, subject: str) -> None:
        """Wakes those who wait for news of that subject."""
        if known := self._subjects.get(subject):
            known.news.set()
