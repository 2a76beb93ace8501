"""Which VoiceServices do tests make?"""

from __future__ import annotations

from typing import Any, Final

SMALL_REDIS: Final[dict[str, Any]] = {"managed": {"maxMemory": "64Mi"}}
# Two pods that make tones: engine time is told by options, so that two cores measure Timbre and not their own contention.
STUB: Final[dict[str, Any]] = {
    "engine": {"name": "stub"},
    "autoscaling": {"class": "None"},
    "replicas": 2,
    "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "512Mi"}},
    "redis": SMALL_REDIS,
    "drain": {"accept": "3s", "timeout": "20s"},
}
NEW_TEXTS: Final = [{"model": "tts-1", "voice": "alloy", "input": "Request {n}.", "response_format": "pcm"}]
"""A text that was said before would be answered from the cache of results."""
