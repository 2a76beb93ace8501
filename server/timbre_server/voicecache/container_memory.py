"""How much memory may this process have, and how much of it may voices take?

A container that passes its limit is killed without a word, so a budget from the settings is held against the limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOST_SHARE: Final = 0.5
"""Of the memory that is left when the cache is made, engine loaded: the other half is for the requests under way, for
uploads of 10 MiB and what they are decoded to, and for what the interpreter will not give back."""


@dataclass(frozen=True)
class ContainerMemory:
    """The limit that is nearest, and what counts against it."""

    limit_bytes: int
    used_bytes: int
    """Without file pages that the kernel would drop first."""

    @property
    def left_bytes(self) -> int:
        """What may still be taken; never below 0."""
        return max(0, self.limit_bytes - self.used_bytes)


def container_memory(root: Path = Path("/")) -> ContainerMemory | None:
    """Of all groups around this process (cgroup version 2, else 1) and the machine, that with the least left.

    None where nothing of the kind can be read, as outside of Linux.
    """
    found = [memory for memory in (*_groups(root), _machine(root)) if memory is not None]
    return min(found, key=lambda memory: memory.left_bytes, default=None)


def host_budget_bytes(max_bytes: int, memory: ContainerMemory | None) -> int:
    """The budget of the tier in this process' memory: as set, but at most ``HOST_SHARE`` of what is left."""
    if memory is None:
        return max_bytes
    return min(max_bytes, int(memory.left_bytes * HOST_SHARE))


def _groups(root: Path) -> list[ContainerMemory | None]:
    """Every group from that of this process up: each has a limit of its own."""
    groups = []
    for line in (_text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            base = root / "sys/fs/cgroup/memory"
        else:
            continue
        # Without a namespace of its own a container sees the path on the host, but only its own group is mounted.
        parts = [part for part in path.split("/") if part]
        groups += [_group(base.joinpath(*parts[:depth]), names) for depth in range(len(parts), -1, -1)]
    return groups


def _group(folder: Path, names: tuple[str, str, str]) -> ContainerMemory | None:
    limit_name, usage_name, droppable = names
    limit, usage = _number(_text(folder / limit_name)), _number(_text(folder / usage_name))
    if limit is None or usage is None:
        return None
    return ContainerMemory(limit, max(0, usage - _field(_text(folder / "memory.stat"), droppable)))


def _machine(root: Path) -> ContainerMemory | None:
    text = _text(root / "proc/meminfo")
    total = _field(text, "MemTotal:") * 1024
    return ContainerMemory(total, total - _field(text, "MemAvailable:") * 1024) if total else None


def _field(text: str | None, name: str) -> int:
    for line in (text or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return _number(value.split()[0] if value.split() else None) or 0
    return 0


def _number(text: str | None) -> int | None:
    """None for ``max`` and for what is no number."""
    return int(text) if text is not None and text.strip().isdecimal() else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return None
