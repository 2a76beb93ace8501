"""What Prometheus' operator is told."""

from __future__ import annotations

import re

from tests.operator.desired.children import children_of
from tests.operator.manifests import a_service
from timbre_contract.metrics import SERVER_METRICS


def _alerts() -> dict[str, dict[str, str]]:
    service = a_service().scaled_by("HPA", targets={"hitRatePercent": 85})
    (group,) = children_of(service)["PrometheusRule/narrator"]["spec"]["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def test_every_pod_is_scraped_under_the_name_of_its_service() -> None:
    (endpoint,) = children_of(a_service())["PodMonitor/narrator"]["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("admin", "/metrics")
    assert endpoint["relabelings"] == [{"action": "replace", "targetLabel": "voiceservice", "replacement": "narrator"}]


def test_alerts_ask_for_metrics_that_exist_of_this_service_alone() -> None:
    known = {spec.name for spec in SERVER_METRICS}
    for alert in _alerts().values():
        asked = re.findall(r"(timbre_\w+)\{([^}]*)\}", alert["expr"])
        assert asked
        for name, matchers in asked:
            assert name in known
            assert 'namespace="studio",voiceservice="narrator"' in matchers


def test_the_hit_rate_is_held_against_the_service_s_target() -> None:
    assert "< 85 and" in _alerts()["TimbreVoiceHitRateLow"]["expr"]


def test_an_alert_says_what_helps() -> None:
    for alert in _alerts().values():
        assert "narrator" in alert["annotations"]["summary"]
        assert alert["labels"]["severity"] in {"warning", "critical"}


def test_enabled_without_the_kind_makes_nothing() -> None:
    service = a_service().with_spec(monitoring={"podMonitor": "Enabled"})
    assert "PodMonitor/narrator" not in children_of(service, kinds=frozenset())
