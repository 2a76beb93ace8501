"""What follows from what a server tells in INFO?  Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from timbre_operator.observed import RedisProblem

Info = Mapping[str, Any]

OLDEST: Final = (7, 0)
"""The store's scripts and the pods' rights (``+@...``, ``~``, ``%R~``) need what Redis 7.0 brought."""
_NEARLY_FULL: Final = 0.95
"""Redis refuses a write whose arguments would pass the bound: a full one stands at the size of a recording below it."""
_STILL_FULL: Final = 0.9
"""Below that a server that was full has room for voices again."""


@dataclass(frozen=True)
class Account:
    """One server's account of itself."""

    version: str
    policy: str
    used_bytes: int
    max_bytes: int
    evictable: bool
    """Whether there is something that its policy lets it evict."""
    refused: int
    """Writes that it refused for want of memory since its start."""
    evicted: int
    """Keys that it evicted since its start."""
    appends: bool | None
    """Whether it writes an append-only file; None where it does not tell."""
    disk_refusal: str
    """Why it takes no writes: its disk took none.  Empty while it does."""
    replay_refusal: str
    """Why it would drop what our scripts wrote when it starts again.  Empty where it would not, or where that is unknown."""
    loading: bool
    replica: bool
    old: bool

    @classmethod
    def from_info(cls, info: Info, *, disk_refusal: str = "", replay_refusal: str = "") -> Account:
        """From the parsed answer; what a server does not tell is taken for good.

        ``disk_refusal`` is what it answered to a PING that it refused because of its disk, ``replay_refusal`` what it said of
        the rights of ``default``.
        """
        policy = str(info.get("maxmemory_policy", ""))
        keyspaces = [
            value for name, value in info.items() if re.fullmatch(r"db\d+", name) and isinstance(value, Mapping)
        ]
        volatile = any(int(keyspace.get("expires", 0)) > 0 for keyspace in keyspaces)
        refusals = info.get("errorstat_OOM")
        return cls(
            version=_version(info),
            policy=policy,
            used_bytes=max(0, _number(info, "used_memory") - _number(info, "mem_not_counted_for_evict")),
            max_bytes=_number(info, "maxmemory"),
            evictable=policy.startswith("allkeys") or (policy.startswith("volatile") and volatile),
            refused=_number(refusals, "count") if isinstance(refusals, Mapping) else 0,
            evicted=_number(info, "evicted_keys"),
            appends=bool(_number(info, "aof_enabled")) if "aof_enabled" in info else None,
            disk_refusal=disk_refusal or _file_failure(info),
            replay_refusal=replay_refusal,
            loading=bool(_number(info, "loading")),
            replica=str(info.get("role", "master")) != "master",
            old=_numbers(str(info.get("redis_version", ""))) < OLDEST if info.get("redis_version") else False,
        )

    @property
    def evicts_voices(self) -> bool:
        """Whether it may evict what has no life time."""
        return self.policy.startswith("allkeys") and self.max_bytes > 0

    def words_about(self, problem: RedisProblem) -> str:
        """The server's own; empty where it had none."""
        words = {
            RedisProblem.DISK_WRITE_FAILED: self.disk_refusal,
            RedisProblem.RESTART_DROPS_VOICES: self.replay_refusal,
        }
        return words.get(problem, "")


def is_full(now: Account, before: Account | None, *, was_full: bool) -> bool:
    """Whether no voice can be stored.

    Redis does not say so; it refuses writes, and counts them.  ``before`` is the last account of the same server.
    """
    if not now.max_bytes or now.used_bytes < _STILL_FULL * now.max_bytes:
        return False
    if before is not None and 0 <= before.refused < now.refused:
        return True
    if was_full and before is not None and now.evicted == before.evicted:
        return True
    return not now.evictable and now.used_bytes >= _NEARLY_FULL * now.max_bytes


def problem_of(account: Account, *, full: bool, shall_append: bool = False) -> RedisProblem | None:
    """The worst thing that an account tells; who ``shall_append`` has a problem where it does not."""
    found = (
        (account.loading, RedisProblem.LOADING),
        (account.old, RedisProblem.TOO_OLD),
        (account.replica, RedisProblem.READ_ONLY),
        (bool(account.disk_refusal), RedisProblem.DISK_WRITE_FAILED),
        (account.evicts_voices, RedisProblem.POLICY_EVICTS_VOICES),
        (bool(account.replay_refusal), RedisProblem.RESTART_DROPS_VOICES),
        (shall_append and account.appends is False, RedisProblem.APPEND_ONLY_OFF),
        (full, RedisProblem.FULL),
    )
    return next((problem for holds, problem in found if holds), None)


def _file_failure(info: Info) -> str:
    """For a server that may not be pinged.

    Of the states that INFO has of the disk this one alone stops writes for certain: a rewrite that failed stops none, and
    whether a failed snapshot does is for its configuration to say.
    """
    failed = bool(_number(info, "aof_enabled")) and info.get("aof_last_write_status") == "err"
    return "aof_last_write_status:err" if failed else ""


def _version(info: Info) -> str:
    if info.get("valkey_version"):
        return f"Valkey {info['valkey_version']}"
    return str(info.get("redis_version", ""))


def _number(info: Info, name: str) -> int:
    value = info.get(name, 0)
    return int(value) if isinstance(value, int | float) or str(value).isdecimal() else 0


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
