"""A driver's library without a driver: built from ``nvml.c``, and a process that reads a device through it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).with_name("nvml.c")
COMPILER = shutil.which("cc")

READER = """
import dataclasses, json, logging, sys
logging.basicConfig(stream=sys.stderr, format="%(message)s %(fields)s")
from timbre_server.voicecache.nvml import open_device
uuid, has_torch = sys.argv[1], bool(sys.argv[2])
reader = open_device(uuid=uuid, torch_memory=(lambda: (111, 222)) if has_torch else None)
for line in sys.stdin:
    if line == "close\\n":
        reader.close()
        reading = None
    else:
        reading = reader and reader.read(load=line != "memory\\n")
    print(json.dumps(reading and dataclasses.asdict(reading)), flush=True)
"""


def build(folder: Path, *flags: str) -> Path:
    """Compiles the library into a folder; the name is the one that the loader looks for."""
    library = folder / "libnvidia-ml.so.1"
    assert COMPILER is not None
    command = [COMPILER, "-shared", "-fPIC", "-Wall", "-Werror", "-O1", *flags, "-o", str(library), str(SOURCE)]
    subprocess.run([*command, "-Wl,-soname,libnvidia-ml.so.1"], check=True)
    return library


class Pressure:
    """What the device says from now on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._said: dict[str, int] = {}
        self._lock = threading.Lock()

    def say(self, **said: int) -> None:
        """Replaces the file at once: a reader never sees half of it.  Thread-safe."""
        with self._lock:
            self._said.update(said)
            new = self.path.with_suffix(".new")
            new.write_text("".join(f"{key} {value}\n" for key, value in self._said.items()), "ascii")
            new.replace(self.path)


class Child:
    """A process that reads the device whenever it is asked."""

    def __init__(self, environment: Mapping[str, str], *, uuid: str, has_torch: bool) -> None:
        command = [sys.executable, "-c", READER, uuid, "yes" if has_torch else ""]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def asked(self, question: str = "all") -> dict[str, Any] | None:
        """The answer, or None where there was no reading."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        reading: dict[str, Any] | None = json.loads(self._process.stdout.readline())
        return reading

    def end(self) -> str:
        """Ends the process; what it logged."""
        _, logged = self._process.communicate(timeout=30)
        return logged


@contextmanager
def reading_child(
    folder: Path, library: Path | None, *, uuid: str = "", has_torch: bool = False, **variables: str
) -> Iterator[Child]:
    """A process that has that library, or no driver at all, and ends with the block."""
    environment = {
        name: value for name, value in os.environ.items() if not name.endswith(("VISIBLE_DEVICES", "LIBRARY_PATH"))
    }
    environment |= {"FAKE_NVML_FILE": str(folder / "device"), "FAKE_NVML_SHUT": str(folder / "shut"), **variables}
    if library is not None:
        environment["LD_LIBRARY_PATH"] = str(library.parent)
    child = Child(environment, uuid=uuid, has_torch=has_torch)
    try:
        yield child
    finally:
        child.end()


needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler (cc) to build the fake NVML with")
