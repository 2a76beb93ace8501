"""Which objects are in the cluster?"""

from __future__ import annotations

from typing import Final

from e2e.kubectl import Kubectl

# What Kubernetes makes and ends by itself, long after its reason.
_FLEETING: Final = (
    "events",
    "events.events.k8s.io",
    "componentstatuses",
    "endpointslices.discovery.k8s.io",
    "endpoints",
)


def objects_of(kubectl: Kubectl) -> set[str]:
    """Kind, namespace and name of everything that can be listed."""
    listable = kubectl("api-resources", "--verbs=list", "--output=name").split()
    kinds = [kind for kind in listable if kind not in _FLEETING and not kind.endswith(".metrics.k8s.io")]
    columns = "custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name"
    listed = kubectl("get", ",".join(kinds), "--all-namespaces", "--no-headers", f"--output={columns}")
    return {" ".join(line.split()) for line in listed.splitlines()}
