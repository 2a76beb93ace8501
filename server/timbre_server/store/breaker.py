"""Is it worth asking Redis at all right now?"""

from __future__ import annotations


class Breaker:
    """Opens after so many failures in a row, and stays open until a probe says that all is well again.

    Pure: who measures, waits and probes is ``RedisLink``.  Only a prompt answer counts as a success: a slow write that came
    through says nothing of the reads that time out beside it, which would else never fail twice in a row.
    """

    def __init__(self, failures_to_open: int) -> None:
        self._failures_to_open = failures_to_open
        self._failures = 0
        self._open = False

    @property
    def is_open(self) -> bool:
        """Whether nobody should ask."""
        return self._open

    def failed(self) -> bool:
        """Counts a call that was not answered; True for the one that opens the breaker."""
        if self._open:
            return False
        self._failures += 1
        self._open = self._failures >= self._failures_to_open
        return self._open

    def succeeded(self) -> None:
        """Counts a call that was answered promptly.  One that began before the breaker opened does not close it."""
        if not self._open:
            self._failures = 0

    def probed(self) -> None:
        """A probe was answered promptly: everybody may ask again."""
        self._open = False
        self._failures = 0
