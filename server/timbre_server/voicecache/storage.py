"""Where does a tier put the arrays of its voices, and what do they take there?"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from timbre_server.domain.voice import Features
from timbre_server.ports import Room
from timbre_server.voicecache.arena import Arena, HugePages
from timbre_server.voicecache.slabs import SLAB_BYTES, SlabMemory, aligned

LANDING_BYTES: Final = SLAB_BYTES
"""What voices may take that were received and not yet kept, beyond the capacity: 4 of the largest that we know (4 MiB)."""


class StorageFull(Exception):
    """There is no place for these features now, although their size is within the capacity (fragmentation, pressure)."""


class FeatureStorage(Protocol):
    """Memory for the features of many voices; a ``Tier`` decides what is in it.

    Thread-safe: ``store`` runs beside everything else.  ``free`` is called under the tier's lock: it must be quick, not wait
    for a device, and not call the tier.
    """

    @property
    def reserved_bytes(self) -> int:
        """What is taken from the machine now, whether features are in it or not."""
        ...

    def size_bytes(self, features: Features) -> int:
        """What storing these takes, alignment included."""
        ...

    def store(self, features: Features) -> Features:
        """A copy where the tier lives, complete when this returns, or the features themselves where they are there already.

        Immutable: nobody writes into it until it was freed.

        Raises:
            StorageFull: no place; nothing was taken.
        """
        ...

    def free(self, stored: Features) -> None:
        """Ends the life of what ``store`` returned; its memory may be another voice's at once."""
        ...

    def resize(self, capacity_bytes: int) -> None:
        """Gives back to the machine what is beyond that capacity, now or as entries are freed; or takes more, now or later."""
        ...


class HostStorage:
    """``FeatureStorage`` in this process' memory, in the rooms of an arena.

    What was received into a room of its own stays there; anything else is copied into one.
    """

    def __init__(self, capacity_bytes: int, memory: SlabMemory | None = None) -> None:
        """``memory``: where slabs come from; default: huge pages of this process."""
        self._arena = Arena(memory or HugePages(), capacity_bytes=capacity_bytes + LANDING_BYTES)

    @property
    def reserved_bytes(self) -> int:
        return self._arena.reserved_bytes

    @property
    def room(self) -> Room:
        """Where features can be received that shall be stored here."""
        return self._arena.room

    def size_bytes(self, features: Features) -> int:
        """The voice's share of a slab full of its like."""
        return self._arena.shared_room_bytes(features.values()) or self._arena.share_bytes(_extent(features))

    def store(self, features: Features) -> Features:
        if self._arena.shared_room_bytes(features.values()):
            return features
        room = self._arena.room(_extent(features))
        if room is None:
            raise StorageFull
        return _copied(features, room)

    def free(self, stored: Features) -> None:
        """Nothing: a room ends with the last array in it, which the tier has let go of, and late readers will."""

    def resize(self, capacity_bytes: int) -> None:
        self._arena.resize(capacity_bytes + LANDING_BYTES)


def _extent(features: Features) -> int:
    return sum(aligned(array.nbytes) for array in features.values())


def _copied(features: Features, room: memoryview) -> Features:
    """Read-only arrays in a room that is as large as their extent."""
    copies, offset = {}, 0
    for name, array in features.items():
        copy = np.frombuffer(room, array.dtype, array.size, offset).reshape(array.shape)
        copy[...] = array
        copy.flags.writeable = False
        copies[name] = copy
        offset += aligned(array.nbytes)
    return copies
