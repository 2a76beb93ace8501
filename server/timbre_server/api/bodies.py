"""What may a speech request say?  The JSON body, field by field, and the use case's request that it becomes."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from timbre_server.api.retries import is_retry
from timbre_server.api.validation import from_validation_error
from timbre_server.domain.speech import NEUTRAL, AudioFormat, SpeechParameters, StreamFormat
from timbre_server.errors import AudioTooLarge, AudioUnreadable, InvalidBody, InvalidValue
from timbre_server.service.casting import OneOffReference
from timbre_server.service.speech import SpeechRequest

JSON_TYPE: Final = "application/json"

PARSE_ON_LOOP_BYTES: Final = 64 << 10
"""Bodies up to this size are parsed on the event loop, at about 1 ms per MiB; only a one-off recording makes a
body larger, and base64 and UTF-8 checks of 14 MiB would hold everybody else up."""

MAX_INSTRUCTIONS_CHARS: Final = 4096
"""OpenAI's bound (openai-openapi v2.3.0)."""

MAX_TRANSCRIPT_CHARS: Final = 2000
"""30 s of the fastest speech are about 900 characters."""

MAX_SEED: Final = 2**32 - 1
"""The range of seeds that engines take."""


_B = TypeVar("_B", bound=BaseModel)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)


class VoiceId(_Body):
    """An enrolled voice."""

    id: str


class SpeechBody(_Body):
    """The body of ``POST /v1/audio/speech``: OpenAI's fields, then ours."""

    model: str
    """``tts-1``, ``tts-1-hd``, ``gpt-4o-mini-tts`` or the engine's own model."""
    input: str
    """The text to speak."""
    voice: str | VoiceId | None = None
    """A built-in voice's name or an enrolled voice's id; required unless ``reference_audio`` is given."""
    instructions: Annotated[str, Field(max_length=MAX_INSTRUCTIONS_CHARS)] | None = None
    """How to speak, in words; engines that cannot follow them ignore them."""
    response_format: AudioFormat | None = None
    """The container of the answer; mp3 unless asked otherwise."""
    speed: float | None = None
    """0.25 to 4, 1 = the engine's own."""
    stream_format: StreamFormat | None = None
    """``audio`` for bytes (the default), ``sse`` for server-sent events."""

    emotion: str | None = None
    """One of the engine's emotions."""
    pitch: float | None = None
    """Shift of the voice's pitch, in semitones."""
    language: str | None = None
    """BCP 47 tag of the input; the engine decides from the script when absent."""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    """Equal seeds give equal audio."""
    reference_audio: str | None = None
    """A recording in base64 to speak with, this once, instead of ``voice``."""
    reference_text: Annotated[str, Field(max_length=MAX_TRANSCRIPT_CHARS)] | None = None
    """What is said in ``reference_audio``."""

    def to_parameters(self) -> SpeechParameters:
        """The wishes about the waveform."""
        return SpeechParameters(
            speed=1.0 if self.speed is None else self.speed,
            emotion=self.emotion or NEUTRAL,
            pitch_semitones=self.pitch or 0.0,
            language=self.language or "",
            instructions=self.instructions or "",
            seed=self.seed or 0,
        )

    def to_reference(self, max_bytes: int) -> OneOffReference | None:
        """The one-off voice, if there is one.

        Raises:
            InvalidValue, AudioUnreadable, AudioTooLarge: it cannot be one.
        """
        if self.reference_audio is None:
            if self.reference_text is not None:
                raise InvalidValue("`reference_text` needs `reference_audio`", param="reference_text")
            return None
        try:
            audio = base64.b64decode(self.reference_audio, validate=True)
        except (binascii.Error, ValueError) as error:
            raise AudioUnreadable(
                "`reference_audio` must be base64 alone, without `data:` before it", param="reference_audio"
            ) from error
        if len(audio) > max_bytes:
            raise AudioTooLarge(f"`reference_audio` must have at most {max_bytes} bytes", param="reference_audio")
        return OneOffReference(audio, self.reference_text or "")

    def to_request(self, tenant: str, *, max_reference_bytes: int, retry: bool = False) -> SpeechRequest:
        """The use case's request."""
        return SpeechRequest(
            tenant=tenant,
            text=self.input,
            voice=self.voice.id if isinstance(self.voice, VoiceId) else self.voice,
            reference=self.to_reference(max_reference_bytes),
            parameters=self.to_parameters(),
            retry=retry,
        )


class NameBody(_Body):
    """The body that renames a consent."""

    name: str


async def read_speech(request: Request, tenant: str, *, max_reference_bytes: int) -> tuple[SpeechBody, SpeechRequest]:
    """The body of a speech request, and what it asks for.

    Raises:
        RequestRejected: it is no valid body; the message names the field.
    """

    def parse() -> tuple[SpeechBody, SpeechRequest]:
        body = parse_json(SpeechBody, data)
        return body, body.to_request(tenant, max_reference_bytes=max_reference_bytes, retry=retry)

    retry = is_retry(request.headers)
    data = await _json_bytes(request)
    return parse() if len(data) <= PARSE_ON_LOOP_BYTES else await asyncio.to_thread(parse)


async def read_name(request: Request) -> str:
    """The new name in a JSON body.  Raises: RequestRejected."""
    return parse_json(NameBody, await _json_bytes(request)).name


async def _json_bytes(request: Request) -> bytes:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != JSON_TYPE:
        raise InvalidBody(f"the Content-Type must be {JSON_TYPE}")
    return await request.body()


def parse_json(kind: type[_B], data: bytes) -> _B:
    """The body as ``kind``.  Raises: RequestRejected."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise from_validation_error(error) from error
