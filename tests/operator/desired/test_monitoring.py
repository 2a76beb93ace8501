"""What Prometheus' operator is told to scrape, and when there is nothing to tell."""

from __future__ import annotations

import pytest

from tests.operator.desired.children import EVERY_KIND, children_of
from tests.operator.manifests import a_service
from timbre_operator.observed import OptionalKind


@pytest.mark.parametrize(
    ("monitor", "component", "port"), [("narrator", "server", "admin"), ("narrator-redis", "redis", "metrics")]
)
def test_every_pod_is_scraped_under_the_name_of_its_service(monitor: str, component: str, port: str) -> None:
    spec = children_of(a_service())[f"PodMonitor/{monitor}"]["spec"]
    (endpoint,) = spec["podMetricsEndpoints"]
    assert spec["selector"]["matchLabels"]["app.kubernetes.io/component"] == component
    assert (endpoint["port"], endpoint["path"]) == (port, "/metrics")
    assert endpoint["relabelings"] == [{"action": "replace", "targetLabel": "voiceservice", "replacement": "narrator"}]


def test_nobody_s_redis_but_ours_is_scraped() -> None:
    assert "PodMonitor/narrator-redis" not in children_of(a_service().on_external_redis())


@pytest.mark.parametrize("choice", ["Auto", "Enabled"])
def test_without_the_kind_nothing_is_made(choice: str) -> None:
    service = a_service().with_spec(monitoring={"podMonitor": choice, "prometheusRule": choice})
    kinds = {name.partition("/")[0] for name in children_of(service, kinds=frozenset())}
    assert kinds.isdisjoint({"PodMonitor", "PrometheusRule"})


def test_disabled_makes_nothing_although_the_kind_is_there() -> None:
    service = a_service().with_spec(monitoring={"podMonitor": "Disabled", "prometheusRule": "Disabled"})
    kinds = {name.partition("/")[0] for name in children_of(service)}
    assert kinds.isdisjoint({"PodMonitor", "PrometheusRule"})


@pytest.mark.parametrize(
    ("service", "kinds"),
    [
        (a_service().with_spec(monitoring={"podMonitor": "Disabled"}), EVERY_KIND),
        (a_service(), EVERY_KIND - {OptionalKind.POD_MONITOR}),
    ],
)
def test_where_we_do_not_scrape_nothing_is_missed(service: object, kinds: frozenset[OptionalKind]) -> None:
    """An alert about absent series would fire for ever where nobody collects them under our names."""
    children = children_of(service, kinds=kinds)  # type: ignore[arg-type]
    (group,) = children["PrometheusRule/narrator"]["spec"]["groups"]
    assert not [rule["alert"] for rule in group["rules"] if "absent(" in rule["expr"]]
