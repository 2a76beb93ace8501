"""Up to which moment does a pod know the log of changes, and is that recent enough to speak without asking?"""

from __future__ import annotations

from typing import Final

HEALTHY_SECONDS: Final = 0.5
"""How old the proof may be.  From the design: a replaced voice is heard at most 1 s after the acknowledgement; the other
half second is for the use itself to begin."""


class LogHealth:
    """Pure; moments are seconds of this pod's own monotonic clock.

    A read of the log that was *sent* at some moment and has returned proves that everything appended before that moment
    has been seen.  The moment of its return proves nothing: on a slow network the answer may be old.
    """

    def __init__(self) -> None:
        self._known_up_to = float("-inf")
        self._whole = False

    @property
    def known_up_to(self) -> float:
        """Everything that was acknowledged before this moment has taken effect here."""
        return self._known_up_to

    def broken(self) -> None:
        """Something may have been missed: nothing is trusted until what is held was compared with the registry."""
        self._whole = False

    def whole(self) -> None:
        """What is held was compared with the registry, and from there on the log is read."""
        self._whole = True

    def read(self, sent_at: float) -> None:
        """A read that was sent then has returned all there was, and all of it has taken effect."""
        if self._whole:
            self._known_up_to = max(self._known_up_to, sent_at)

    def healthy(self, now: float) -> bool:
        """Whether voices may be spoken from memory without asking."""
        return self._whole and now - self._known_up_to < HEALTHY_SECONDS
