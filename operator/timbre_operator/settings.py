"""What belongs to a release, an installation or a process of the operator and not to one VoiceService?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Release:
    """Images and places that children refer to."""

    server_image: str
    """The server with the engines that need no torch."""
    torch_image: str
    """The same with torch and CUDA, for the engines that need them."""
    redis_image: str
    """Must hold ``redis-server`` and ``redis-cli`` of 7.0 or newer; Valkey's image has them under these names too."""
    exporter_image: str
    """Prometheus metrics of a Redis; its entry point is ``redis_exporter`` of oliver006."""
    operator_namespace: str
    """Where the operator runs; its pods may reach every managed Redis."""
    metrics_url: str
    """Where the operator serves series to KEDA, without a slash at the end."""


def default_release(version: str) -> Release:
    """That of one version of Timbre, as its chart installs it."""
    return Release(
        server_image=f"ghcr.io/timbre-dev/timbre-server:{version}",
        torch_image=f"ghcr.io/timbre-dev/timbre-server:{version}-torch",
        # The last line of 8.1 (BSD): WAITAOF, ACL files and `redis-cli -e` are all in it.
        redis_image="docker.io/valkey/valkey:8.1.8-alpine",
        # MIT; from scratch, so that there is nothing in it but the exporter.
        exporter_image="docker.io/oliver006/redis_exporter:v1.88.0",
        operator_namespace="timbre-system",
        metrics_url="http://timbre-operator.timbre-system.svc:8080",
    )


@dataclass(frozen=True, kw_only=True)
class OperatorSettings:
    """How one process of the operator runs."""

    namespaces: tuple[str, ...]
    """Where it works; everywhere where none is named."""
    release: Release
    admin_host: str
    admin_port: int
    """Probes, metrics, and the series for KEDA."""
    metrics_api_host: str
    metrics_api_port: int
    metrics_api_certificate: Path | None
    """Folder with ``tls.crt`` and ``tls.key``; None where it does not serve the metrics API."""
    identity: str
    """Tells the replicas of the operator apart."""
    lease_name: str
    resync_seconds: float
    """How often everything is listed anew, whatever the watches said."""
    scrape_seconds: float
    """How often the pods of the server are asked for their load."""
    log_level: str

    @property
    def serves_metrics(self) -> bool:
        """Whether it answers custom.metrics.k8s.io."""
        return self.metrics_api_certificate is not None
