"""What the chart becomes for each file of values, read by Helm alone."""

from __future__ import annotations

import argparse
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chart.alert_rules import CHART, HOME, release_groups
from tests.chart.golden import CASES, FOLDER, RIGHTS, rendered
from tests.chart.helm import VALUES_FILES, Helm, Manifest, chosen, only
from timbre_operator.app.flags import add_flags, settings_of
from timbre_operator.rights import build_rbac
from timbre_operator.settings import OperatorSettings, default_release

NAME = "timbre-operator"


@pytest.mark.parametrize("case", CASES)
def test_the_chart_becomes_what_was_reviewed(case: str, helm: Helm) -> None:
    """``python -m tests.chart.golden`` writes the files anew."""
    assert rendered(helm, case) == (FOLDER / f"{case}.yaml").read_text("utf-8")


def test_every_reviewed_file_is_a_case() -> None:
    assert {file.stem for file in FOLDER.glob("*.yaml")} == set(CASES)


@pytest.mark.parametrize("file", [None, *VALUES_FILES.values()], ids=["default", *VALUES_FILES])
def test_helm_has_nothing_to_complain_about(file: Path | None, helm: Helm) -> None:
    report = helm("lint", "--strict", CHART, *(("--values", file) if file else ()))
    assert "[ERROR]" not in report
    assert "[WARNING]" not in report


def test_nothing_is_made_beyond_the_own_namespaces_where_only_they_are_looked_after(helm: Helm) -> None:
    manifests = helm.template(
        "--values", VALUES_FILES["namespaced"], *chosen(rbac__aggregate="false", metricsApi__enabled="false")
    )
    assert {manifest["metadata"].get("namespace") for manifest in manifests} == {None, HOME, "studio", "radio"}
    (crd,) = [manifest for manifest in manifests if "namespace" not in manifest["metadata"]]
    assert crd["kind"] == "CustomResourceDefinition"


def _arguments(manifests: list[Manifest]) -> list[str]:
    (container,) = only(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    return [argument.replace("$(POD_NAME)", "pod-a") for argument in container["args"]]


def _settings(manifests: list[Manifest], certificate: Path) -> OperatorSettings:
    command, *flags = _arguments(manifests)
    assert command == "run"
    for file in ("tls.crt", "tls.key"):
        (certificate / file).touch()
    flags = [flag.replace("/etc/timbre/metrics-api", str(certificate)) for flag in flags]
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return settings_of(parser.parse_args(flags), {}, default_release("0"))


def test_the_operator_understands_its_arguments_and_knows_the_release(helm: Helm, tmp_path: Path) -> None:
    manifests = helm.template()
    settings = _settings(manifests, tmp_path)
    version = only(manifests, "Deployment")["metadata"]["labels"]["app.kubernetes.io/version"]
    assert settings.release == default_release(version)
    assert (settings.namespaces, settings.identity, settings.lease_name) == ((), "pod-a", NAME)
    assert settings.metrics_api_certificate == tmp_path


def test_the_operator_looks_after_the_namespaces_of_the_values(helm: Helm, tmp_path: Path) -> None:
    settings = _settings(helm.template("--values", VALUES_FILES["namespaced"]), tmp_path)
    assert settings.namespaces == ("studio", "radio")
    assert settings.release.server_image == "registry.example.com/timbre/timbre-server:0.1.0"
    own = _settings(helm.template(*chosen(scope="Namespaced")), tmp_path)
    assert own.namespaces == (HOME,)


@pytest.mark.parametrize("case", ["default", "namespaced"])
def test_ports_of_probes_service_and_arguments_agree(case: str, helm: Helm, tmp_path: Path) -> None:
    manifests = helm.template(*(("--values", VALUES_FILES[case]) if case in VALUES_FILES else ()))
    settings = _settings(manifests, tmp_path)
    (container,) = only(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"admin": settings.admin_port, "metrics-api": settings.metrics_api_port}
    service = only(manifests, "Service")
    assert {port["targetPort"] for port in service["spec"]["ports"]} == set(ports)
    address = f"http://{service['metadata']['name']}.{HOME}.svc:{service['spec']['ports'][0]['port']}"
    assert settings.release.metrics_url == address


def _roles(objects: list[Manifest], account: str = NAME) -> dict[tuple[str, str], list[Any]]:
    """Rules that the account has, by kind of the binding and namespace; rules of Kubernetes' own roles by name."""
    roles = {(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]): item for item in objects}
    bound: dict[tuple[str, str], list[Any]] = {}
    for item in objects:
        if not item["kind"].endswith("Binding"):
            continue
        (subject,) = item["subjects"]
        assert (subject["name"], subject["namespace"]) == (account, HOME)
        namespace = item["metadata"].get("namespace")
        role = roles.get((item["roleRef"]["kind"], namespace, item["roleRef"]["name"]))
        bound.setdefault((item["kind"], str(namespace)), []).extend(
            role["rules"] if role else [item["roleRef"]["name"]]
        )
    return bound


@pytest.mark.parametrize("metrics_api", ["true", "false"])
def test_the_roles_are_those_that_the_operator_asks_for(metrics_api: str, helm: Helm) -> None:
    for namespaces in ([], ["studio", "radio"]):
        scope = chosen(scope="Namespaced", namespaces=f"{{{','.join(namespaces)}}}") if namespaces else ()
        manifests = helm.template(*scope, *chosen(metricsApi__enabled=metrics_api))
        asked = build_rbac(namespaces=namespaces, operator_namespace=HOME, metrics_api=metrics_api == "true")
        assert _roles(manifests) == _roles(asked)


def test_another_lease_and_another_account_have_their_rights(helm: Helm) -> None:
    manifests = helm.template(*chosen(fullnameOverride="voices", serviceAccount__name="me"))
    asked = build_rbac(operator_namespace=HOME, account="me", lease="voices")
    assert _roles(manifests, "me") == _roles(asked, "me")
    assert "--lease-name=voices" in _arguments(manifests)


def test_somebody_else_s_roles_are_all_of_them(helm: Helm) -> None:
    """Not even the one beside the API server's own is made then; ``timbre-operator rbac`` prints it with the others."""
    assert _roles(helm.template(*chosen(rbac__create="false"))) == {}


def test_users_roles_never_hold_the_operator_s_rights(helm: Helm) -> None:
    for role in helm.template():
        if any(
            label.startswith("rbac.authorization.k8s.io/aggregate-to-") for label in role["metadata"].get("labels", {})
        ):
            assert {group for rule in role["rules"] for group in rule["apiGroups"]} <= {
                "timbre.dev",
                "custom.metrics.k8s.io",
            }
            assert role["rules"] != RIGHTS


def test_alerts_reach_prometheus_unchanged(helm: Helm) -> None:
    rule = only(
        helm.template(*chosen(monitoring__prometheusRule="Enabled", monitoring__podMonitor="Enabled")), "PrometheusRule"
    )
    assert rule["spec"]["groups"] == release_groups()


@pytest.mark.parametrize(
    ("values", "alert"),
    [
        (
            {"monitoring__podMonitor": "Disabled"},
            "TimbreOperatorDown",
        ),  # nobody scrapes it: its series are always absent
        ({"metricsApi__enabled": "false"}, "TimbreMetricsApiUnavailable"),  # of somebody else's API, if there is one
    ],
)
def test_nobody_is_called_about_what_this_release_does_not_do(values: dict[str, str], alert: str, helm: Helm) -> None:
    all_on = {"monitoring__podMonitor": "Enabled", "monitoring__prometheusRule": "Enabled"}
    rule = only(helm.template(*chosen(**all_on | values)), "PrometheusRule")
    left = [rule["alert"] for group in rule["spec"]["groups"] for rule in group["rules"]]
    assert left == [rule["alert"] for group in release_groups() for rule in group["rules"] if rule["alert"] != alert]


@pytest.mark.parametrize("kind", ["PodMonitor", "PrometheusRule"])
def test_auto_asks_the_cluster_for_the_kind(kind: str, helm: Helm) -> None:
    without = {manifest["kind"] for manifest in helm.template()}
    with_it = {manifest["kind"] for manifest in helm.template("--api-versions", f"monitoring.coreos.com/v1/{kind}")}
    assert with_it - without == {kind}


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ("timbre", "timbre-operator"),
        ("voices", "voices-timbre-operator"),
        ("voices.studio", "voices-studio-timbre-operator"),
        ("x" * 53, f"{'x' * 47}-timbre-operator"),
        (f"timbre-{'x' * 46}", f"timbre-{'x' * 46}-operator"),
    ],
)
def test_names_tell_releases_apart_and_fit(release: str, name: str, helm: Helm) -> None:
    manifests = helm.template(release=release)
    assert {only(manifests, kind)["metadata"]["name"] for kind in ("Deployment", "Service")} == {name}
    assert re.fullmatch(r"[a-z][a-z0-9-]{0,62}", name)  # a Service is stricter than others


_OBJECTS_OF_TEXTS = {"labels", "annotations", "matchLabels", "selector"}
_NAMES = {"name", "namespace", "serviceAccountName", "secretName", "replacement"}


def _texts(value: Any, inside: str = "") -> Iterator[tuple[str, Any]]:
    """Every name, namespace, label and annotation."""
    for key, part in value.items() if isinstance(value, dict) else ():
        if key in _NAMES or (inside in _OBJECTS_OF_TEXTS and not isinstance(part, dict)):
            yield key, part
        yield from _texts(part, key)
    for part in value if isinstance(value, list) else ():
        yield from _texts(part)


@pytest.mark.parametrize(("release", "namespace"), [("on", "123"), ("123", "no")])
def test_names_that_yaml_would_take_for_something_else_stay_names(release: str, namespace: str, helm: Helm) -> None:
    values = chosen(
        fullnameOverride="yes",
        serviceAccount__name="off",
        monitoring__podMonitor="Enabled",
        monitoring__prometheusRule="Enabled",
        networkPolicy__enabled="true",
        scope="Namespaced",
    )
    values = [*values, "--set-string", "priorityClassName=true", "--set-json", 'namespaces=["null","2e3"]']
    manifests = helm.template(*values, "--set=crds.install=false", "--namespace", namespace, release=release)
    texts = [text for manifest in manifests for text in _texts(manifest)]
    assert len(texts) > 100
    assert [text for text in texts if not isinstance(text[1], str)] == []


def test_a_package_becomes_the_same_as_the_folder(helm: Helm, tmp_path: Path) -> None:
    """What ``.helmignore`` leaves out is not needed."""
    helm("package", CHART, "--destination", tmp_path)
    (package,) = tmp_path.glob("timbre-*.tgz")
    with tarfile.open(package) as archive:
        packed = {name.removeprefix("timbre/") for name in archive.getnames()}
    assert not [name for name in packed if name.startswith("ci/")]
    options = ("--namespace", HOME, "--set", "metricsApi.enabled=false,monitoring.prometheusRule=Enabled")
    assert helm("template", "timbre", package, *options) == helm("template", "timbre", CHART, *options)
