"""Do the watches still tell what happens?

A broken watch is silent, and so is a healthy one where nothing happens.  Lists, which are made now and then anyway, tell
them apart: what a list has and the watch did not tell, not even some time later, the watch has missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

_Address = tuple[str, str, str]

GRACE_SECONDS: Final = 10.0
"""Time for a watch to tell what a list was faster with: normally milliseconds, a reconnect takes one or two seconds."""


class Freshness:
    """Of each watched kind: when was it last certain that its watch misses nothing?"""

    def __init__(self, clock: Callable[[], float], missed: Callable[[str], None] | None = None) -> None:
        self._clock = clock
        self._missed = missed or (lambda _kind: None)
        self._certain: dict[str, float] = {}
        self._owed: dict[_Address, float] = {}
        """What lists had and watches have not told yet, and since when."""

    def watch(self, kinds: Iterable[str]) -> None:
        """From now on exactly these are watched."""
        now = self._clock()
        self._certain = {kind: self._certain.get(kind, now) for kind in kinds}
        self._owed = {address: since for address, since in self._owed.items() if address[0] in self._certain}

    def heard(self, address: _Address) -> None:
        """A watch told of an object."""
        self._owed.pop(address, None)
        if address[0] in self._certain:
            self._certain[address[0]] = self._clock()

    def listed(self, kind: str, news: Iterable[_Address]) -> None:
        """A list went through; ``news`` is what was not known before it."""
        now = self._clock()
        overdue = [
            address for address, since in self._owed.items() if address[0] == kind and now - since >= GRACE_SECONDS
        ]
        for address in overdue:
            del self._owed[address]
            self._missed(kind)
        fresh = set(news)
        for address in fresh:
            self._owed.setdefault(address, now)
        if not overdue and not fresh and kind in self._certain:
            self._certain[kind] = now

    def idle_seconds(self) -> float:
        """Since when the most silent watch is uncertain; 0 where nothing is watched."""
        now = self._clock()
        return max((now - since for since in self._certain.values()), default=0.0)

    def most_idle(self) -> str:
        """Which one that is."""
        return min(self._certain, key=lambda kind: self._certain[kind], default="")
