"""What belongs to a release or an installation of the operator and not to one VoiceService?"""

from __future__ import annotations

from dataclasses import dataclass


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
