"""``kubectl exec`` on the fake node: the command runs here, with the variables of the pod's own server."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Exit code of the command."""
    options, command = _parsed(sys.argv[1:])
    pod = _pod_of(options.target, options.namespace)
    with tempfile.TemporaryDirectory() as own_tmp:  # a container has a /tmp of its own
        environment = {**_variables_of(pod), "PATH": os.environ["EXEC_PATH"], "TMPDIR": own_tmp}
        # What was not passed on is nobody's input.
        stdin = None if options.stdin else subprocess.DEVNULL
        return subprocess.run(command, env=environment, stdin=stdin, check=False).returncode


def _parsed(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["exec"])
    parser.add_argument("target")
    parser.add_argument("-i", "--stdin", action="store_true")
    parser.add_argument("-n", "--namespace", default="default")
    border = words.index("--")
    return parser.parse_args(words[:border]), words[border + 1 :]


def _pod_of(target: str, namespace: str) -> str:
    """As kubectl does: any running pod of a Deployment."""
    kind, _, name = target.rpartition("/")
    if kind != "deployment":
        return name
    selector = f"app.kubernetes.io/instance={name},app.kubernetes.io/component=server"
    found = subprocess.run(
        [os.environ["REAL_KUBECTL"], "get", "pods", "-n", namespace, "-l", selector, "-o", "name"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return found.stdout.split()[0].removeprefix("pod/")


def _variables_of(pod: str) -> dict[str, str]:
    """Of the process that the fake node started for this pod."""
    wanted = f"TIMBRE_POD={pod}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in variables:
            return dict(variable.decode().partition("=")[::2] for variable in variables if variable)
    raise SystemExit(f"no process of pod {pod}")


if __name__ == "__main__":
    sys.exit(main())
