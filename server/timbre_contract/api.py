"""Where does the server listen, and which paths may probes, charts and dashboards rely on?"""

from typing import Final

API_PORT: Final = 8000
ADMIN_PORT: Final = 9000

LIVE_PATH: Final = "/livez"
READY_PATH: Final = "/readyz"
METRICS_PATH: Final = "/metrics"
DRAIN_PATH: Final = "/drain"
CACHE_PATH: Final = "/cache"

SPEECH_PATH: Final = "/v1/audio/speech"
MODELS_PATH: Final = "/v1/models"
VOICES_PATH: Final = "/v1/audio/voices"
CONSENTS_PATH: Final = "/v1/audio/voice_consents"
