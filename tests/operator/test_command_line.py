"""The operator's command line: what it prints, and what it says about a manifest that cannot be."""

from __future__ import annotations

import io
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from timbre_operator.__main__ import main
from timbre_operator.voiceservice import build_crd

ROOT = Path(__file__).resolve().parents[2]
MINIMAL = str(ROOT / "examples" / "minimal.yaml")


def _written(folder: Path, text: str) -> str:
    file = folder / "service.yaml"
    file.write_text(text, "utf-8")
    return str(file)


def test_the_command_is_installed() -> None:
    command = Path(sys.executable).with_name("timbre-operator")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"timbre-operator {version('timbre')}\n"


def test_version_is_a_command_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"timbre-operator {version('timbre')}\n"


def test_crd_prints_the_file_of_the_repository(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crd"]) == 0
    printed = capsys.readouterr().out
    assert printed == (ROOT / "crds" / "voiceservices.yaml").read_text("utf-8")
    assert yaml.safe_load(printed) == build_crd()


def test_render_prints_every_child_as_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", MINIMAL]) == 0
    printed = capsys.readouterr().out
    assert "  redis.conf: |\n    # Made by" in printed  # as a block, for people read it
    children = list(yaml.safe_load_all(printed))
    kinds = ["HorizontalPodAutoscaler", "PodMonitor", "PodMonitor", "PrometheusRule"]
    assert [child["kind"] for child in children][-4:] == kinds
    assert len(children) == 15
    assert all("ownerReferences" not in child["metadata"] for child in children)


def test_render_makes_passwords_that_nobody_else_has(capsys: pytest.CaptureFixture[str]) -> None:
    """Who applies what is printed must not get a Redis with a known password."""
    passwords = set()
    for _ in range(2):
        main(["render", MINIMAL])
        secrets = [c for c in yaml.safe_load_all(capsys.readouterr().out) if c["metadata"]["name"] == "narrator-redis"]
        passwords |= {
            value for child in secrets for value in child.get("data", {}).values() if child["kind"] == "Secret"
        }
    assert len(passwords) == 4


def test_render_without_a_kind_leaves_it_out(capsys: pytest.CaptureFixture[str]) -> None:
    main(["render", MINIMAL, "--without", "podmonitors.monitoring.coreos.com"])
    kinds = [child["kind"] for child in yaml.safe_load_all(capsys.readouterr().out)]
    assert "PodMonitor" not in kinds
    assert "PrometheusRule" in kinds


def test_render_reads_standard_input_and_leaves_other_objects_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "kind: ConfigMap\n---\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(other + Path(MINIMAL).read_text("utf-8")))
    assert main(["render", "-"]) == 0
    assert "kind: Deployment" in capsys.readouterr().out


def test_a_manifest_that_cannot_be_gets_a_sentence_for_each_mistake(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = _written(
        tmp_path,
        "apiVersion: timbre.dev/v1alpha1\nkind: VoiceService\nmetadata: {name: narrator}\n"
        "spec: {batching: {maxPending: 30}, routing: {affinity: Voice}}\n",
    )
    assert main(["render", file]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[0].startswith(f"{file}: spec.batching.maxPending: ")
    assert said.err.splitlines()[1].startswith(
        f"{file}: spec.routing: there is no such field; there are engine, image,"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no VoiceService in it"),
        ("kind: Pod\n", "there is no VoiceService in it"),
        ("- a\n", "a document is no object"),
        ("a: [\n", "this is no YAML: line 2"),
        ("\x00", "this is no YAML"),
        ("kind: VoiceService\n", "write apiVersion: timbre.dev/v1alpha1"),
    ],
)
def test_what_is_no_voice_service_is_said(
    text: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["render", _written(tmp_path, text)]) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "nowhere.yaml"]) == 2
    assert capsys.readouterr().err == "nowhere.yaml: No such file or directory\n"


def test_without_a_command_the_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "render" in capsys.readouterr().out
