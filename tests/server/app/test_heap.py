"""What is large goes back to the kernel, however often that size was freed before."""

import platform
import subprocess
import sys

import pytest

CHILD = """
import ctypes
from timbre_server.app.heap import LARGE_BYTES, bound_heap

class Statistics(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
        "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

library = ctypes.CDLL(None)
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
library.mallinfo2.restype = Statistics
if {bounded}:
    assert bound_heap()
library.free(library.malloc(LARGE_BYTES))
before = library.mallinfo2().hblkhd
piece = library.malloc(LARGE_BYTES)
print(library.mallinfo2().hblkhd - before >= LARGE_BYTES)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has no such heap")
@pytest.mark.parametrize("bounded", [True, False])
def test_a_large_piece_is_the_kernels_own_though_its_like_was_freed_before(*, bounded: bool) -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD.replace("{bounded}", str(bounded))],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert child.stdout.strip() == str(bounded), "without it glibc keeps what is as large as that"
