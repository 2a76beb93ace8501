"""What follows from INFO, of accounts that are made up; ``test_problems.py`` asks real servers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from timbre_operator.observed import RedisProblem
from timbre_operator.redis_probe.account import Account, is_full, problem_of

_INFO: dict[str, Any] = {
    "redis_version": "7.2.4", "maxmemory_policy": "volatile-lru", "used_memory": 95, "mem_not_counted_for_evict": 0,
    "maxmemory": 100, "evicted_keys": 0, "loading": 0, "role": "master", "db0": {"keys": 3, "expires": 1, "avg_ttl": 0},
}  # fmt: skip


def _account(**changes: Any) -> Account:
    return Account.from_info({**_INFO, **changes})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"redis_version": "6.2.14"}, RedisProblem.TOO_OLD),
        ({"redis_version": "7.0.0"}, None),
        ({"redis_version": "10.0"}, None),
        ({"redis_version": ""}, None),  # a proxy that keeps it to itself
        ({"loading": 1}, RedisProblem.LOADING),
        ({"role": "slave"}, RedisProblem.READ_ONLY),
        ({"maxmemory_policy": "allkeys-lru"}, RedisProblem.POLICY_EVICTS_VOICES),
        ({"maxmemory_policy": "allkeys-lru", "maxmemory": 0}, None),  # without a bound nothing is evicted
        ({"maxmemory_policy": "noeviction"}, None),
        ({"loading": 1, "role": "slave"}, RedisProblem.LOADING),
        ({"aof_enabled": 1, "aof_last_write_status": "err"}, RedisProblem.DISK_WRITE_FAILED),
        ({"aof_enabled": 0, "aof_last_write_status": "err"}, None),  # of a file that it no longer writes
        ({"aof_enabled": 1, "aof_last_bgrewrite_status": "err", "rdb_last_bgsave_status": "err"}, None),
        (
            {"aof_enabled": 1, "aof_last_write_status": "err", "maxmemory_policy": "allkeys-lru"},
            RedisProblem.DISK_WRITE_FAILED,
        ),
        ({"aof_enabled": 1, "aof_last_write_status": "err", "role": "slave"}, RedisProblem.READ_ONLY),
    ],
)
def test_an_account_tells_its_worst_problem(changes: dict[str, Any], problem: RedisProblem | None) -> None:
    assert problem_of(_account(**changes), full=False) is problem


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"aof_enabled": 1}, None),
        ({"aof_enabled": 0}, RedisProblem.APPEND_ONLY_OFF),
        ({}, None),  # it does not tell
        ({"aof_enabled": 0, "maxmemory_policy": "allkeys-lru"}, RedisProblem.POLICY_EVICTS_VOICES),
    ],
)
def test_only_who_shall_have_an_append_only_file_lacks_it(
    changes: dict[str, Any], problem: RedisProblem | None
) -> None:
    assert problem_of(_account(**changes), full=False, shall_append=True) is problem
    assert problem_of(_account(**changes), full=False) is not RedisProblem.APPEND_ONLY_OFF


def test_a_full_server_is_told_last() -> None:
    assert problem_of(_account(), full=True) is RedisProblem.FULL
    assert problem_of(_account(role="slave"), full=True) is RedisProblem.READ_ONLY


def test_what_a_server_answers_to_a_ping_is_believed_before_what_info_has() -> None:
    account = Account.from_info({**_INFO, "aof_last_write_status": "ok"}, disk_refusal="MISCONF no")
    assert problem_of(account, full=True) is RedisProblem.DISK_WRITE_FAILED


def test_valkey_is_called_so_and_is_new_enough() -> None:
    account = _account(redis_version="7.2.4", valkey_version="8.1.8")
    assert (account.version, account.old) == ("Valkey 8.1.8", False)


def test_what_replicas_and_files_wait_for_does_not_count() -> None:
    assert _account(mem_not_counted_for_evict=20).used_bytes == 75


def test_a_server_that_tells_nothing_has_no_problem() -> None:
    assert problem_of(Account.from_info({}), full=False) is None


@pytest.mark.parametrize(
    ("changes", "evictable"),
    [
        ({}, True),
        ({"db0": {"keys": 3, "expires": 0}}, False),
        ({"db0": {"keys": 3, "expires": 0}, "db3": {"keys": 1, "expires": 1}}, True),
        ({"maxmemory_policy": "noeviction"}, False),
        ({"maxmemory_policy": "allkeys-lru", "db0": {"keys": 3, "expires": 0}}, True),
    ],
)
def test_only_what_the_policy_lets_go_can_be_evicted(changes: dict[str, Any], *, evictable: bool) -> None:
    assert _account(**changes).evictable is evictable


_VOICES_ONLY = _account(db0={"keys": 3, "expires": 0})


@pytest.mark.parametrize(
    ("now", "before", "was_full", "full"),
    [
        pytest.param(_account(), None, False, False, id="full of caches is how it should be"),
        pytest.param(_VOICES_ONLY, None, False, True, id="full of voices"),
        pytest.param(replace(_VOICES_ONLY, used_bytes=94), None, False, False, id="room for a few voices"),
        pytest.param(replace(_VOICES_ONLY, max_bytes=0), None, False, False, id="no bound"),
        pytest.param(replace(_account(), refused=2), replace(_account(), refused=1), False, True, id="refused since"),
        pytest.param(
            replace(_account(), refused=2), replace(_account(), refused=2), False, False, id="refused long ago"
        ),
        pytest.param(replace(_account(), refused=2), None, False, False, id="refused nobody knows when"),
        pytest.param(replace(_account(), refused=0), replace(_account(), refused=9), False, False, id="started anew"),
        pytest.param(_account(), _account(), True, True, id="nobody tried again"),
        pytest.param(replace(_account(), evicted=1), _account(), True, False, id="eviction made room"),
        pytest.param(replace(_account(), used_bytes=89), _account(), True, False, id="voices were deleted"),
        pytest.param(replace(_account(), used_bytes=89, refused=2), _account(), False, False, id="a giant was refused"),
    ],
)
def test_a_server_is_full_when_it_can_store_no_voice(
    now: Account, before: Account | None, *, was_full: bool, full: bool
) -> None:
    assert is_full(now, before, was_full=was_full) is full
