"""How does this machine reach a Service or a pod: by its address, or through kubectl?"""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator

from e2e.kubectl import Kubectl
from e2e.local_cluster import LocalCluster

API_PORT = 8000


@contextlib.contextmanager
def reached(cluster: LocalCluster, kubectl: Kubectl, what: str) -> Iterator[str]:
    """A URL of the API of ``service/NAME`` or ``pod/NAME`` while the block runs."""
    if not cluster.lent:
        field = "{.spec.clusterIP}" if what.startswith("service/") else "{.status.podIP}"
        yield f"http://{kubectl('get', what, f'--output=jsonpath={field}')}:{API_PORT}"
        return
    forward = subprocess.Popen(
        [
            kubectl.folder / "bin/kubectl",
            f"--kubeconfig={kubectl.folder / 'kubeconfig'}",
            f"--namespace={kubectl.namespace}",
            "port-forward",
            what,
            f":{API_PORT}",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert forward.stdout is not None
        port = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
        assert port is not None, f"kubectl port-forward does not reach {what}"
        yield f"http://127.0.0.1:{port[1]}"
    finally:
        forward.terminate()
        forward.wait()
