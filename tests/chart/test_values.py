"""Values that cannot be are refused with what is wrong, before anything is installed."""

from __future__ import annotations

import re

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
    # Prometheus forgets a series after five minutes, and the alerts take rates over five: no point, no rate, and "absent".
    ("monitoring.interval", "2m", "at '/monitoring/interval'"),
    ("monitoring.interval", "500ms", "at '/monitoring/interval'"),
    ("fullnameOverride", "my.operator", "at '/fullnameOverride': 'my.operator' does not match pattern"),
    ("fullnameOverride", "1operator", "at '/fullnameOverride': '1operator' does not match pattern"),
    ("fullnameOverride", "x" * 64, "at '/fullnameOverride': maxLength: got 64, want 63"),
    ("runAsUser", "0", "at '/runAsUser': minimum: got 0, want 1"),
    ("imagePullPolicy", "Sometimes", "value must be one of 'Always', 'IfNotPresent', 'Never'"),
    ("resources.memory", "1Gi", "at '/resources': additional properties 'memory' not allowed"),
]


_OBJECTS = ["images", "serviceAccount", "rbac", "crds", "metricsApi", "monitoring", "dashboards", "networkPolicy"]
NEEDED = {
    "/": ["scope", "replicas", "logLevel", "imagePullPolicy", *_OBJECTS],
    "/images": ["redis", "exporter"],
    "/serviceAccount": ["create"],
    "/rbac": ["create", "aggregate"],
    "/crds": ["install", "keep"],
    "/metricsApi": ["enabled", "certificate"],
    "/metricsApi/certificate": ["source", "validDays"],
    "/monitoring": ["podMonitor", "prometheusRule", "interval"],
    "/dashboards": ["enabled"],
    "/networkPolicy": ["enabled"],
}
"""Without one of them the chart would become something that nobody asked for: ``null`` removes a value's default, and with
``crds.keep`` the CRD's only protection."""


@pytest.mark.parametrize("place", NEEDED)
def test_a_value_that_is_needed_cannot_be_taken_away(place: str, helm: Helm) -> None:
    inside = place.strip("/").replace("/", ".")
    with pytest.raises(HelmRefused) as refusal:
        helm.template("--set", ",".join(f"{inside}.{name}=null".lstrip(".") for name in NEEDED[place]))
    said = next(
        line for line in str(refusal.value).splitlines() if line.startswith(f"- at '{place.rstrip('/')}': missing")
    )
    assert set(re.findall(r"'(\w+)'", said)) == set(NEEDED[place])


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


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"metricsApi__certificate__secretName": "mine"},
            "metricsApi.certificate.secretName and caBundle count with source=Secret alone",
        ),
        (
            {"metricsApi__certificate__issuerRef__name": "mine"},
            "metricsApi.certificate.issuerRef counts with source=CertManager alone",
        ),
        (
            {"metricsApi__certificate__source": "CertManager", "metricsApi__certificate__issuerRef__kind": "Issuer"},
            "metricsApi.certificate.issuerRef has no name",
        ),
        ({r"podLabels.app\.kubernetes\.io/name": "voices"}, "podLabels has app.kubernetes.io/name"),
        ({r"monitoring.labels.helm\.sh/chart": "voices"}, "monitoring.labels has helm.sh/chart"),
        (
            {r"dashboards.labels.app\.kubernetes\.io/part-of": "voices"},
            "dashboards.labels has app.kubernetes.io/part-of",
        ),
    ],
    ids=["secret", "issuer", "issuer-without-name", "pod-labels", "monitoring-labels", "dashboard-labels"],
)
def test_what_would_be_forgotten_or_written_twice_is_refused(values: dict[str, str], words: str, helm: Helm) -> None:
    with pytest.raises(HelmRefused) as refusal:
        helm.template(*chosen(**values))
    assert words in str(refusal.value)


def test_a_release_that_begins_with_a_digit_is_told_what_to_write(helm: Helm) -> None:
    """A Service's name begins with a letter."""
    with pytest.raises(HelmRefused, match=r"1voice-timbre-operator begins with a digit.*write fullnameOverride"):
        helm.template(release="1voice")
    helm.template(*chosen(fullnameOverride="voices"), release="1voice")
