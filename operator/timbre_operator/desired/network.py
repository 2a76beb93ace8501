"""Who may open a connection to these pods?"""

from __future__ import annotations

from timbre_contract import api, labels
from timbre_operator.desired.inputs import Inputs, Manifest
from timbre_operator.desired.ownership import child
from timbre_operator.desired.redis_access import REDIS_PORT
from timbre_operator.desired.redis_exporter import METRICS_PORT
from timbre_operator.voiceservice.names import REDIS_SUFFIX


def build_network_policy(inputs: Inputs) -> Manifest:
    """The API from anywhere, the admin port from inside the cluster, and nothing else; outwards no limit."""
    service = inputs.service
    spec = {
        "podSelector": {"matchLabels": labels.selector(service.name, labels.SERVER_COMPONENT)},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"ports": [{"port": api.API_PORT, "protocol": "TCP"}]},
            # Its reads are open inside the cluster, its writes want loopback or a token.
            {"ports": [{"port": api.ADMIN_PORT, "protocol": "TCP"}], "from": [{"namespaceSelector": {}}]},
        ],
    }
    return child(service, "networking.k8s.io/v1", "NetworkPolicy", component=labels.SERVER_COMPONENT, spec=spec)


def build_redis_network_policy(inputs: Inputs) -> Manifest:
    """Redis from the service's own pods and the operator, its metrics from inside the cluster; outwards nothing at all."""
    service = inputs.service
    managed = service.managed_redis
    scraping = {"ports": [{"port": METRICS_PORT, "protocol": "TCP"}], "from": [{"namespaceSelector": {}}]}
    spec = {
        "podSelector": {"matchLabels": labels.selector(service.name, labels.REDIS_COMPONENT)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {
                "ports": [{"port": REDIS_PORT, "protocol": "TCP"}],
                "from": [
                    {"podSelector": {"matchLabels": labels.selector(service.name, labels.SERVER_COMPONENT)}},
                    {
                        "namespaceSelector": {
                            "matchLabels": {"kubernetes.io/metadata.name": inputs.release.operator_namespace}
                        }
                    },
                ],
            },
            *([scraping] if managed is not None and managed.exports else []),
        ],
    }
    return child(
        service,
        "networking.k8s.io/v1",
        "NetworkPolicy",
        suffix=REDIS_SUFFIX,
        component=labels.REDIS_COMPONENT,
        spec=spec,
    )
