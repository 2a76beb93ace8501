"""Things that somebody might want to hear."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from timbre_server.domain.speech import SpeechParameters
from timbre_server.ports import EngineDescriptor, Saying, TensorSpec, VoiceIdentity

DESCRIPTOR = EngineDescriptor(
    name="stub",
    model_id="model",
    revision="1",
    encoder_id="encoder",
    encoder_config_hash="cafe",
    sample_rate_hz=24_000,
    feature_spec={"embedding": TensorSpec("float32", (256,))},
    feature_bytes_per_second=100.0,
    speech_config_hash="f00d",
)
VOICE = VoiceIdentity(digest="d" * 64, generation=1)


def saying(text: str = "Hello.", *, voice: VoiceIdentity = VOICE, tenant: str = "default", **how: Any) -> Saying:
    """Said by an enrolled voice unless another one is named."""
    return Saying(tenant, voice, text, SpeechParameters(**how))


WORDS = st.text(st.characters(codec=None), max_size=4)
TEXTS = st.text(st.sampled_from('aé e\u0301\u00a0\n\ud800[],"'), max_size=6)
SPEEDS = st.floats(0.25, 4.0)
VOICES = st.builds(
    VoiceIdentity, preset=WORDS, digest=WORDS, generation=st.integers(0, 3), transcript=st.sampled_from(["", "a", " a"])
)
PARAMETERS = st.builds(
    SpeechParameters,
    speed=SPEEDS,
    emotion=WORDS,
    pitch_semitones=st.floats(-12, 12),
    language=WORDS,
    instructions=WORDS,
    seed=st.integers(0, 3),
)
SAYINGS = st.builds(Saying, WORDS, VOICES, TEXTS, PARAMETERS)
