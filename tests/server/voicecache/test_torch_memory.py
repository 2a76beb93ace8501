"""What can be said of it without torch; the rest is in ``tests/gpu``, which must run where little is installed."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from timbre_server.errors import ConfigurationError
from timbre_server.voicecache.torch_memory import torch_memory

ROOT = Path(__file__).resolve().parents[3]

COLLECTED_WITH_LITTLE = """
import sys
from importlib.machinery import PathFinder

ALLOWED = {"torch", "numpy", "safetensors", "pynvml", "pytest", "py", "_pytest", "pluggy", "iniconfig", "packaging", "pygments"}
OURS = {"timbre_server", "timbre_contract", "conftest", "tests", "test_device_memory"}

class OnlyThese(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        known = name.split(".")[0] in ALLOWED | OURS | set(sys.stdlib_module_names)
        return super().find_spec(name, path, target) if known else None

sys.meta_path[sys.meta_path.index(PathFinder)] = OnlyThese
import os
os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
import pytest
raise SystemExit(pytest.main(["tests/gpu", "-q", "--collect-only", "-p", "no:cacheprovider"]))
"""


def test_the_tests_for_a_machine_with_a_gpu_need_no_more_than_they_say() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", COLLECTED_WITH_LITTLE], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "test_what_is_given_back_is_free_for_others" in ran.stdout


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is installed here")
def test_an_engine_on_a_device_needs_torch() -> None:
    with pytest.raises(ConfigurationError, match="needs torch"):
        torch_memory("cuda:0")
