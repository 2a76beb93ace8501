"""The operator's command line, for as long as it has no more."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path


def test_version_is_printed() -> None:
    command = Path(sys.executable).with_name("timbre-operator")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"timbre-operator {version('timbre')}\n"
