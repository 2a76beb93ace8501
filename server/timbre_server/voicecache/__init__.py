"""Voice features kept ready to speak: the nearest tier that has them answers, else they are extracted once."""

from timbre_server.voicecache.host import HostFeatureCache
from timbre_server.voicecache.keys import feature_key

__all__ = ["HostFeatureCache", "feature_key"]
