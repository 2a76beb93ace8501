"""Does `scripts/images.sh` ask each builder for the same, and tell when one fails?  The builder here writes down its calls."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = "registry.example/timbre"
BUILDER = """#!/bin/sh
echo "$*" >>"$CALLS"
case " $REFUSED " in *" $1 "*) echo "it was said why" ; exit 125 ;; esac
[ "$1" != save ] || while [ $# -gt 0 ]; do [ "$1" != --output ] || cp "$ARCHIVE" "$2"; shift; done
"""


@dataclass(frozen=True)
class Script:
    """The script, with a builder that refuses what it is told to, and whose images are all one small archive."""

    folder: Path
    builder: str

    @classmethod
    def create(cls, folder: Path, builder: str) -> "Script":
        program = folder / "bin" / builder
        program.parent.mkdir()
        program.write_text(BUILDER)
        program.chmod(0o755)
        command = [sys.executable, ROOT / "scripts/pack_image.py", folder / "archive.tar", "localhost/any:1", program]
        subprocess.run(command, check=True)
        return cls(folder, builder)

    def __call__(
        self, *arguments: str, refused: str = "", repository: str = REGISTRY
    ) -> "subprocess.CompletedProcess[str]":
        environment = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "BUILDER": self.builder,
            "BASE": "upstream",
            "IMAGE_REPOSITORY": repository,
            "TIMBRE_CLUSTER": str(self.folder / "state"),
            "CALLS": str(self.folder / "calls"),
            "ARCHIVE": str(self.folder / "archive.tar"),
            "SSL_CERT_FILE": str(ROOT / "LICENSE"),
            "REFUSED": refused,
        }
        command = [ROOT / "scripts/images.sh", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def calls(self, verb: str) -> Sequence[str]:
        return [call for call in (self.folder / "calls").read_text().splitlines() if call.startswith(f"{verb} ")]


@pytest.fixture(params=["docker", "podman"])
def script(request: pytest.FixtureRequest, tmp_path: Path) -> Script:
    return Script.create(tmp_path, request.param)


def test_every_build_uses_the_machine_s_network(script: Script) -> None:
    assert script("server", "redis").returncode == 0
    builds = script.calls("build")
    assert len(builds) >= 2
    assert all("--network host" in call for call in builds)


def test_what_an_image_runs_on_is_the_pinned_base_and_only_what_installs_has_this_machine_s_certificates(
    script: Script,
) -> None:
    script("server")
    lent, server = script.calls("build")
    pinned = next(
        line.removeprefix("ARG BASE_IMAGE=")
        for line in (ROOT / "server/Dockerfile").read_text().splitlines()
        if line.startswith("ARG BASE_IMAGE=")
    )
    with_certificates = next(word for word in lent.split() if word.startswith("localhost/timbre-build:"))
    assert f"BUILD_IMAGE={pinned} " in lent
    assert f"BASE_IMAGE={pinned} " in server
    assert f"BUILD_IMAGE={with_certificates} " in server


def test_a_build_that_fails_shows_its_output_and_the_way_without_docker_hub(script: Script) -> None:
    failed = script("redis", refused="build")
    assert failed.returncode == 1
    assert "it was said why" in failed.stderr
    assert "BASE=debian" in failed.stderr
    assert script("--names").stdout == ""


@pytest.mark.parametrize("step", ["load", "push"])
def test_a_push_that_fails_is_the_last_and_a_failure(script: Script, step: str) -> None:
    assert script("server", "redis").returncode == 0
    assert script("--push", refused=step).returncode == 125
    assert len(script.calls(step)) == 1


def test_every_image_is_pushed_under_its_name(script: Script) -> None:
    script("server", "redis")
    assert script("--push").returncode == 0
    names = [line.split()[1] for line in script("--names").stdout.splitlines()]
    assert len(names) == 2
    assert script.calls("push") == [f"push --quiet {name}" for name in names]


def test_images_of_no_registry_are_not_pushed(script: Script) -> None:
    script("redis", repository="localhost")
    refused = script("--push")
    assert refused.returncode == 1
    assert "IMAGE_REPOSITORY=" in refused.stderr


def test_a_push_of_nothing_says_that_nothing_was_built(script: Script) -> None:
    refused = script("--push")
    assert refused.returncode == 1
    assert "build some first" in refused.stderr
