"""How does a test speak to the cluster?"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

Manifest = Mapping[str, Any]
T = TypeVar("T")
_LOOKS_PER_SECOND: Final = 5


class KubectlError(AssertionError):
    """What kubectl said."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl, or helm, with the cluster's kubeconfig, in one namespace."""

    folder: Path
    """Where ``bin`` and ``kubeconfig`` are."""
    namespace: str = ""

    def within(self, namespace: str) -> Kubectl:
        return replace(self, namespace=namespace)

    def __call__(self, *words: str, stdin: str = "", seconds: float = 120) -> str:
        """Standard output.

        Raises:
            KubectlError: with standard error.
        """
        return self.run("kubectl", *words, stdin=stdin, seconds=seconds)

    def run(self, program: str, *words: str, stdin: str = "", seconds: float = 120) -> str:
        where = ["--namespace", self.namespace] if self.namespace else []
        done = subprocess.run(
            [self.folder / "bin" / program, "--kubeconfig", self.folder / "kubeconfig", *where, *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode:
            raise KubectlError(f"{program} {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--output", "json"))

    def items(self, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json("get", *words)["items"]
        return found

    def apply(self, *manifests: Manifest) -> None:
        """Server-side, so that a test may apply again what it changed."""
        documents = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
        self("apply", "--server-side", "--force-conflicts", "--filename", "-", stdin=documents)

    def rolled_out(self, what: str, seconds: int = 120) -> None:
        """Waits until all pods of a Deployment or StatefulSet are the new ones, and ready."""
        self("rollout", "status", what, f"--timeout={seconds}s", seconds=seconds + 10)

    def python(self, pod: str, code: str, *arguments: str, seconds: float = 60) -> str:
        """Runs Python in a pod that has it."""
        return self("exec", "--stdin", pod, "--", "python3", "-", *arguments, stdin=code, seconds=seconds)


def eventually(
    look: Callable[[], T],
    true: Callable[[T], bool] = bool,
    *,
    seconds: float = 60,
    what: str = "it",
    shown: Callable[[T], object] = repr,
) -> T:
    """What ``look`` found once it was as wanted; the world outside cannot be told to hurry."""
    end = time.monotonic() + seconds
    while True:
        try:
            found = look()
        except KubectlError as error:
            last: object = error
        else:
            if true(found):
                return found
            last = shown(found)
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come about in {seconds} s; last seen: {last}")
        time.sleep(1 / _LOOKS_PER_SECOND)


def throughout(look: Callable[[], T], true: Callable[[T], bool], *, seconds: float) -> None:
    """Asserts that every look finds it so, for that long: that nothing happens shows only in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        assert true(found), found
        time.sleep(1 / _LOOKS_PER_SECOND)


def condition(manifest: Manifest, kind: str) -> Mapping[str, Any]:
    """One of ``status.conditions``; empty where there is none of the kind."""
    found: Iterable[Mapping[str, Any]] = manifest.get("status", {}).get("conditions") or ()
    return next((each for each in found if each["type"] == kind), {})


def is_true(manifest: Manifest, kind: str) -> bool:
    return condition(manifest, kind).get("status") == "True"


def explain(kubectl: Kubectl) -> str:
    """What is in the namespace and what was said about it, for whoever reads why a test failed."""
    parts = [kubectl("get", "all,pvc", "--output", "wide"), kubectl("get", "events", "--sort-by=.lastTimestamp")]
    for pod in kubectl.items("pods"):
        name = pod["metadata"]["name"]
        for words in (("logs", name, "--all-containers", "--tail=30"), ("logs", name, "--previous", "--tail=30")):
            try:
                parts.append(f"-- {' '.join(words)}\n{kubectl(*words)}")
            except KubectlError:
                continue  # no container of it has run, or run before
    return "\n".join(parts)


def conditions(manifest: Manifest) -> str:
    """All of them, a line each."""
    found: Iterable[Mapping[str, Any]] = manifest.get("status", {}).get("conditions") or ()
    return "".join(f"\n  {c['type']}={c['status']} {c['reason']}: {c['message']}" for c in found)
