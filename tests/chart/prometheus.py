"""A real Prometheus on a free port, which scrapes what it is told to and plays our rules."""

from __future__ import annotations

import json
import math
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from examples.local_redis import free_port
from tests.cluster.api import PATIENCE_SECONDS
from tests.cluster.coming_up import until_it_answers
from tests.cluster.control_plane import Tools, dying_with_us

_LOOK_AGAIN_SECONDS: Final = 0.1


class QueryError(Exception):
    """Prometheus cannot answer; its own words."""


@dataclass(frozen=True)
class Target:
    """One pod, with the labels that a PodMonitor would give its series."""

    address: str
    """host:port."""
    labels: Mapping[str, str]


class Prometheus:
    """Running when this is made; ``close`` ends it."""

    def __init__(self, folder: Path, targets: Sequence[Target], groups: Sequence[Mapping[str, Any]]) -> None:
        """Scrapes every second; ``folder`` keeps its configuration, its rules and its store."""
        self.url = f"http://127.0.0.1:{free_port()}"
        self._log = folder / "prometheus.log"
        (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": list(groups)}))
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(_configuration(targets)))
        command = [
            Tools()["prometheus"],
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'store'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
            "--log.level=warn",
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(dying_with_us(command), stdout=log, stderr=subprocess.STDOUT)
        until_it_answers(f"{self.url}/-/ready", self._process, self._log)

    def close(self) -> None:
        """Ends it for sure."""
        self._process.kill()
        self._process.wait()

    def values(self, expression: str) -> list[float]:
        """What each series of the answer is now; NaN left out.

        Raises:
            QueryError: Prometheus does not understand the expression.
        """
        answer = self._get("/api/v1/query", query=expression)["result"]
        values = [float(series["value"][1]) for series in answer]
        return [value for value in values if not math.isnan(value)]

    def values_in_time(self, expression: str) -> list[float]:
        """The same, once there are some; empty where there are none for a long time."""
        give_up = time.monotonic() + PATIENCE_SECONDS / 2
        while not (values := self.values(expression)) and time.monotonic() < give_up:
            time.sleep(_LOOK_AGAIN_SECONDS)
        return values

    def rules(self) -> list[dict[str, Any]]:
        """Every rule, with its health."""
        return [rule for group in self._get("/api/v1/rules")["groups"] for rule in group["rules"]]

    def _get(self, path: str, **query: str) -> Any:
        try:
            with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(query)}") as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise QueryError(json.load(error)["error"]) from error


def _configuration(targets: Sequence[Target]) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {
                "job_name": "pods",
                "honor_labels": True,
                "static_configs": [{"targets": [target.address], "labels": dict(target.labels)} for target in targets],
            }
        ],
    }
