"""What do the headers of an answered speech request say?"""

from __future__ import annotations

from typing import Final

from timbre_server.api.cache_control import entity_tag
from timbre_server.ports import Outcome, SpeechTimings, Take

HeaderList = list[tuple[bytes, bytes]]

REVALIDATED = (b"cache-control", b"private, no-cache")
"""A client may keep its copy, and learns by its tag whether it still is the one that others hear."""

UNTRACED = (b"cache-control", b"no-store")

UNBUFFERED = (b"x-accel-buffering", b"no")
"""Said of what leaves while it is being made.  nginx obeys it, whatever its configuration says: without it each piece waits
for the next one to fill a buffer of 4 KiB, half a second of MP3, and with ``gzip`` all of them wait for the last."""


def tag_of(take: Take, form: str) -> bytes | None:
    """The entity tag of a take in a form, as ``mp3``; None if nobody ever gets this take again."""
    return entity_tag(take.id, form) if take.id else None


def cache_headers(take: Take, tag: bytes | None, link: str) -> HeaderList:
    """Where it comes from, whether a copy of it may be kept, and where it lies from now on, if that is said."""
    headers = [(b"x-cache", take.outcome.encode())]
    if take.age_seconds is not None:
        headers.append((b"age", b"%d" % take.age_seconds))
    if tag is None:
        headers.append(UNTRACED)
    else:
        headers += [(b"etag", tag), REVALIDATED]
    if link:
        headers.append((b"content-location", link.encode()))
    return headers


def speech_headers(
    take: Take, tag: bytes | None, content_type: str, *, encode_seconds: float, link: str = ""
) -> HeaderList:
    """All but the length."""
    headers = [
        (b"content-type", content_type.encode()),
        (
            b"server-timing",
            _server_timing(take.timings, encode_seconds) if _took_time(take, encode_seconds) else _NO_TIME,
        ),
        *cache_headers(take, tag, link),
    ]
    if take.voice_source:
        headers.append((b"x-voice-cache", take.voice_source.encode()))
    return headers


def _took_time(take: Take, encode_seconds: float) -> bool:
    """Whether anything was waited for: a tenth of what a hit costs would be said about nothing."""
    return encode_seconds > 0 or take.outcome is not Outcome.HIT


def _server_timing(timings: SpeechTimings, encode_seconds: float) -> bytes:
    durations = {
        "queue": timings.row.queue_seconds,
        "voice": timings.voice_seconds,
        "synth": timings.row.synthesis_seconds,
        "encode": encode_seconds,
    }
    return ", ".join(f"{name};dur={seconds * 1000:.3f}" for name, seconds in durations.items()).encode()


_NO_TIME: Final = _server_timing(SpeechTimings(), 0.0)
