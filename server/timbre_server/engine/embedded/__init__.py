"""The default engine: English speech in a reference's pitch and timbre, from wheels alone and without a GPU.

hibari's small base voice says the text as vocoder frames (``acoustic``); their pitch and envelope are moved to the
statistics of the target voice (``conversion``), and only then do they become sound (``vocoder``).  It follows a
reference measurably; it is a demonstration and fallback voice, not studio cloning.

    text ─ text.split ─ acoustic.phonemes ─ acoustic.frames ─ conversion.convert ─ vocoder.render ─ loudness ─ pieces
    reference ─ analysis.analyse ─ extraction.extract ─ features
"""

from timbre_server.engine.embedded.engine import EmbeddedEngine

__all__ = ["EmbeddedEngine"]
