"""What Redis' errors become: each told apart, none with an address or a secret."""

from __future__ import annotations

import pytest
import redis.exceptions
from redis._parsers import BaseParser

from timbre_server.errors import RegistryFull, StoreUnavailable
from timbre_server.store.refusals import (
    LIBRARY_ERRORS,
    NO_ANSWER,
    is_no_answer,
    refusal,
    was_refused,
    words_of,
)

REPLIES = {
    "READONLY You can't write against a read only replica.": "read-only replica",
    "NOREPLICAS Not enough good replicas to write.": "lost its replicas",
    "LOADING Redis is loading the dataset in memory": "loading",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": "lost its master",
    "CLUSTERDOWN The cluster is down": "cluster is down",
    "NOAUTH Authentication required.": "credentials",
    "WRONGPASS invalid username-password pair or user is disabled.": "credentials",
    "NOPERM User timbre has no permissions to run the 'get' command": "does not allow",
    "MISCONF Redis is configured to save RDB snapshots": "disk",
    "BUSY Redis is busy running a script": "busy",
    "WRONGTYPE Operation against a key holding the wrong kind of value": "an error",
    "ERR unknown command": "an error",
}


def _error(reply: str) -> Exception:
    return BaseParser.parse_error(reply)


@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_says_what_is_wrong_and_neither_where_nor_who(reply: str) -> None:
    refused = refusal(_error(reply))
    assert isinstance(refused, StoreUnavailable)
    assert REPLIES[reply] in refused.message
    assert "timbre" not in refused.message.lower()
    assert refused.message != NO_ANSWER


def test_no_memory_is_a_full_registry() -> None:
    refused = refusal(_error("OOM command not allowed when used memory > 'maxmemory'. script: abc, on @user_script:5."))
    assert isinstance(refused, RegistryFull)


@pytest.mark.parametrize(
    "error",
    [
        redis.exceptions.ConnectionError("Error 111 connecting to 10.0.0.7:6379."),
        redis.exceptions.TimeoutError("Timeout reading from 10.0.0.7:6379"),
        TimeoutError(),
        ConnectionResetError("10.0.0.7"),
        OSError("10.0.0.7"),
    ],
)
def test_a_broken_way_is_no_answer_and_hides_the_address(error: Exception) -> None:
    assert isinstance(error, LIBRARY_ERRORS)
    assert is_no_answer(error)
    assert refusal(error).message == NO_ANSWER


@pytest.mark.parametrize("word", ["LOADING x", "CLUSTERDOWN x", "MASTERDOWN x", "WRONGPASS x", "NOAUTH x"])
def test_a_server_that_cannot_serve_anybody_is_no_answer(word: str) -> None:
    assert is_no_answer(_error(word))


@pytest.mark.parametrize("word", ["WRONGTYPE x", "OOM x", "READONLY x", "NOPERM x", "NOREPLICAS x", "ERR x"])
def test_an_error_about_one_command_is_an_answer(word: str) -> None:
    assert not is_no_answer(_error(word))


@pytest.mark.parametrize("word", ["NOPERM x", "WRONGPASS x", "NOAUTH x", "MISCONF x", "WRONGTYPE x"])
def test_what_redis_itself_refuses_it_may_refuse_for_long(word: str) -> None:
    assert was_refused(_error(word))
    ours = refusal(_error(word))
    ours.__cause__ = _error(word)
    assert was_refused(ours)


@pytest.mark.parametrize("word", ["LOADING x", "CLUSTERDOWN x", "MASTERDOWN x"])
def test_a_server_that_will_serve_soon_is_tried_often(word: str) -> None:
    assert not was_refused(_error(word))
    assert not was_refused(TimeoutError())
    assert not was_refused(StoreUnavailable("the voice store is away; try again"))


def test_our_own_full_pool_says_nothing_of_the_server() -> None:
    assert not is_no_answer(redis.exceptions.MaxConnectionsError())


def test_the_log_has_what_a_client_is_not_told() -> None:
    assert (
        words_of(OSError("Connect call failed ('10.0.0.7', 6379)")) == "OSError: Connect call failed ('10.0.0.7', 6379)"
    )
    assert words_of(TimeoutError()) == "TimeoutError"
