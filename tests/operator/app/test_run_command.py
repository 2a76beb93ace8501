"""``timbre-operator run`` where it cannot run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("timbre-operator")


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIMBRE_", "KUBE"))}
    return subprocess.run(
        [COMMAND, "run", *arguments], capture_output=True, text=True, check=False, timeout=60, env=kept | environment
    )


def test_a_setting_that_cannot_be_ends_it_with_2_and_a_sentence() -> None:
    done = _run("--no-metrics-api", TIMBRE_OPERATOR_ADMIN_PROT="8080")
    assert done.returncode == 2
    assert (
        done.stderr
        == "run: TIMBRE_OPERATOR_ADMIN_PROT: there is no such setting; timbre-operator run --help lists them\n"
    )
    assert done.stdout == ""


def test_an_unknown_flag_ends_it_with_2() -> None:
    assert _run("--no-such-flag").returncode == 2


def test_without_a_cluster_it_says_so_and_ends_with_1(tmp_path: Path) -> None:
    done = _run("--no-metrics-api", HOME=str(tmp_path), KUBECONFIG=str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert "no way to the API server" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("text", ["just text", "[1]", "\tno: yaml", "clusters: 7", "token: {secret"])
def test_a_file_that_is_no_kubeconfig_is_said_and_not_quoted(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text, "utf-8")
    done = _run("--no-metrics-api", HOME=str(tmp_path), KUBECONFIG=str(tmp_path / "config"))
    assert done.returncode == 1
    assert "no usable KUBECONFIG" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "secret" not in done.stdout + done.stderr


def test_help_lists_every_setting_with_its_default() -> None:
    done = _run("--help")
    assert done.returncode == 0
    for flag in ("--namespace", "--metrics-api-certificate", "--resync-seconds", "--lease-name"):
        assert flag in done.stdout
    assert "(60)" in done.stdout
