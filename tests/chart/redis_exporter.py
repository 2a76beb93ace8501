"""The real exporter that runs beside a managed Redis, on a free port of this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.local_redis import free_port
from tests.cluster.coming_up import until_it_answers
from tests.cluster.control_plane import Tools, dying_with_us
from tests.redis_server import RedisServer


@contextmanager
def exporting(redis: RedisServer, log: Path) -> Iterator[str]:
    """Its address, as host:port, until the end of the block."""
    address = f"127.0.0.1:{free_port()}"
    command = [Tools()["redis_exporter"], f"--redis.addr={redis.url}", f"--web.listen-address={address}"]
    with log.open("wb") as output:
        process = subprocess.Popen(dying_with_us(command), stdout=output, stderr=subprocess.STDOUT)
    try:
        until_it_answers(f"http://{address}/health", process, log)
        yield address
    finally:
        process.kill()
        process.wait()
