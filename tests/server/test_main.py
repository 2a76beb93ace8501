"""The command line: what holds before anything else of the server is loaded."""

from __future__ import annotations

import os
import subprocess
import sys

COUNT_BLAS_THREADS = """
import ctypes, re, sys
from pathlib import Path
from timbre_server.__main__ import main
assert "numpy" not in sys.modules, "OpenBLAS has read the environment before main could set it"
main(["--help"])
import numpy
blas = ctypes.CDLL(re.search(r"/\\S*openblas\\S*", Path("/proc/self/maps").read_text())[0])
print("threads:", blas.scipy_openblas_get_num_threads64_())
"""


def test_no_fork_can_take_threads_from_a_multiplication() -> None:
    printed = subprocess.run(
        [sys.executable, "-c", COUNT_BLAS_THREADS],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.endswith("threads: 1\n")
