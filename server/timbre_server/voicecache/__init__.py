"""Voice features kept ready to speak: the nearest tier that has them answers, else they are extracted once for the fleet."""

from timbre_server.voicecache.keys import FeatureKeys
from timbre_server.voicecache.memory_tiers import MemoryTiers
from timbre_server.voicecache.shared_tier import SharedTier
from timbre_server.voicecache.storage import HostStorage
from timbre_server.voicecache.tier import Tier
from timbre_server.voicecache.tiered import TieredFeatureCache
from timbre_server.voicecache.voice_use import VoiceUse

__all__ = [
    "FeatureKeys",
    "HostStorage",
    "MemoryTiers",
    "SharedTier",
    "Tier",
    "TieredFeatureCache",
    "VoiceUse",
]
