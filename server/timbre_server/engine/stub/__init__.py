"""An engine without a model, for tests and benchmarks: exact times, scripted failures, tones for speech."""

from timbre_server.engine.stub.engine import OPENAI_VOICES, SAMPLE_RATE_HZ, SECONDS_PER_CHARACTER, StubEngine

__all__ = ["OPENAI_VOICES", "SAMPLE_RATE_HZ", "SECONDS_PER_CHARACTER", "StubEngine"]
