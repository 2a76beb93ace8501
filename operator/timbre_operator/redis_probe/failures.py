"""What does it mean that a look failed?"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from typing import Final

import redis.exceptions

from timbre_operator.observed import RedisProblem

MAX_DETAIL_CHARS: Final = 300
LOOK_ERRORS: Final = (redis.exceptions.RedisError, OSError, asyncio.TimeoutError, ValueError)
"""All that can come of a look: the library passes some errors of parsing and of sockets through."""

# What the library has no kind of error for.
_WORDS: Final = (
    ("NOAUTH", RedisProblem.AUTH_FAILED),
    ("WRONGPASS", RedisProblem.AUTH_FAILED),
    ("SSL handshake", RedisProblem.TLS_FAILED),
)
_KINDS: Final = (
    (redis.exceptions.BusyLoadingError, RedisProblem.LOADING),
    (redis.exceptions.ReadOnlyError, RedisProblem.READ_ONLY),
    (redis.exceptions.MasterDownError, RedisProblem.READ_ONLY),
    (redis.exceptions.AuthenticationError, RedisProblem.AUTH_FAILED),
    (redis.exceptions.AuthenticationWrongNumberOfArgsError, RedisProblem.AUTH_FAILED),
    (redis.exceptions.NoPermissionError, RedisProblem.AUTH_FAILED),
)


class LookFailed(Exception):
    """A look ends here; ``problem`` and ``detail`` are what was found."""

    def __init__(self, problem: RedisProblem, detail: str) -> None:
        self.problem = problem
        self.detail = detail
        super().__init__(detail)


def failure_of(error: BaseException) -> LookFailed:
    """The problem behind an error, in the server's or the system's words."""
    if isinstance(error, LookFailed):
        return error
    words = words_of(error)
    return LookFailed(_problem(error, words), words)


def words_of(error: BaseException) -> str:
    """In one line, not too long."""
    return " ".join(str(error).split())[:MAX_DETAIL_CHARS] or type(error).__name__


def _problem(error: BaseException, words: str) -> RedisProblem:
    if any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
        return RedisProblem.TLS_FAILED
    for kinds, problem in _KINDS:
        if isinstance(error, kinds):
            return problem
    return next((problem for word, problem in _WORDS if word in words), RedisProblem.UNREACHABLE)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
