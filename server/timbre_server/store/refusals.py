"""What does it mean for us that Redis did not do as asked?

The library's errors end here.  Messages reach clients, so they say what is wrong and never where or with which secret.
"""

from __future__ import annotations

from typing import Final

import redis.exceptions
from redis.asyncio.sentinel import MasterNotFoundError

from timbre_server.errors import RegistryFull, StoreUnavailable, Unavailable

LIBRARY_ERRORS: Final = (
    redis.exceptions.RedisError,
    redis.exceptions.RedisClusterException,  # its own root: nodes that cannot be reached, slots that nobody has
    OSError,  # TimeoutError is one
)

_NO_ANSWER: Final = (
    redis.exceptions.ConnectionError,  # refused, broken, still loading, credentials refused
    redis.exceptions.TimeoutError,
    redis.exceptions.ClusterDownError,  # MasterDownError is one
    redis.exceptions.RedisClusterException,
    OSError,
)

_REFUSED: Final = (
    redis.exceptions.ResponseError,
    redis.exceptions.AuthenticationError,
    redis.exceptions.AuthorizationError,
)

_SENTENCES: Final[tuple[tuple[type[Exception], str], ...]] = (
    # An error is spoken of by the first class that fits.
    (redis.exceptions.BusyLoadingError, "the voice store is still loading its data; try again"),
    (redis.exceptions.AuthenticationError, "the voice store refuses this server's credentials"),
    (redis.exceptions.AuthorizationError, "the voice store refuses this server's credentials"),
    (redis.exceptions.NoPermissionError, "the voice store does not allow this server's user to do that"),
    (redis.exceptions.ReadOnlyError, "the voice store is a read-only replica now; try again once a master is found"),
    (MasterNotFoundError, "the voice store has no master at the moment; try again"),
    (redis.exceptions.MasterDownError, "the voice store is a replica that has lost its master; try again"),
    (redis.exceptions.ClusterDownError, "the voice store's cluster is down; try again"),
    (redis.exceptions.RedisClusterException, "the voice store's cluster cannot be reached; try again"),
    (redis.exceptions.MaxConnectionsError, "too many requests wait for the voice store; try again"),
)

_CODES: Final = {
    "NOREPLICAS": "the voice store has lost its replicas and takes no writes; try again",
    "MISCONF": "the voice store cannot write to its disk and takes no writes",
    "BUSY": "the voice store is busy with a script; try again",
}

NO_ANSWER: Final = "the voice store does not answer; try again"
"""What is said of everything else that is no answer."""

FULL: Final = "the voice store is full; delete a voice or give Redis more memory"


def is_no_answer(error: Exception) -> bool:
    """Whether the error speaks against the server or the way to it, rather than against this one command."""
    return isinstance(error, _NO_ANSWER) and not isinstance(error, redis.exceptions.MaxConnectionsError)


def cannot_write(error: BaseException) -> bool:
    """Whether the server answers and may be read, and only its disk fails: it refuses PING together with writes then."""
    return _code(error) == "MISCONF"


def takes_no_writes(error: Unavailable) -> bool:
    """The same of an error that the link made of one of the library's."""
    return error.__cause__ is not None and cannot_write(error.__cause__)


def was_refused(error: Exception) -> bool:
    """Whether Redis itself said no, to this command or to this server: that seldom heals within a second.

    One that loads, or that has lost its cluster or its master, is another matter.
    """
    said = error.__cause__ if isinstance(error, Unavailable) else error
    return isinstance(said, _REFUSED) and not isinstance(said, redis.exceptions.ClusterDownError)


def words_of(error: BaseException) -> str:
    """For the log, never for a client: what the system, Redis or the library said, as which address refuses a connection."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def refusal(error: Exception) -> Unavailable:
    """Our error for one of ``LIBRARY_ERRORS``."""
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return RegistryFull(FULL, retry_after_seconds=60.0)  # as the in-process store says
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            return StoreUnavailable(sentence)
    if isinstance(error, _NO_ANSWER):
        return StoreUnavailable(NO_ANSWER)
    return StoreUnavailable(
        _CODES.get(_code(error), "the voice store answered with an error; its log or ours says which")
    )


def _code(error: BaseException) -> str:
    """The word that begins what Redis said."""
    return str(error).partition(" ")[0]
