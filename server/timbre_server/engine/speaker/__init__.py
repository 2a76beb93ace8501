"""Who speaks? A recording becomes a unit vector, and the cosine of two vectors says how alike two voices are.

``mel`` and ``silence`` are pure; ``encoder`` owns the model.  Weights: Resemblyzer (NOTICE.md).
"""

from timbre_server.engine.speaker.encoder import EMBEDDING_SIZE, THRESHOLD, SpeakerEncoder

__all__ = ["EMBEDDING_SIZE", "THRESHOLD", "SpeakerEncoder"]
