"""Where does a tier put the arrays of its voices, and what do they take there?"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from timbre_server.domain.pcm import Array
from timbre_server.domain.voice import Features, feature_bytes


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
    """``FeatureStorage`` in this process' memory: the arrays are kept as they are, read-only."""

    def __init__(self) -> None:
        self.reserved_bytes = 0
        """Always 0: each array has its own memory, which the tier's ``held_bytes`` counts."""

    def size_bytes(self, features: Features) -> int:
        return feature_bytes(features)

    def store(self, features: Features) -> Features:
        if _owned_bytes(features) > 2 * feature_bytes(features):
            # A slice of a batch would keep the whole batch in memory, which no budget counts.
            features = {name: array.copy() for name, array in features.items()}
        return {name: _read_only(array) for name, array in features.items()}

    def free(self, stored: Features) -> None:
        """Nothing: the interpreter frees an array with its last reference."""

    def resize(self, capacity_bytes: int) -> None:
        """Nothing: there is no reserve."""


def _owned_bytes(features: Features) -> int:
    """The memory that lives as long as these arrays do: that of the objects that they are views of."""
    owners: dict[int, int] = {}
    for array in features.values():
        owner = array
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        owners[id(owner)] = owner.nbytes if owner.base is None else memoryview(owner.base).nbytes
    return sum(owners.values())


def _read_only(array: Array) -> Array:
    """The array itself where it is contiguous and nobody can write it, else a read-only view, else a copy."""
    made = np.asarray(array, order="C")
    if made.flags.writeable:
        made = made.view()
        made.flags.writeable = False
    return made
