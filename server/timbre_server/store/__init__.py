"""Where voices and consents are kept, and how pods that share them hear of each other."""

from timbre_server.store.alone import AloneFleet
from timbre_server.store.memory import InMemoryVoiceStore

__all__ = ["AloneFleet", "InMemoryVoiceStore"]
