"""What does kubelet say about a pod?  From the states of its containers; nothing here acts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NODE_ADDRESS = "127.0.0.1"


def now() -> str:
    """As the API writes times."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class ContainerState:
    """One container at this moment."""

    name: str
    image: str
    waiting: tuple[str, str] | None = ("ContainerCreating", "")
    """Reason and message while it does not run."""
    started_at: str = ""
    ended: dict[str, Any] | None = None
    """How it ended, of this run while it waits for nothing else."""
    last: dict[str, Any] | None = None
    """How the run before this one ended."""
    restarts: int = 0
    started: bool = False
    ready: bool = False

    def run(self) -> None:
        """It was started, again perhaps."""
        self.waiting, self.started_at, self.ended = None, now(), None
        self.started = self.ready = False

    def end(self, exit_code: int, message: str, *, oom: bool = False) -> None:
        """It ended by itself or was killed."""
        reason = "OOMKilled" if oom else ("Completed" if exit_code == 0 else "Error")
        self.ended = {
            "exitCode": exit_code, "reason": reason, "message": message,
            "startedAt": self.started_at, "finishedAt": now(), "containerID": f"fake://{self.name}-{self.restarts}",
        }  # fmt: skip
        self.started = self.ready = False

    def wait(self, reason: str, message: str) -> None:
        """It does not run, and is tried again."""
        self.waiting = (reason, message)
        if self.ended is not None:
            self.last, self.ended = self.ended, None

    def restart(self) -> None:
        """It is started once more."""
        if self.ended is not None:
            self.last = self.ended
        self.restarts += 1
        self.run()

    def to_status(self) -> dict[str, Any]:
        """As an item of ``containerStatuses``."""
        if self.waiting is not None:
            state: dict[str, Any] = {"waiting": {"reason": self.waiting[0], "message": self.waiting[1]}}
        elif self.ended is not None:
            state = {"terminated": self.ended}
        else:
            state = {"running": {"startedAt": self.started_at}}
        return {
            "name": self.name, "image": self.image, "imageID": "", "state": state, "ready": self.ready,
            "lastState": {"terminated": self.last} if self.last else {}, "restartCount": self.restarts,
            "started": self.started,
        }  # fmt: skip


@dataclass
class PodState:
    """One pod at this moment."""

    address: str
    containers: list[ContainerState]
    began_at: str = field(default_factory=now)

    def to_status(self, conditions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """``status``; ``conditions`` are those that the pod has."""
        ready = all(container.ready for container in self.containers)
        running = [container for container in self.containers if container.waiting is None]
        return {
            "phase": "Running" if len(running) == len(self.containers) or self._ran() else "Pending",
            "hostIP": NODE_ADDRESS,
            "hostIPs": [{"ip": NODE_ADDRESS}],
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "startTime": self.began_at,
            "containerStatuses": [container.to_status() for container in self.containers],
            "conditions": self._conditions(conditions, ready=ready),
        }

    def _ran(self) -> bool:
        return any(container.restarts or container.last for container in self.containers)

    def _conditions(self, had: Sequence[Mapping[str, Any]], *, ready: bool) -> list[dict[str, Any]]:
        named = {condition["type"]: dict(condition) for condition in had}
        unready = [container.name for container in self.containers if not container.ready]
        reason = (
            {} if ready else {"reason": "ContainersNotReady", "message": f"containers with unready status: {unready}"}
        )
        for kind, holds, why in (
            ("PodReadyToStartContainers", True, {}),
            ("Initialized", True, {}),
            ("ContainersReady", ready, reason),
            ("Ready", ready, reason),
        ):
            status = "True" if holds else "False"
            old = named.get(kind, {})
            since = old["lastTransitionTime"] if old.get("status") == status else now()
            named[kind] = {"type": kind, "status": status, "lastTransitionTime": since, **why}
        return list(named.values())
