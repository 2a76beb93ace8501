"""Would a server drop what our scripts wrote when it reads its append-only file again?

A script is a transaction, and many releases replay transactions with the rights of the user ``default``: where it has none,
they drop them and say nothing to clients (github.com/redis/redis/issues/14541, github.com/valkey-io/valkey/issues/3983).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import redis.exceptions

from timbre_contract.keys import VERSION_PREFIX

FIXED_IN_REDIS: Final = (8, 6)
"""Its release notes name the fix (github.com/redis/redis/pull/14545); those of 8.4.1 of the same month do not."""
LAST_AFFECTED_VALKEY: Final[Mapping[tuple[int, int], int]] = {(7, 2): 11, (8, 0): 7, (8, 1): 8, (9, 0): 5, (9, 1): 1}
"""Patch releases that are older than the fix (github.com/valkey-io/valkey/pull/3984, under review in August 2026); of later
ones nothing is claimed."""
_KEY: Final = f"{VERSION_PREFIX}{{replay}}:x"
_WRITES: Final = (
    ("SET", _KEY, "x"),
    ("HSET", _KEY, "field", "x"),
    ("ZADD", _KEY, "1", "x"),
    ("XADD", _KEY, "*", "field", "x"),
    ("DEL", _KEY),
)
"""What nearly every script of the store does to its keys, one for each type of key."""


class MayNotAsk(Exception):
    """The user has no right to ask (``+acl|dryrun``)."""


def replays_with_rights(info: Mapping[str, Any]) -> bool:
    """Whether it has an append-only file, and is known to look at rights when it replays transactions of it."""
    if str(info.get("aof_enabled", 0)) != "1":
        return False
    if valkey := str(info.get("valkey_version") or ""):
        *minor, patch = _numbers(valkey)
        return len(minor) == 2 and patch <= LAST_AFFECTED_VALKEY.get((minor[0], minor[1]), -1)
    numbers = _numbers(str(info.get("redis_version") or ""))
    return bool(numbers) and numbers < FIXED_IN_REDIS


async def replay_refusal(server: Any) -> str:
    """Why ``default`` may not write what our scripts write, in the server's words; empty where it may.

    Raises:
        MayNotAsk: this is not to be asked again.
    """
    for write in _WRITES:
        try:
            answer = await server.execute_command("ACL DRYRUN", "default", *write)
        except redis.exceptions.ResponseError as error:
            raise MayNotAsk from error
        if answer != "OK":
            return str(answer)
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
