"""Does the pocket-tts engine keep the promises of its port?"""

from __future__ import annotations

from typing import ClassVar

import pytest

pytest.importorskip("torch", reason="needs torch: make test-torch")

from tests.server.engine.conformance import EngineConformance
from tests.server.engine.pocket_tts import tiny_checkpoint
from timbre_server.engine.pocket_tts.engine import PocketTtsEngine


class TestPocketTts(EngineConformance):
    batch_tolerance: ClassVar[float] = 1e-5
    """Products of matrices are summed in another order for another number of rows; see docs/engines.md."""

    @staticmethod
    def make() -> PocketTtsEngine:
        return PocketTtsEngine({"path": str(tiny_checkpoint.shared()), "device": "cpu", "threads": 1})
