"""Helm, on nobody's cluster or on a real one, with caches that nobody else reads."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from tests.chart.alert_rules import CHART, HOME
from tests.cluster.control_plane import Tools

RELEASE: Final = "timbre"
VALUES_FILES: Final = {file.name.removesuffix("-values.yaml"): file for file in sorted((CHART / "ci").glob("*.yaml"))}
"""Where chart-testing looks for them too."""
Manifest = dict[str, Any]


class HelmRefused(Exception):
    """Helm said no; its own words."""


class Helm:
    """One user's Helm."""

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None) -> None:
        """``environment`` leads to a cluster; without one there is none."""
        inherited = environment if environment is not None else {**os.environ, "KUBECONFIG": str(home / "none")}
        folders = {f"HELM_{name}_HOME": str(home / "helm") for name in ("CACHE", "CONFIG", "DATA")}
        self._environment = {**inherited, **folders}
        self._program = Tools()["helm"]

    def __call__(self, *arguments: str | Path) -> str:
        """What it printed.

        Raises:
            HelmRefused: it failed.
        """
        done = subprocess.run(
            [self._program, *map(str, arguments)], env=self._environment, text=True, capture_output=True, check=False
        )
        if done.returncode:
            raise HelmRefused(done.stderr or done.stdout)
        return done.stdout

    def template(self, *arguments: str | Path, release: str = RELEASE) -> list[Manifest]:
        """What the chart becomes."""
        text = self("template", release, CHART, "--namespace", HOME, *arguments)
        return [document for document in yaml.safe_load_all(text) if document]


def chosen(**values: str) -> Sequence[str]:
    """``--set`` for values whose names are written with two underscores for a dot."""
    return [part for name, value in values.items() for part in ("--set", f"{name.replace('__', '.')}={value}")]


def only(manifests: Sequence[Manifest], kind: str, name: str = "") -> Manifest:
    """The one of this kind, and name."""
    (found,) = [
        manifest
        for manifest in manifests
        if manifest["kind"] == kind and (not name or manifest["metadata"]["name"] == name)
    ]
    return found
