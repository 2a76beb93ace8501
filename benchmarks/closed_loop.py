"""How many answers a second, and after how long each, with so many requests on the way at a time?  The least that a client
can cost: sockets, a buffer and ``epoll``."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

BUFFER_BYTES = 1 << 20
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Load:
    """What was measured."""

    seconds: float
    latencies: Sequence[float]
    """Of each answer, in seconds, from its first byte sent to its last one received."""

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds


def request(url: str, path: str, body: bytes, *headers: str) -> bytes:
    """A POST as it goes over the wire."""
    lines = ["POST " + path + " HTTP/1.1", "Host: " + urlsplit(url).netloc, f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + _HEAD_END + body


class _Connection:
    def __init__(self, url: str, message: bytes) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self._message = message
        self._missing = -1
        self.sent_at = 0.0

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self) -> None:
        self._missing = -1
        self.sent_at = time.perf_counter()
        self._socket.sendall(self._message)

    def is_answered(self, buffer: memoryview) -> bool:
        """Takes what has come; whether that was the end of the answer."""
        received = self._socket.recv_into(buffer)
        if received == 0:
            raise ConnectionError("the server closed")
        if self._missing < 0:
            head, found, _ = bytes(buffer[: min(received, 2048)]).partition(_HEAD_END)
            if not found or not head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
                raise RuntimeError(f"not a success: {head[:200]!r}")
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            self._missing = int(lengths[0].partition(b":")[2]) + len(head) + len(_HEAD_END)
        self._missing -= received
        return self._missing == 0


def load(url: str, message: bytes, *, connections: int, seconds: float) -> Load:
    """Sends the message again and again on each connection, for so long."""
    buffer = memoryview(bytearray(BUFFER_BYTES))
    latencies: list[float] = []
    with contextlib.ExitStack() as stack, select.epoll() as poll:
        all_connections = [
            stack.enter_context(contextlib.closing(_Connection(url, message))) for _ in range(connections)
        ]
        by_number = {connection.fileno(): connection for connection in all_connections}
        began = time.perf_counter()
        for connection in all_connections:
            poll.register(connection.fileno(), select.EPOLLIN)
            connection.send()
        while time.perf_counter() - began < seconds:
            for number, _ in poll.poll():
                connection = by_number[number]
                if connection.is_answered(buffer):
                    latencies.append(time.perf_counter() - connection.sent_at)
                    connection.send()
        elapsed = time.perf_counter() - began
    return Load(elapsed, latencies)
