"""The real exporter that runs beside a managed Redis, on a free port of this machine."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from examples.local_redis import free_port
from tests.cluster.api import PATIENCE_SECONDS
from tests.cluster.control_plane import Tools, dying_with_us
from tests.redis_server import RedisServer

_LOOK_AGAIN_SECONDS: Final = 0.05


@contextmanager
def exporting(redis: RedisServer, log: Path) -> Iterator[str]:
    """Its address, as host:port, until the end of the block."""
    address = f"127.0.0.1:{free_port()}"
    command = [Tools()["redis_exporter"], f"--redis.addr={redis.url}", f"--web.listen-address={address}"]
    with log.open("wb") as output:
        process = subprocess.Popen(dying_with_us(command), stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait(address, process, log)
        yield address
    finally:
        process.kill()
        process.wait()


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"http://{address}/health").close()
        except OSError:
            if process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"redis_exporter does not come up:\n{log.read_text()}") from None
            time.sleep(_LOOK_AGAIN_SECONDS)
        else:
            return
