"""How do many uses of voices at once ask Redis with one question?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from timbre_server.errors import StoreUnavailable
from timbre_server.ports import VoiceName
from timbre_server.store.budget import current_budget

T = TypeVar("T")

_NAMES: Final = 256
"""Voices of one round: 256 take Redis 0.4 ms (``redis_voices``)."""

_SPENT: Final = "the voice store took longer than a request may wait; try again"


@dataclass(eq=False)
class _Round(Generic[T]):
    places: dict[VoiceName, int] = field(default_factory=dict)
    asking: asyncio.Task[Sequence[T]] | None = None


class Rounds(Generic[T]):
    """Puts together what is asked within one turn of the event loop, on which it lives.

    A pod that wakes up with a hundred requests asks once.  A hundred questions of their own would wait for each other
    until those behind had waited too long, and spoke unchecked.
    """

    def __init__(self, question: Callable[[Sequence[VoiceName]], Awaitable[Sequence[T]]]) -> None:
        """``question`` gets names, each once, and gives the answers in their order."""
        self._question = question
        self._gathering: _Round[T] | None = None

    async def ask(self, name: VoiceName) -> T:
        """The answer for that voice, to a question that is sent after this call.

        Raises:
            StoreUnavailable: as every read; what is left of the request's budget is spent.
        """
        budget = current_budget()
        if budget is not None and budget.left_seconds <= 0:
            raise StoreUnavailable(_SPENT)
        current = self._joined(name)
        assert current.asking is not None
        try:
            answers = await asyncio.shield(current.asking)
        except StoreUnavailable:
            if budget is not None:
                budget.spend_all()
            raise
        return answers[current.places[name]]

    def _joined(self, name: VoiceName) -> _Round[T]:
        current = self._gathering
        if current is None or len(current.places) >= _NAMES:
            current = self._gathering = _Round[T]()
            # In a context of its own: it asks for many requests, and spends nobody's budget.
            current.asking = asyncio.create_task(self._put(current), name="ask-together", context=Context())
            current.asking.add_done_callback(_seen)
        current.places.setdefault(name, len(current.places))
        return current

    async def _put(self, current: _Round[T]) -> Sequence[T]:
        if self._gathering is current:  # whoever comes from now on is too late for it
            self._gathering = None
        return await self._question(list(current.places))


def _seen(asking: asyncio.Task[Sequence[T]]) -> None:
    if not asking.cancelled():
        asking.exception()  # every asker may have left, and then it is nobody's
