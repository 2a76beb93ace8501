"""Tests on a device.  They need torch, numpy, safetensors, nvidia-ml-py and pytest, and no more.

Without CUDA they are skipped; ``GPU_TESTS_DEVICE=cpu`` runs them on torch's CPU, where all but streams is the same.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

if find_spec("xxhash") is None:
    # The package's front door opens the shared tier as well, whose checksums need it.  What is tested here does not.
    package = ModuleType("timbre_server.voicecache")
    package.__path__ = [str(Path(__file__).resolve().parents[2] / "server" / "timbre_server" / "voicecache")]
    sys.modules[package.__name__] = package


@pytest.fixture(scope="session")
def torch() -> Any:
    """The package, where it is installed."""
    return pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture(scope="session")
def device(torch: Any) -> str:
    """torch's name of the device under test."""
    chosen = os.environ.get("GPU_TESTS_DEVICE", "cuda")
    if chosen.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("no CUDA device; GPU_TESTS_DEVICE=cpu runs this on torch's CPU")
    return chosen


@pytest.fixture
def cuda(device: str) -> str:
    """The same for what only CUDA can do."""
    if not device.startswith("cuda"):
        pytest.skip("streams and NVML are CUDA's")
    return device
