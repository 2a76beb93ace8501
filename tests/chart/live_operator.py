"""A real operator on a real API server: a service with a pod, and one that can never be what it should."""

from __future__ import annotations

import json
import ssl
import subprocess
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from examples.local_redis import free_port
from tests.cluster.api import PATIENCE_SECONDS
from tests.cluster.coming_up import until_it_answers
from tests.cluster.control_plane import ROOT, ControlPlane, Tools, dying_with_us
from tests.cluster.pod_programs import TIMBRE_OPERATOR

NAMESPACE: Final = "studio"
_HERE: Final = f"--namespace={NAMESPACE}"


class LiveOperator:
    """Use as a context manager: ends with the block, and its cluster too."""

    def __init__(self, folder: Path) -> None:
        """``folder`` keeps the logs."""
        self._log = folder / "operator.log"
        self._cluster = ControlPlane(Tools(), folder / "cluster")
        self.address = f"127.0.0.1:{free_port()}"
        """Of its admin port, as host:port."""
        self._metrics_api_port = free_port()
        self.pod_address = self._cluster.addresses.address_of_a_pod()
        """Where the pod of ``studio/narrator`` is to be found."""

    def __enter__(self) -> Self:
        cluster = self._cluster
        cluster.install(ROOT / "crds" / "voiceservices.yaml")
        cluster.kubectl("create", "namespace", NAMESPACE)
        # Somebody else's object with the name of a child.
        cluster.kubectl("create", "configmap", "taken-redis", _HERE)
        for name in ("narrator", "taken"):
            self._apply({"apiVersion": "timbre.dev/v1alpha1", "kind": "VoiceService", "metadata": {"name": name}})
        self._start()
        self._run_a_pod()
        self._disturb()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._cluster.close()

    def ask_for_series(self) -> str:
        """As the API server asks for them when an HPA does."""
        tls = ssl.create_default_context(cafile=str(self._cluster.folder / "ca.crt"))
        tls.load_cert_chain(self._cluster.folder / "front-proxy.crt", self._cluster.folder / "front-proxy.key")
        series = f"namespaces/{NAMESPACE}/voiceservices.timbre.dev/narrator/timbre_queue_depth"
        url = f"https://localhost:{self._metrics_api_port}/apis/custom.metrics.k8s.io/v1beta2/{series}"
        with urllib.request.urlopen(url, context=tls) as answer:
            return str(answer.read(), "utf-8")

    def _run_a_pod(self) -> None:
        """What controllers and a kubelet would make of the Deployment."""
        self._until_there("deployment/narrator")
        deployment = json.loads(self._cluster.kubectl("get", "deployment", "narrator", _HERE, "--output=json"))
        template = deployment["spec"]["template"]
        metadata = {**template["metadata"], "name": "narrator-a"}
        self._apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
        status = {
            "phase": "Running",
            "podIP": self.pod_address,
            "podIPs": [{"ip": self.pod_address}],
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [
                {
                    "name": "server",
                    "ready": True,
                    "restartCount": 0,
                    "image": "a",
                    "imageID": "a",
                    "state": {"running": {}},
                }
            ],
        }
        patch = ("--subresource=status", "--type=merge", f"--patch={json.dumps({'status': status})}")
        self._cluster.kubectl("patch", "pod", "narrator-a", _HERE, *patch)

    def _disturb(self) -> None:
        """Somebody deletes a child, and it comes back."""
        self._until_there("service/narrator")
        self._cluster.kubectl("delete", "service", "narrator", _HERE)

    def _until_there(self, child: str) -> None:
        self._cluster.kubectl("wait", child, _HERE, "--for=create", f"--timeout={PATIENCE_SECONDS:.0f}s")

    def _apply(self, manifest: dict[str, Any]) -> None:
        self._cluster.kubectl("apply", _HERE, "--filename=-", stdin=json.dumps(manifest))

    def _start(self) -> None:
        host, port = self.address.split(":")
        certificate = self._cluster.folder / "metrics-api"
        certificate.mkdir()
        self._cluster.serving_certificate("localhost").write(certificate, "tls")
        command = [
            TIMBRE_OPERATOR, "run", f"--admin-host={host}", f"--admin-port={port}", "--operator-namespace=default",
            f"--metrics-api-port={self._metrics_api_port}", f"--metrics-api-certificate={certificate}",
            "--identity=operator-a", "--resync-seconds=5", "--scrape-seconds=1",
        ]  # fmt: skip
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                dying_with_us(command), env=self._cluster.environment(), stdout=log, stderr=subprocess.STDOUT
            )
        until_it_answers(f"http://{self.address}/readyz", self._process, self._log)
