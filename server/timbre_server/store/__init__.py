"""Where voices and consents are kept: one implementation of ``VoiceStore`` per place."""

from timbre_server.store.memory import InMemoryVoiceStore

__all__ = ["InMemoryVoiceStore"]
