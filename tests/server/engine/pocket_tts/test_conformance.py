"""Does the pocket-tts engine keep the promises of its port?"""

# ruff: noqa: E402 - torch is looked for before anything that imports it

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import ClassVar

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make test-torch")

from tests.server.engine.conformance import EngineConformance
from tests.server.engine.pocket_tts import tiny_checkpoint
from timbre_server.engine.pocket_tts.engine import PocketTtsEngine


@lru_cache
def checkpoint() -> str:
    return str(tiny_checkpoint.save(Path(mkdtemp())))


class TestPocketTts(EngineConformance):
    batch_tolerance: ClassVar[float] = 1e-5

    @staticmethod
    def make() -> PocketTtsEngine:
        return PocketTtsEngine({"path": checkpoint(), "device": "cpu", "threads": 1})
