"""One loaded engine for all tests that need one and change nothing in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from timbre_server.engine.pocket_tts.engine import PocketTtsEngine


@pytest.fixture(scope="session")
def engine() -> Iterator[PocketTtsEngine]:
    """On random weights and the CPU, in float32."""
    from tests.server.engine.pocket_tts import tiny_checkpoint  # noqa: PLC0415 - not every environment has torch
    from timbre_server.engine.pocket_tts.engine import PocketTtsEngine  # noqa: PLC0415

    made = PocketTtsEngine({"path": str(tiny_checkpoint.shared()), "device": "cpu", "threads": 1})
    made.load()
    yield made
    made.close()
