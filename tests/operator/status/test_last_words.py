"""The line that says why a container ended; of made-up logs, and of real servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from timbre_contract.exits import ENGINE_FAILED, EXIT_CONFIGURATION, EXIT_FAILED
from timbre_operator.status.last_words import last_words

_LOG_BYTES = 2048
"""So much of the end of a log does kubelet keep as termination message."""


def _line(message: str, level: str = "info", **fields: str) -> str:
    return json.dumps({"time": "2026-11-30T12:00:00.000+00:00", "level": level, "message": message, **fields})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        ("\n\n", ""),
        ("timbre-server: unknown setting TIMBRE_X\n", "timbre-server: unknown setting TIMBRE_X"),
        (f"{_line('ready')}\n{_line('no room', 'error')}\n{_line('bye')}", "no room"),
        (f"{_line('one', 'error')}\n{_line('two', 'critical')}", "two"),
        (f"{_line('ready')}\n{_line('drained')}\n", "drained"),
        (_line("failed", "error", exception="Traceback:\n  x\nValueError: seven"), "failed: ValueError: seven"),
        (f"{_line('ready')}\nTraceback (most recent call last):\n  x\nKeyError: 'a'\n", "KeyError: 'a'"),
        ("Fatal Python error: Segmentation fault\n\nThread 0x1 (most recent call first):\n  File x\n",
         "Fatal Python error: Segmentation fault"),
        (f'ssage": "cut off"}}\n{_line("last", "error")}', "last"),
        ('"a text"\n[1, 2]\n{"no": "message"}', '{"no": "message"}'),
    ],
)  # fmt: skip
def test_the_telling_line_is_found(text: str, words: str) -> None:
    assert last_words(text) == words


_ENGINE_WITHOUT_A_MODEL = """
from timbre_server.__main__ import main
from timbre_server.engine.stub import StubEngine
from timbre_server.errors import EngineError

def load(engine):
    raise EngineError("/models/voice holds no config.json")

StubEngine.load = load
raise SystemExit(main([]))
"""


def _a_server_that_ends(*arguments: str, **environment: str) -> tuple[int, str]:
    """Exit code and last words of a real server."""
    ports = {"TIMBRE_HTTP__PORT": "0", "TIMBRE_HTTP__ADMIN_PORT": "0", "TIMBRE_ENGINE__NAME": "stub"}
    ended = subprocess.run(
        [sys.executable, *arguments], env={**os.environ, **ports, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
    )  # fmt: skip
    return ended.returncode, last_words(ended.stdout[-_LOG_BYTES:])


def test_a_real_server_names_the_setting_that_it_refuses() -> None:
    code, words = _a_server_that_ends("-m", "timbre_server", TIMBRE_COLOUR="blue")
    assert code == EXIT_CONFIGURATION
    assert "TIMBRE_COLOUR" in words


def test_a_real_server_says_why_its_engine_did_not_start() -> None:
    ended = _a_server_that_ends("-c", _ENGINE_WITHOUT_A_MODEL)
    assert ended == (EXIT_FAILED, f"{ENGINE_FAILED}: /models/voice holds no config.json")
