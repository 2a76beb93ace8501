"""When does a program that was just started answer?"""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from tests.cluster.api import PATIENCE_SECONDS

_LOOK_AGAIN_SECONDS: Final = 0.05


def until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """These programs tell nobody when they are ready: they are asked.

    Raises:
        RuntimeError: it ended, or takes too long; with its log.
    """
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"{process.args!r} does not come up:\n{log.read_text()}")
        time.sleep(_LOOK_AGAIN_SECONDS)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url).close()
    except urllib.error.HTTPError as not_yet:
        not_yet.close()  # it is an answer too, and its connection is open until then
        return False
    except OSError:
        return False
    return True
