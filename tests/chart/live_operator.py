"""A real operator on a real API server, with services that are well and services that are not."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from examples.local_redis import free_port
from tests.cluster.api import PATIENCE_SECONDS
from tests.cluster.control_plane import ROOT, ControlPlane, Tools, dying_with_us
from tests.cluster.pod_programs import TIMBRE_OPERATOR

NAMESPACE: Final = "studio"
_LOOK_AGAIN_SECONDS: Final = 0.1


class LiveOperator:
    """Use as a context manager: ends with the block, and its cluster too."""

    def __init__(self, folder: Path) -> None:
        """``folder`` keeps the logs."""
        self._log = folder / "operator.log"
        self._cluster = ControlPlane(Tools(), folder / "cluster")
        self.address = f"127.0.0.1:{free_port()}"

    def __enter__(self) -> Self:
        self._cluster.install(ROOT / "crds" / "voiceservices.yaml")
        self._cluster.kubectl("create", "namespace", NAMESPACE)
        # Somebody else's object with the name of a child: that service can never be what it should.
        self._cluster.kubectl("create", "configmap", "taken-redis", f"--namespace={NAMESPACE}")
        for name in ("narrator", "taken"):
            self._apply({"apiVersion": "timbre.dev/v1alpha1", "kind": "VoiceService", "metadata": {"name": name}})
        self._start()
        self._disturb()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._cluster.close()

    def _apply(self, manifest: dict[str, Any]) -> None:
        self._cluster.kubectl("apply", f"--namespace={NAMESPACE}", "--filename=-", stdin=json.dumps(manifest))

    def _disturb(self) -> None:
        """Somebody deletes a child, and it comes back."""
        where = f"--namespace={NAMESPACE}"
        self._cluster.kubectl("wait", "service/narrator", where, "--for=create", f"--timeout={PATIENCE_SECONDS:.0f}s")
        self._cluster.kubectl("delete", "service", "narrator", where)

    def _start(self) -> None:
        host, port = self.address.split(":")
        command = [
            TIMBRE_OPERATOR, "run", f"--admin-host={host}", f"--admin-port={port}", "--operator-namespace=default",
            "--identity=operator-a", "--no-metrics-api", "--resync-seconds=5", "--scrape-seconds=1",
        ]  # fmt: skip
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                dying_with_us(command), env=self._cluster.environment(), stdout=log, stderr=subprocess.STDOUT
            )
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"http://{self.address}/readyz").close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError(f"the operator does not come up:\n{self._log.read_text()}") from None
                time.sleep(_LOOK_AGAIN_SECONDS)
            else:
                return
