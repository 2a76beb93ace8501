"""Where does the server listen, and which paths may probes, charts and dashboards rely on?"""

from enum import StrEnum
from typing import Final

API_PORT: Final = 8000
ADMIN_PORT: Final = 9000

LIVE_PATH: Final = "/livez"
READY_PATH: Final = "/readyz"
METRICS_PATH: Final = "/metrics"
DRAIN_PATH: Final = "/drain"
CACHE_PATH: Final = "/cache"

SPEECH_PATH: Final = "/v1/audio/speech"
RESULTS_PATH: Final = "/v1/audio/speech/results"
"""Below it lies finished speech, for whoever has a link."""
MODELS_PATH: Final = "/v1/models"
VOICES_PATH: Final = "/v1/audio/voices"
CONSENTS_PATH: Final = "/v1/audio/voice_consents"

HOTTEST_FIELD: Final = "hottest"
"""In the answer of ``CACHE_PATH``: voices in memory as ``{"digest": ..., "heat": ...}``, the hottest first."""
MAX_HOTTEST: Final = 64
"""How many of them: beyond, a voice of a Zipf distribution (exponent 1) has under half a percent of the uses."""
WARM_UP_FIELD: Final = "warm_up"
"""In the same answer: a ``WarmUpOutcome``."""
PRELOAD_FIELD: Final = "preload"
"""In the same answer: ``{"present": 3, "waiting": 0, "refused": [{"voice": ..., "reason": ...}]}`` of the declared voices."""
MAX_PRELOAD_REFUSALS: Final = 16
"""How many refusals are told: who has more has one mistake in all of them."""


class WarmUpOutcome(StrEnum):
    """How the loading of voices before the first request ended."""

    RUNNING = "running"
    COMPLETED = "completed"
    """Also where there was nothing to load, or memory was full."""
    CUT_OFF = "cut_off"
    """By its deadline."""
    NO_STORE = "no_store"
    """Redis was away."""
