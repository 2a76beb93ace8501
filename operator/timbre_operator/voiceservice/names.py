"""How are the children of a VoiceService called?  As itself, plus one of these."""

from __future__ import annotations

from typing import Final

REDIS_SUFFIX: Final = "-redis"
ACL_SUFFIX: Final = "-redis-acl"
HEADLESS_SUFFIX: Final = "-headless"
VOICES_SUFFIX: Final = "-voices"

EXPORTER_CONTAINER: Final = "exporter"
"""In the pod of the managed Redis, beside the container ``redis``."""

CHILD_SUFFIXES: Final = ("", REDIS_SUFFIX, ACL_SUFFIX, HEADLESS_SUFFIX, VOICES_SUFFIX)
"""All of them."""
RESERVED_ENDINGS: Final = (REDIS_SUFFIX, HEADLESS_SUFFIX)
"""No VoiceService may be called so: the children of another one may have such a name."""
