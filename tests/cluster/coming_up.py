"""When does a program that was just started answer?"""

from __future__ import annotations

import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from tests.cluster.api import PATIENCE_SECONDS

_LOOK_AGAIN_SECONDS: Final = 0.05
_ANSWER_SECONDS: Final = 2.0
"""For one answer: a program may listen before it can speak."""


def last_lines(file: Path) -> list[str]:
    """The end of a log."""
    return file.read_text("utf-8", errors="replace").splitlines()[-20:]


def until_it_answers(
    url: str, process: subprocess.Popen[bytes], log: Path, *, tls: ssl.SSLContext | None = None
) -> None:
    """These programs tell nobody when they are ready: they are asked.

    Raises:
        RuntimeError: it ended, or takes too long; with the end of its log.
    """
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not _answers(url, tls):
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError("\n".join([f"{process.args!r} does not come up:", *last_lines(log)]))
        time.sleep(_LOOK_AGAIN_SECONDS)


def _answers(url: str, tls: ssl.SSLContext | None) -> bool:
    try:
        urllib.request.urlopen(url, context=tls, timeout=_ANSWER_SECONDS).close()
    except urllib.error.HTTPError as not_yet:
        not_yet.close()  # it is an answer too, and its connection is open until then
        return False
    except OSError:
        return False
    return True
