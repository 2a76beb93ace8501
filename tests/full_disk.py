"""A disk that takes no byte, for a real Redis with an append-only file: the kernel's ``/dev/full`` says ENOSPC to every write."""

from __future__ import annotations

import contextlib
from pathlib import Path

import redis
import redis.exceptions

FULL = Path("/dev/full")


def fill_disk(data: Path, client: redis.Redis) -> None:
    """Lets its next file in this folder of data be the full device, and writes until it has noticed."""
    folder = data / "appendonlydir"
    numbers = [int(path.name.split(".")[-3]) for path in folder.glob("*.incr.aof")]
    (folder / f"appendonly.aof.{max(numbers) + 1}.incr.aof").symlink_to(FULL)
    next_file(client)
    with contextlib.suppress(redis.exceptions.ResponseError):
        while client.set("written", "in memory only"):
            pass


def make_room(client: redis.Redis) -> None:
    """Its next file is a plain one again; what it could not write yet is written there."""
    next_file(client)
    while _persistence(client)["aof_last_write_status"] != "ok":
        pass


def next_file(client: redis.Redis) -> None:
    """Lets it write what it holds into one file, and go on in another."""
    client.bgrewriteaof()
    while any(_persistence(client)[name] for name in ("aof_rewrite_scheduled", "aof_rewrite_in_progress")):
        pass


def _persistence(client: redis.Redis) -> dict[str, object]:
    told: dict[str, object] = client.info("persistence")
    return told
