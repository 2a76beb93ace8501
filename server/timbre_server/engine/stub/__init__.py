"""An engine without a model, for tests and benchmarks: exact times, scripted failures, tones for speech."""

from timbre_server.engine.stub.engine import OPENAI_VOICES, StubEngine
from timbre_server.engine.stub.tone import SAMPLE_RATE_HZ, SECONDS_PER_CHARACTER

__all__ = ["OPENAI_VOICES", "SAMPLE_RATE_HZ", "SECONDS_PER_CHARACTER", "StubEngine"]
