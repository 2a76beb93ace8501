"""What has a node done to this machine?"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Self

SYSCTLS: Final = (
    *("vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops"),
    *("kernel.keys.root_maxkeys", "kernel.keys.root_maxbytes", "net.ipv4.ip_forward"),
    *("net.bridge.bridge-nf-call-iptables", "net.netfilter.nf_conntrack_max"),
)
FOLDERS: Final = (
    "/run/containerd",
    "/run/netns",
    "/var/lib/kubelet",
    "/var/lib/cni",
    "/etc/cni",
    "/var/log/pods",
    "/run",
)


@dataclass(frozen=True)
class MachineState:
    """Everything that starting a cluster may change, as sets of lines."""

    processes: frozenset[str]
    mounts: frozenset[str]
    links: frozenset[str]
    addresses: frozenset[str]
    routes: frozenset[str]
    cgroups: frozenset[str]
    packet_rules: frozenset[str]
    sysctls: frozenset[str]
    folders: frozenset[str]

    @classmethod
    def now(cls, cluster: Path) -> Self:
        return cls(
            processes=frozenset(_processes(cluster)),
            mounts=frozenset(line.split()[1] for line in Path("/proc/mounts").read_text("utf-8").splitlines()),
            links=_lines("ip", "-oneline", "link", "show", "up"),
            addresses=_lines("ip", "-brief", "address"),
            routes=_lines("ip", "route", "show", "table", "all"),
            cgroups=frozenset(str(path) for path in Path("/sys/fs/cgroup").rglob("timbre*")),
            # Without the numbers of packets and bytes that met a chain.
            packet_rules=frozenset(
                re.sub(r" \[\d+:\d+\]$", "", line)
                for line in _lines("nft", "list", "ruleset") | _lines("iptables-save")
            ),
            sysctls=_lines("sysctl", "-e", *SYSCTLS),
            folders=frozenset(str(path) for folder in FOLDERS for path in Path(folder).glob("*")),
        )

    def differences(self, later: MachineState) -> dict[str, list[str]]:
        """By field: ``+`` what came, ``-`` what went."""
        found: dict[str, list[str]] = {}
        for field in fields(self):
            before, after = getattr(self, field.name), getattr(later, field.name)
            changes = [f"+ {line}" for line in sorted(after - before)] + [
                f"- {line}" for line in sorted(before - after)
            ]
            if changes:
                found[field.name] = changes
        return found


def _processes(cluster: Path) -> list[str]:
    """Those in the cluster's cgroups, or started with its folder on their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            cgroups = (process / "cgroup").read_text("utf-8")
        except OSError:
            continue  # it has ended
        if ":/timbre" in cgroups or (str(cluster) in command and "pytest" not in command):
            found.append(f"{process.name} {command[:120]}")
    return found


def _lines(*command: str) -> frozenset[str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        return frozenset()  # a machine without the program has nothing of its kind
    return frozenset(line for line in done.stdout.splitlines() if not line.startswith("#"))
