"""The VoiceService as users write it: typed, checked, and the source of its CRD.

Pure: what the API server does with a manifest (defaults, bounds, rules) happens here too, in the same words.
"""

from timbre_operator.voiceservice.crd import build_crd
from timbre_operator.voiceservice.voice_service import VoiceService, from_manifest

__all__ = ["VoiceService", "build_crd", "from_manifest"]
