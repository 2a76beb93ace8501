"""What can go wrong, as one tree: which class of failure is this, and what is its stable code?

Errors here know nothing of HTTP; ``api.errors`` maps each class to a status, and a contract test proves
that map complete.  Messages carry no user text, no path and no secret, because they reach the client.
"""

from __future__ import annotations

from typing import ClassVar


class TimbreError(Exception):
    """A failure that Timbre foresaw.

    ``code`` is a stable snake_case word that clients may compare; ``param`` names the request field at
    fault, where one is.
    """

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class ConfigurationError(TimbreError):
    """The settings of this process cannot work; the start stops with exit code 2."""

    code = "configuration_error"


class RequestRejected(TimbreError):
    """The request itself is at fault and would fail again unchanged."""

    code = "invalid_request"


class InvalidValue(RequestRejected):
    """A field holds a value outside its range or set."""

    code = "invalid_value"


class MissingField(RequestRejected):
    """A required field is absent."""

    code = "missing_required_parameter"


class UnknownField(RequestRejected):
    """The body has a field that the API does not define."""

    code = "unknown_parameter"


class InvalidBody(RequestRejected):
    """The body is not what its content type says (broken JSON, broken multipart)."""

    code = "invalid_body"


class BodyTooLarge(RequestRejected):
    """The body has more bytes than the route takes."""

    code = "body_too_large"


class TextTooLong(RequestRejected):
    """A text has more characters than one request may have: what is to be spoken, or how, or a transcript."""

    code = "string_above_max_length"


class UnspeakableText(RequestRejected):
    """The input holds nothing that the engine can pronounce, so an answer would be silence."""

    code = "text_not_speakable"


class UnsupportedLanguage(RequestRejected):
    """The engine does not speak the language of the input; the message names those that it speaks."""

    code = "language_not_supported"


class UnsupportedEmotion(RequestRejected):
    """The engine does not know the emotion; the message names those that it knows."""

    code = "emotion_not_supported"


class AudioRejected(RequestRejected):
    """An uploaded recording cannot serve as a voice or a consent."""

    code = "audio_rejected"


class AudioUnreadable(AudioRejected):
    """The bytes are no audio in a supported container, or break off."""

    code = "audio_unreadable"


class AudioTooLarge(AudioRejected):
    """The recording has more bytes than an upload may have."""

    code = "audio_too_large"


class AudioTooLong(AudioRejected):
    """The recording lasts longer than a reference may."""

    code = "audio_too_long"


class AudioTooShort(AudioRejected):
    """The recording holds less voiced speech than the engine needs."""

    code = "audio_too_short"


class AudioSilent(AudioRejected):
    """The recording is silent or too quiet to carry a voice."""

    code = "audio_silent"


class AudioClipped(AudioRejected):
    """So many samples sit at full scale that the voice is distorted."""

    code = "audio_clipped"


class NotFound(TimbreError):
    """The named object does not exist here."""

    code = "not_found"


class RouteNotFound(NotFound):
    """No route has this path."""

    code = "unknown_url"


class MethodNotAllowed(RequestRejected):
    """The route exists, but not for this method."""

    code = "method_not_allowed"


class ModelNotFound(NotFound):
    """The service does not serve a model of that name."""

    code = "model_not_found"


class VoiceNotFound(NotFound):
    """Neither a preset nor an enrolled voice has that id."""

    code = "voice_not_found"


class SpeechNotFound(NotFound):
    """The speech that a link leads to is kept no longer, or its voice was replaced or deleted."""

    code = "speech_not_found"


class LinkRefused(TimbreError):
    """A link was not made by this service, or was changed."""

    code = "link_invalid"


class LinkExpired(LinkRefused):
    """The time of a link is up."""

    code = "link_expired"


class NotKept(TimbreError):
    """Only speech that is kept was asked for, and this is not."""

    code = "not_cached"


class ConsentNotFound(NotFound):
    """No consent has that id."""

    code = "consent_not_found"


class ConsentRequired(RequestRejected):
    """This service enrols a voice only with its speaker's recorded consent."""

    code = "consent_required"


class ConsentMismatch(RequestRejected):
    """The speaker of the consent does not sound like the speaker of the sample."""

    code = "consent_speaker_mismatch"


class Unavailable(TimbreError):
    """The service cannot take the request now; a later try may succeed.

    ``retry_after_seconds`` is when: never below zero.
    """

    code = "unavailable"

    def __init__(self, message: str, *, retry_after_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = max(0.0, retry_after_seconds)


class Overloaded(Unavailable):
    """More seconds of engine work are pending than the service accepts."""

    code = "overloaded"


class NotReady(Unavailable):
    """The server is still starting or warming up."""

    code = "not_ready"


class Draining(Unavailable):
    """The server is on its way out and takes no new request."""

    code = "draining"


class RegistryFull(Unavailable):
    """The store of voices has no room for another one."""

    code = "voice_registry_full"


class StoreUnavailable(Unavailable):
    """The shared store did not answer within its budget, and this pod cannot go on without it."""

    code = "store_unavailable"


class ExtractionFailed(TimbreError):
    """The features of this recording could not be extracted a moment ago, on this pod or another."""

    code = "extraction_failed"


class EngineError(TimbreError):
    """The engine failed at this job; nothing is wrong with the request as far as we know."""

    code = "engine_error"


class EngineOutOfMemory(EngineError):
    """The engine ran out of memory for this job even when it ran alone."""

    code = "engine_out_of_memory"


class EngineStopped(EngineError):
    """The engine's worker has ended and takes no more work."""

    code = "engine_stopped"


class EncodingError(TimbreError):
    """Finished speech could not be written in the asked format."""

    code = "encoding_error"
