"""Does every engine keep the promises of its port?"""

from __future__ import annotations

from tests.server.engine.conformance import EngineConformance
from timbre_server.engine.embedded import EmbeddedEngine
from timbre_server.engine.stub import StubEngine


class TestStub(EngineConformance):
    @staticmethod
    def make() -> StubEngine:
        return StubEngine(pieces=4, sleep=lambda _seconds: None)


class TestEmbedded(EngineConformance):
    make = staticmethod(EmbeddedEngine)
