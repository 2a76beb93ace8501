"""Is this a request that its client has sent before?"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers

RETRY_COUNT_HEADER: Final = "x-stainless-retry-count"
"""OpenAI's clients say with each try how many they made before (openai-python ``_base_client.py``, ``_build_headers``)."""


def is_retry(headers: Headers) -> bool:
    """Whether the client says so; who says nothing, or no number, tries for the first time."""
    count = headers.get(RETRY_COUNT_HEADER, "")
    return count.isascii() and count.isdigit() and int(count[:9]) > 0
