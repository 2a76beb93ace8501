"""The limit of a container is found wherever the kernel wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from timbre_server.voicecache.container_memory import ContainerMemory, container_memory, host_budget_bytes

GIB = 1 << 30
MEMINFO = "MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:    8388608 kB\n"


def written(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "ascii")
    return root


def group(root: Path, folder: str, limit: str, current: int, inactive: int = 0) -> None:
    base = root / "sys/fs/cgroup" / folder
    base.mkdir(parents=True, exist_ok=True)
    (base / "memory.max").write_text(f"{limit}\n")
    (base / "memory.current").write_text(f"{current}\n")
    (base / "memory.stat").write_text(f"anon 5\nfile 9\ninactive_file {inactive}\n")


def test_a_container_is_held_by_its_limit(tmp_path: Path) -> None:
    written(tmp_path, proc__self__cgroup="0::/\n", proc__meminfo=MEMINFO)
    group(tmp_path, "", str(2 * GIB), GIB)
    assert container_memory(tmp_path) == ContainerMemory(2 * GIB, GIB)


def test_pages_that_the_kernel_would_drop_do_not_count(tmp_path: Path) -> None:
    written(tmp_path, proc__self__cgroup="0::/\n")
    group(tmp_path, "", str(2 * GIB), GIB, inactive=GIB // 2)
    assert container_memory(tmp_path) == ContainerMemory(2 * GIB, GIB // 2)


def test_no_limit_means_what_the_machine_has(tmp_path: Path) -> None:
    written(tmp_path, proc__self__cgroup="0::/\n", proc__meminfo=MEMINFO)
    group(tmp_path, "", "max", GIB)
    assert container_memory(tmp_path) == ContainerMemory(16 * GIB, 8 * GIB)


def test_a_limit_above_what_the_machine_has_left_is_none(tmp_path: Path) -> None:
    written(tmp_path, proc__self__cgroup="0::/\n", proc__meminfo=MEMINFO)
    group(tmp_path, "", str(64 * GIB), GIB)
    assert container_memory(tmp_path) == ContainerMemory(16 * GIB, 8 * GIB)


def test_the_narrowest_of_the_groups_around_counts(tmp_path: Path) -> None:
    written(tmp_path, proc__self__cgroup="0::/kubepods/pod7/c1\n", proc__meminfo=MEMINFO)
    group(tmp_path, "kubepods/pod7/c1", str(8 * GIB), GIB)
    group(tmp_path, "kubepods/pod7", str(3 * GIB), 2 * GIB)
    group(tmp_path, "kubepods", "max", 0)
    assert container_memory(tmp_path) == ContainerMemory(3 * GIB, 2 * GIB)


def test_a_path_of_the_host_that_is_not_mounted_leads_to_the_own_group(tmp_path: Path) -> None:
    written(tmp_path, proc__self__cgroup="0::/../../kubepods/pod7/c1\n", proc__meminfo=MEMINFO)
    group(tmp_path, "", str(2 * GIB), GIB)
    assert container_memory(tmp_path) == ContainerMemory(2 * GIB, GIB)


@pytest.mark.parametrize(("limit", "expected"), [(2 * GIB, 2 * GIB), (9223372036854771712, 16 * GIB)])
def test_version_one_is_read_too(tmp_path: Path, limit: int, expected: int) -> None:
    written(tmp_path, proc__self__cgroup="11:cpu,cpuacct:/d\n4:memory:/docker/c1\n", proc__meminfo=MEMINFO)
    base = tmp_path / "sys/fs/cgroup/memory"
    base.mkdir(parents=True)
    (base / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (base / "memory.usage_in_bytes").write_text(f"{GIB}\n")
    (base / "memory.stat").write_text(f"inactive_file 1\ntotal_inactive_file {GIB // 4}\n")
    memory = container_memory(tmp_path)
    assert memory is not None
    assert memory.limit_bytes == expected
    if expected == 2 * GIB:
        assert memory.used_bytes == GIB * 3 // 4


def test_where_nothing_can_be_read_nothing_is_known(tmp_path: Path) -> None:
    assert container_memory(tmp_path) is None
    written(tmp_path, proc__self__cgroup="0::/\n", sys__fs__cgroup__memory_dot_max="\n", proc__meminfo="MemTotal:\n")
    assert container_memory(tmp_path) is None


def test_this_machine_has_memory() -> None:
    memory = container_memory()
    assert memory is not None
    assert 0 < memory.left_bytes <= memory.limit_bytes


def test_voices_take_half_of_what_is_left_at_most() -> None:
    assert host_budget_bytes(GIB, None) == GIB
    assert host_budget_bytes(GIB, ContainerMemory(8 * GIB, GIB)) == GIB
    assert host_budget_bytes(GIB, ContainerMemory(2 * GIB, GIB)) == GIB // 2
    assert host_budget_bytes(GIB, ContainerMemory(GIB, 2 * GIB)) == 0
