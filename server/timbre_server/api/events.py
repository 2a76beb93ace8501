"""OpenAI's server-sent events of speech, as bytes."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Final

CONTENT_TYPE: Final = "text/event-stream"

TOKENS_PER_SECOND: Final = 20
"""``output_tokens`` counts frames of 50 ms.  OpenAI's tokeniser is not public; its prices for gpt-4o-mini-tts (12 dollars
for a million audio tokens, about 0.015 dollars for a minute) come to about 21 a second."""


def delta(chunk: bytes) -> bytes:
    """The next bytes of the file."""
    return _event({"type": "speech.audio.delta", "audio": base64.b64encode(chunk).decode()})


def done(input_chars: int, audio_seconds: float) -> bytes:
    """The end: ``input_tokens`` counts characters, as OpenAI bills tts-1 by them."""
    output_tokens = math.ceil(audio_seconds * TOKENS_PER_SECOND)
    usage = {
        "input_tokens": input_chars,
        "output_tokens": output_tokens,
        "total_tokens": input_chars + output_tokens,
    }
    return _event({"type": "speech.audio.done", "usage": usage})


def failed(error: Mapping[str, str | None]) -> bytes:
    """The end of a speech that failed after its first byte."""
    return _event({"type": "error", "error": error})


def _event(content: Mapping[str, object]) -> bytes:
    return b"data: " + json.dumps(content, separators=(",", ":")).encode() + b"\n\n"
