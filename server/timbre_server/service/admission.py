"""A request's place in the queue, whose predicted cost is corrected while more becomes known."""

from __future__ import annotations

from collections.abc import Callable

from timbre_server.domain.voice import Reference
from timbre_server.ports import Dispatcher, LoadReference, Permit


def _untold(_cost_seconds: float) -> None:
    pass


class Admission:
    """The permit of one request; taken when made, given back by ``release``.  Lives on the event loop.

    Whether a voice must be extracted shows only when no tier has it.  Then the permit is exchanged for a larger
    one, and afterwards for the first one again; an exchange has no await in it, so that nobody slips in between
    and a request that would be let in alone is let in with its extraction too.

    Raises:
        Overloaded: there is no room.
    """

    def __init__(
        self, dispatcher: Dispatcher, cost_seconds: float, *, extracting: Callable[[float], None] = _untold
    ) -> None:
        """``extracting`` is told what an extraction costs that this request sets off."""
        self._dispatcher = dispatcher
        self._tell_extracting = extracting
        self._cost_seconds = cost_seconds
        self._extracting = False
        self._open = True
        self.permit: Permit = dispatcher.admit(cost_seconds)

    def loading(self, load: LoadReference, cost: Callable[[float], float]) -> LoadReference:
        """``load`` for a feature source, which pays for the extraction that its call announces.

        ``cost`` predicts engine seconds from seconds of reference.
        """

        async def load_and_pay() -> Reference:
            reference = await load()
            cost_seconds = cost(reference.pcm.duration_seconds)
            self._tell_extracting(cost_seconds)
            self._begin_extraction(cost_seconds)
            return reference

        return load_and_pay

    def extracted(self) -> None:
        """The extraction, if there was one, is over."""
        if self._extracting:
            self._extracting = False
            self._exchange(self._cost_seconds)

    def release(self) -> None:
        """Gives the place back.  Idempotent."""
        self._open = False
        self.permit.release()

    def _begin_extraction(self, cost_seconds: float) -> None:
        if self._open:  # else its request has left, and the extraction goes on for others who wait for it
            self._exchange(self._cost_seconds + cost_seconds)
            self._extracting = True

    def _exchange(self, cost_seconds: float) -> None:
        self.permit.release()
        self.permit = self._dispatcher.admit(cost_seconds)
