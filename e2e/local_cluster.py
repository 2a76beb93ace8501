"""Where is the cluster, and how does a test break its parts?"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from e2e.machine_state import MachineState


@dataclass(frozen=True)
class LocalCluster:
    """That of ``make cluster``, or one of somebody's whose parts no test touches."""

    root: Path
    folder: Path
    before: MachineState | None
    """The machine before the cluster was started; None where it ran already, or is no cluster of this machine."""
    lent: bool
    """Whether it is a cluster of KUBE_CONTEXT."""

    @classmethod
    def found(cls, root: Path) -> Self:
        """The one that runs."""
        folder = Path(os.environ.get("TIMBRE_CLUSTER", root / ".cluster"))
        return cls(root, folder, None, bool(os.environ.get("KUBE_CONTEXT")))

    @classmethod
    def up(cls, root: Path) -> Self:
        """Started, where it does not run."""
        found = cls.found(root)
        runs = (found.folder / "run" / "kubelet.pid").exists()
        before = None if found.lent or runs else MachineState.now(found.folder)
        subprocess.run([root / "scripts/cluster.sh", "up"], check=True)
        if found.lent:
            subprocess.run([root / "scripts/cluster.sh", "images"], check=True)
        return replace(found, before=before)

    @property
    def ends_with_tests(self) -> bool:
        """Whether it was started for them, and nobody wants to look at it afterwards."""
        return self.before is not None and not os.environ.get("KEEP")

    def down(self) -> None:
        subprocess.run([self.root / "scripts/cluster.sh", "down"], check=True)

    def kill(self, program: str, number: signal.Signals = signal.SIGKILL) -> None:
        """One of the cluster's programs, such as ``kubelet``."""
        pid = int((self.folder / "run" / f"{program}.pid").read_text("utf-8").split()[0])
        os.kill(pid, number)

    def process_of(self, pod: Mapping[str, Any], container: str) -> int:
        """The first process of a pod's container, as this machine numbers it."""
        statuses = pod["status"]["containerStatuses"]
        wanted = next(each["containerID"] for each in statuses if each["name"] == container).removeprefix(
            "containerd://"
        )
        tasks = self._containerd("tasks", "list")
        return next(int(line.split()[1]) for line in tasks.splitlines() if line.startswith(wanted))

    def renamed_image(self, reference: str) -> str:
        """Another name of an image, by which the node has it too."""
        other = f"{reference}-{os.urandom(2).hex()}"
        self._containerd("images", "tag", reference, other)
        return other

    def _containerd(self, *words: str) -> str:
        address = self.folder / "run/containerd.sock"
        command = ["ctr", "--address", address, "--namespace", "k8s.io", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def mend(self) -> None:
        """Starts what does not run."""
        subprocess.run([self.root / "scripts/cluster.sh", "up"], check=True, capture_output=True)
