"""Values that cannot be are refused with what is wrong, before anything is installed."""

from __future__ import annotations

import pytest

from tests.chart.helm import Helm, HelmRefused, chosen

REFUSED = [
    ("replica", "3", "additional properties 'replica' not allowed"),
    ("images.redi", "x", "at '/images': additional properties 'redi' not allowed"),
    ("monitoring.alerts", "true", "at '/monitoring': additional properties 'alerts' not allowed"),
    ("scope", "Namespace", "at '/scope': value must be one of 'Cluster', 'Namespaced'"),
    ("replicas", "0", "at '/replicas': minimum: got 0, want 1"),
    ("replicas", "two", "at '/replicas': got string, want integer"),
    ("logLevel", "verbose", "at '/logLevel': value must be one of 'debug', 'info', 'warning', 'error'"),
    ("images.redis", "", "at '/images/redis': '' does not match pattern"),
    ("images.server", "my server", "at '/images/server': 'my server' does not match pattern"),
    ("namespaces", "{Studio}", "at '/namespaces/0': 'Studio' does not match pattern"),
    ("crds.keep", "maybe", "at '/crds/keep': got string, want boolean"),
    ("metricsApi.certificate.source", "Self", "value must be one of 'Chart', 'Secret', 'CertManager'"),
    ("metricsApi.certificate.validDays", "90", "at '/metricsApi/certificate/validDays': minimum: got 90, want 366"),
    (
        "monitoring.podMonitor",
        "true",
        "at '/monitoring/podMonitor': value must be one of 'Auto', 'Enabled', 'Disabled'",
    ),
    ("monitoring.interval", "15", "at '/monitoring/interval'"),
    ("runAsUser", "0", "at '/runAsUser': minimum: got 0, want 1"),
    ("imagePullPolicy", "Sometimes", "value must be one of 'Always', 'IfNotPresent', 'Never'"),
    ("resources.memory", "1Gi", "at '/resources': additional properties 'memory' not allowed"),
]


@pytest.mark.parametrize(("name", "value", "words"), REFUSED, ids=[f"{name}={value}" for name, value, _ in REFUSED])
def test_what_cannot_be_is_refused_by_name(name: str, value: str, words: str, helm: Helm) -> None:
    with pytest.raises(HelmRefused) as refusal:
        helm.template("--set", f"{name}={value}")
    assert words in str(refusal.value)


def test_namespaces_without_their_scope_would_be_forgotten(helm: Helm) -> None:
    with pytest.raises(HelmRefused, match="write scope=Namespaced, or remove namespaces"):
        helm.template(*chosen(namespaces="{studio}"))


def test_a_certificate_of_one_s_own_is_named_wholly(helm: Helm) -> None:
    with pytest.raises(HelmRefused) as refusal:
        helm.template(*chosen(metricsApi__certificate__source="Secret", metricsApi__certificate__secretName="mine"))
    assert "write metricsApi.certificate.secretName and metricsApi.certificate.caBundle too" in str(refusal.value)
