"""Metrics that no process of this machine can have, on a real port: text in Prometheus' format whose counters go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Final

_COUNTERS: Final = ("_total", "_bucket", "_count", "_sum")


@contextmanager
def served(texts: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Address of each of the texts, as host:port, until the end of the block."""
    servers = {name: ThreadingHTTPServer(("127.0.0.1", 0), _handler(text)) for name, text in texts.items()}
    threads = [threading.Thread(target=server.serve_forever) for server in servers.values()]
    for thread in threads:
        thread.start()
    try:
        yield {name: f"127.0.0.1:{server.server_port}" for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()


def _handler(text: str) -> type[BaseHTTPRequestHandler]:
    scrapes = count(1)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = _after(text, next(scrapes)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Nobody reads it."""

    return Handler


def _after(text: str, scrapes: int) -> str:
    """A counter has grown by its first value since each scrape."""
    lines = []
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        counter = not line.startswith("#") and name.partition("{")[0].endswith(_COUNTERS)
        lines.append(f"{name} {float(value) * scrapes}" if counter else line)
    return "\n".join(lines) + "\n"
