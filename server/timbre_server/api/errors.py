"""Which status and which JSON does each error become?  The one place where errors meet HTTP."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from starlette.responses import JSONResponse

from timbre_server import errors
from timbre_server.errors import TimbreError
from timbre_server.telemetry.log import get_logger, request_id

_LOG = get_logger("api")


@dataclass(frozen=True)
class Answer:
    """How a class of errors is told to a client."""

    status: int
    type: str
    """OpenAI's coarse word; programs compare ``code`` instead."""
    heals: bool = True
    """Whether the same request may succeed later; where not, ``x-should-retry: false`` stops OpenAI's client, which
    sends again whatever got 408, 409, 429 or 5xx."""


_INVALID = "invalid_request_error"
_BAD_REQUEST = Answer(400, _INVALID)
_NOT_FOUND = Answer(404, _INVALID)
_FORBIDDEN = Answer(403, _INVALID)
_TOO_LARGE = Answer(413, _INVALID)
_SERVER = "server_error"
_FAILED = Answer(500, _SERVER)
_UNAVAILABLE = Answer(503, "service_unavailable_error")

ANSWERS: Final[Mapping[type[TimbreError], Answer]] = MappingProxyType(
    {
        errors.TimbreError: _FAILED,
        errors.ConfigurationError: _FAILED,
        errors.RequestRejected: _BAD_REQUEST,
        errors.InvalidValue: _BAD_REQUEST,
        errors.MissingField: _BAD_REQUEST,
        errors.UnknownField: _BAD_REQUEST,
        errors.InvalidBody: _BAD_REQUEST,
        errors.BodyTooLarge: _TOO_LARGE,
        errors.TextTooLong: _BAD_REQUEST,
        errors.UnspeakableText: _BAD_REQUEST,
        errors.UnsupportedLanguage: _BAD_REQUEST,
        errors.UnsupportedEmotion: _BAD_REQUEST,
        errors.AudioRejected: _BAD_REQUEST,
        errors.AudioUnreadable: _BAD_REQUEST,
        errors.AudioTooLarge: _TOO_LARGE,
        errors.AudioTooLong: _BAD_REQUEST,
        errors.AudioTooShort: _BAD_REQUEST,
        errors.AudioSilent: _BAD_REQUEST,
        errors.AudioClipped: _BAD_REQUEST,
        errors.NotFound: _NOT_FOUND,
        errors.RouteNotFound: _NOT_FOUND,
        errors.MethodNotAllowed: Answer(405, _INVALID),
        errors.ModelNotFound: _NOT_FOUND,
        errors.VoiceNotFound: _NOT_FOUND,
        errors.SpeechNotFound: _NOT_FOUND,
        errors.LinkRefused: _FORBIDDEN,
        errors.LinkExpired: _FORBIDDEN,
        errors.NotKept: Answer(504, _INVALID, heals=False),  # RFC 9111, 5.2.1.7; asked again it is not kept either
        errors.ConsentNotFound: _NOT_FOUND,
        errors.ConsentRequired: _BAD_REQUEST,
        errors.ConsentMismatch: _BAD_REQUEST,
        errors.Unavailable: _UNAVAILABLE,
        errors.Overloaded: Answer(429, "rate_limit_error"),
        errors.NotReady: _UNAVAILABLE,
        errors.Draining: _UNAVAILABLE,
        errors.RegistryFull: _UNAVAILABLE,
        errors.StoreUnavailable: _UNAVAILABLE,
        errors.ExtractionFailed: _UNAVAILABLE,
        errors.EngineError: _FAILED,
        errors.EngineOutOfMemory: Answer(500, _SERVER, heals=False),  # it ran alone: the job itself is too large
        errors.EngineStopped: _UNAVAILABLE,  # another replica may still have an engine
        errors.EncodingError: _FAILED,
    }
)
"""Every class of the tree, by itself: a new error without a row fails a test."""

RETRIED_STATUSES: Final = frozenset({429, 503})
"""Statuses that say when to come back."""

DEFAULT_RETRY_SECONDS: Final = 1.0
"""For what has no better prediction: about the time in which a load balancer notices that a pod is gone."""


def answer(error: TimbreError) -> Answer:
    """The row of the error's class, or of the nearest class above it."""
    return next(ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS)


def error_object(error: TimbreError) -> dict[str, str | None]:
    """OpenAI's error object, all four keys."""
    return {"message": error.message, "type": answer(error).type, "param": error.param, "code": error.code}


def internal_error() -> TimbreError:
    """What a client is told of a failure that nobody foresaw: nothing but where to look for it."""
    return TimbreError(f"the server failed; its log has the reason under the request id {request_id.get()}")


def error_response(error: TimbreError, *, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The error as a response."""
    row = answer(error)
    response = JSONResponse({"error": error_object(error)}, status_code=row.status, headers=headers)
    if row.status in RETRIED_STATUSES:
        seconds = getattr(error, "retry_after_seconds", DEFAULT_RETRY_SECONDS)
        response.headers["Retry-After"] = str(max(1, math.ceil(seconds)))
        response.headers["retry-after-ms"] = str(max(1, math.ceil(seconds * 1000)))
    if not row.heals:
        response.headers["x-should-retry"] = "false"
    return response


def logged_error_response(error: TimbreError) -> JSONResponse:
    """The error as a response; if the fault is ours, the log gets its traceback."""
    if answer(error).status == 500:
        _LOG.error("request failed: %s", error.code, exc_info=error)
    return error_response(error)


def unknown_path() -> errors.RouteNotFound:
    """What a path that no route has most often lacks; the path itself is never sent back."""
    return errors.RouteNotFound(
        "no route has this path: the API's begin with /v1/ and end without a slash; probes and metrics have a port of their own"
    )


def method_not_allowed(allowed: Collection[str]) -> JSONResponse:
    """What a route answers to a method that it does not take."""
    methods = ", ".join(sorted(allowed))
    return error_response(errors.MethodNotAllowed(f"this route takes {methods} only"), headers={"Allow": methods})
