"""One extraction of a voice that waits for the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from timbre_server.batching.policy import WorkKind
from timbre_server.domain.voice import Features, Reference
from timbre_server.errors import TimbreError


class ExtractionJob:
    """A ``policy.Candidate``: urgent, because somebody's first audio waits for it, and a row of its own."""

    kind = WorkKind.EXTRACTION
    urgent = True
    deadline = None

    def __init__(
        self,
        reference: Reference,
        *,
        cost_seconds: float,
        arrived_at: float,
        begun: Callable[[], None] | None = None,
    ) -> None:
        self.reference = reference
        self._begun = begun
        self.cost_seconds = cost_seconds
        self.arrived_at = arrived_at
        self.features: asyncio.Future[Features] = asyncio.get_running_loop().create_future()

    @property
    def row(self) -> int:
        return id(self)

    @property
    def voice(self) -> int:
        return id(self)

    @property
    def done(self) -> bool:
        """Whether its caller has an answer."""
        return self.features.done()

    @property
    def abandoned(self) -> bool:
        """Whether its caller has left."""
        return self.features.cancelled()

    def begin(self) -> None:
        """A batch that holds this job starts."""
        if self._begun is not None:
            self._begun()

    def finish(self, features: Features) -> None:
        if not self.features.done():
            self.features.set_result(features)

    def fail(self, error: TimbreError) -> None:
        if not self.features.done():
            self.features.set_exception(error)
