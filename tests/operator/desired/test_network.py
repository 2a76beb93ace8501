"""Who may connect to whom, to the letter."""

from __future__ import annotations

from tests.operator.desired.children import children_of
from tests.operator.manifests import a_service


def test_the_api_is_for_everybody_and_the_admin_port_for_the_cluster() -> None:
    spec = children_of(a_service())["NetworkPolicy/narrator"]["spec"]
    assert spec["policyTypes"] == ["Ingress"]
    assert spec["ingress"] == [
        {"ports": [{"port": 8000, "protocol": "TCP"}]},
        {"ports": [{"port": 9000, "protocol": "TCP"}], "from": [{"namespaceSelector": {}}]},
    ]


def test_redis_is_for_the_service_s_pods_and_the_operator() -> None:
    children = children_of(a_service())
    spec = children["NetworkPolicy/narrator-redis"]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in spec
    rule, scraping = spec["ingress"]
    assert rule["ports"] == [{"port": 6379, "protocol": "TCP"}]
    pods, operator = rule["from"]
    labels = children["Deployment/narrator"]["spec"]["template"]["metadata"]["labels"]
    assert pods["podSelector"]["matchLabels"].items() <= labels.items()
    assert scraping == {"ports": [{"port": 9121, "protocol": "TCP"}], "from": [{"namespaceSelector": {}}]}
    assert operator == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "timbre-system"}}}
