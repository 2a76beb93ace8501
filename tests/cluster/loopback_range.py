"""Which addresses of this machine are ours?  127.n.0.0/16 for one n, that no other test run of this machine has."""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import socket
from typing import Final

_FIRST, _LAST = 16, 239
"""Far from 127.0.0.1 and 127.0.1.1, which machines use themselves."""
_PORT: Final = 27_127
"""Whoever listens on it at the last address of a range has the range; below those of outgoing connections."""


class LoopbackRange:
    """Held until it is closed, or its process ends."""

    def __init__(self) -> None:
        while True:
            self._net = _FIRST + secrets.randbelow(_LAST - _FIRST + 1)
            self._lock = socket.socket()
            with contextlib.suppress(OSError):
                self._lock.bind((f"127.{self._net}.255.254", _PORT))
                self._lock.listen()
                break
            self._lock.close()
        self.services = ipaddress.IPv4Network(f"127.{self._net}.0.0/17")
        """Addresses of Services, which the API server gives out."""
        self._pods = ipaddress.IPv4Network(f"127.{self._net}.128.0/17").hosts()

    def address_of_a_pod(self) -> str:
        """One that no pod had before."""
        return str(next(self._pods))

    def close(self) -> None:
        """Others may have it."""
        self._lock.close()
