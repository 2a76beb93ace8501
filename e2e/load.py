"""What did a service do under load, as its clients saw it?"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import wave
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import av

from e2e.kubectl import Kubectl, eventually
from e2e.pods import HER, RECORDINGS, pod

SPEECH: Final = "/v1/audio/speech"
_SCRIPT: Final = Path(__file__).with_name("in_pod_load.py")


@dataclass(frozen=True)
class Load:
    """Requests for one URL."""

    url: str
    bodies: Sequence[Mapping[str, Any]]
    rate: float
    """Requests a second."""
    kept: bool = False
    """Whether connections are used again; without it every request may reach another pod."""
    retries: int = 0
    """How often a failed request is sent again; openai's client does it twice."""
    seconds: float = 600.0
    """At most."""


@dataclass
class Answers:
    """Filled when the load has ended."""

    records: list[dict[str, Any]] = field(default_factory=list)

    @property
    def failures(self) -> list[dict[str, Any]]:
        """Everything but 200."""
        return [record for record in self.records if record.get("status") != 200]

    def assert_all_good(self) -> None:
        """Raises: AssertionError: with the first failures."""
        listed = "".join(f"\n  {failure}" for failure in self.failures[:10])
        assert not self.failures, f"{len(self.failures)} of {len(self.records)} requests failed:{listed}"

    def hit_rate(self, since: float = 0.0, until: float = float("inf")) -> float:
        """Of the answers that needed a voice, the share whose voice needed no extraction; moments of the load's clock."""
        found = [r["voice"] for r in self.records if r.get("voice") and since <= r["at"] < until]
        return sum(where != "extracted" for where in found) / len(found) if found else 1.0

    def seconds_at(self, percent: float) -> float:
        """A percentile of how long the good ones took."""
        taken = sorted(record["seconds"] for record in self.records if record.get("status") == 200)
        return float(taken[min(len(taken) - 1, int(len(taken) * percent / 100))])


def speech_wav() -> bytes:
    """A recording of ours as WAV, which the standard library can cut."""
    file = io.BytesIO()
    with av.open(str(RECORDINGS / HER)) as source, wave.open(file, "wb") as wav:
        wav.setparams((1, 2, source.streams.audio[0].rate, 0, "NONE", ""))
        for frame in source.decode(audio=0):
            wav.writeframes(frame.to_ndarray().astype("<i2").tobytes())
    return file.getvalue()


@contextlib.contextmanager
def under_load(kubectl: Kubectl, images: Mapping[str, str], load: Load, name: str = "load") -> Iterator[Answers]:
    """Runs while the block runs; the answers are there after it.

    A pod of its own keeps asking, so that it does not end with a connection to the API server.
    """
    # One may be left of a run that was interrupted.
    kubectl("delete", "pod", name, "--ignore-not-found", "--now")
    kubectl.apply(*_manifests(name, images["operator"], load))
    answers = Answers()
    try:
        eventually(lambda: "begun" in kubectl("logs", name), seconds=60, what="the load's begin")
        yield answers
        answers.records = _ended(kubectl, name)
    finally:
        kubectl("delete", "pod", name, "--now", "--wait=false")


def _manifests(name: str, image: str, load: Load) -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name},
            "data": {"load.py": _SCRIPT.read_text("utf-8"), "load.json": json.dumps(vars(load))},
            "binaryData": {"speech.wav": base64.b64encode(speech_wav()).decode()},
        },
        pod(
            name,
            image,
            ["sh", "-c", 'exec python3 /load/load.py "$(cat /load/load.json)"'],
            mounts=[{"name": "load", "mountPath": "/load", "readOnly": True}],
            volumes=[{"name": "load", "configMap": {"name": name}}],
            terminationGracePeriodSeconds=90,
        ),
    ]


def _ended(kubectl: Kubectl, name: str) -> list[dict[str, Any]]:
    """Tells the load to end, and returns what it saw."""
    kubectl.python(name, "import os, signal; os.kill(1, signal.SIGTERM)")
    phase = eventually(
        lambda: kubectl.json("get", "pod", name)["status"]["phase"],
        lambda phase: phase in {"Succeeded", "Failed"},
        seconds=90,
        what="the load's end",
    )
    printed = kubectl("logs", name)
    assert phase == "Succeeded", printed
    records: list[dict[str, Any]] = json.loads(printed.splitlines()[-1])
    return records
