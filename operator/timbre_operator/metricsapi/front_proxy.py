"""Is it the API server who asks?

The API server authenticates and authorises whoever wants a series, by RBAC on ``custom.metrics.k8s.io``, and then forwards the
request over a connection with its front proxy's certificate.  Nobody else has that certificate, and nobody else is answered.

References: https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from timbre_operator.observed import Manifest
from timbre_operator.pem import ascii_only
from timbre_operator.ports import Cluster, Kind

_KIND: Final = Kind("v1", "ConfigMap", "configmaps")
_NAMESPACE, _NAME = "kube-system", "extension-apiserver-authentication"
"""Where every API server publishes whom extensions shall trust."""
_AUTHORITY: Final = "requestheader-client-ca-file"
_NAMES: Final = "requestheader-allowed-names"


@dataclass(frozen=True)
class FrontProxy:
    """Who speaks for the API server."""

    authority_pem: str
    """Signs its certificate."""
    names: frozenset[str] = frozenset()
    """Common names that its certificate may have; any where none is given."""

    def admits(self, certificate: Mapping[str, Any]) -> bool:
        """Whether a certificate that the authority signed is the front proxy's."""
        return not self.names or bool(self.names & set(_common_names(certificate)))


async def front_proxy_of(cluster: Cluster) -> FrontProxy | None:
    """As the API server publishes it; None where it has no front proxy.

    Raises:
        ClusterError: it cannot be read.
    """
    manifest = await cluster.fetch(_KIND, _NAMESPACE, _NAME)
    return None if manifest is None else from_config_map(manifest)


def from_config_map(manifest: Manifest) -> FrontProxy | None:
    """None where the front proxy, or its list of names, is not one."""
    published = manifest.get("data") or {}
    authority = ascii_only(str(published.get(_AUTHORITY) or "")).strip()
    try:
        names = json.loads(published.get(_NAMES) or "[]")
    except ValueError:
        return None
    if not authority or not isinstance(names, list):
        return None
    return FrontProxy(authority + "\n", frozenset(str(name) for name in names))


def _common_names(certificate: Mapping[str, Any]) -> list[str]:
    """Of a certificate as ``ssl.SSLSocket.getpeercert`` gives it."""
    return [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
