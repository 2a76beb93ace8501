"""Install, upgrade, uninstall and install again, on a real API server that knows nothing of Timbre before."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509

from tests.chart.alert_rules import CHART
from tests.chart.helm import Helm, HelmRefused, chosen
from tests.cluster.api import PATIENCE_SECONDS
from tests.cluster.control_plane import ControlPlane, Tools

API_SERVICE: Final = "v1beta2.custom.metrics.k8s.io"
CRD: Final = "voiceservices.timbre.dev"
NAME: Final = "timbre-operator"
SECRET: Final = f"{NAME}-metrics-api"
_NAMESPACES: Final = count(1)


class Site:
    """A cluster, and one namespace of it for a release."""

    def __init__(self, cluster: ControlPlane, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        self._helm = Helm(cluster.folder, cluster.environment())
        metadata = {"name": namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
        cluster.kubectl(
            "create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        )

    def helm(self, verb: str, *arguments: str | Path, release: str = "timbre") -> str:
        """Of this chart, in this namespace."""
        chart = () if verb == "uninstall" else (CHART,)
        return self._helm(verb, release, *chart, "--namespace", self.namespace, *arguments)

    def without_crd(self, verb: str, *arguments: str | Path) -> str:
        """The same for claims that are not about the CRD: the API server describes all of its kinds anew for each that comes or
        goes."""
        return self.helm(verb, *chosen(crds__install="false"), *arguments)

    def fetch(self, kind: str, name: str = NAME) -> dict[str, Any]:
        """An object; of this namespace, if its kind is in one."""
        found: dict[str, Any] = json.loads(self.cluster.kubectl("get", kind, name, "-n", self.namespace, "-o", "json"))
        return found

    def names(self, kind: str) -> list[str]:
        """Of all objects of the kind, in this namespace, if they are in one."""
        return self.cluster.kubectl("get", kind, "-n", self.namespace, "-o", "name").split()

    def patch(self, kind: str, name: str, patch: dict[str, Any]) -> None:
        """A JSON merge patch."""
        self.cluster.kubectl("patch", kind, name, "-n", self.namespace, "--type=merge", "-p", json.dumps(patch))

    def run(self, commands: str) -> None:
        """In a user's shell."""
        folder = Path(self.cluster.tools["kubectl"]).parent
        environment = {**self.cluster.environment(), "PATH": f"{folder}:{os.environ['PATH']}"}
        subprocess.run(["bash", "-e", "-o", "pipefail", "-c", commands], env=environment, check=True)

    def apply(self, manifest: dict[str, Any]) -> None:
        """As a user would."""
        self.cluster.kubectl("apply", "-n", self.namespace, "-f", "-", stdin=json.dumps(manifest))

    def until_served(self, *plurals: str) -> None:
        """A kind that was just made known appears a moment later in what the API server says of itself."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not {*plurals} <= {
            line.split()[0] for line in self.cluster.kubectl("api-resources", "--no-headers").splitlines()
        }:
            assert time.monotonic() < give_up, f"{plurals} are not served"

    def until_listed(self) -> None:
        """An API server that is told to remove a CRD in the moment in which it makes its storage never lists what is to be
        removed with it ("storage is (re)initializing"), and keeps the CRD for ever."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.names("voiceservices")
            except subprocess.CalledProcessError:
                assert time.monotonic() < give_up, "the kind is not listed"
            else:
                return

    def service_is_there(self) -> bool:
        """The VoiceService that ``with_a_service`` made."""
        return self.names("voiceservices") == ["voiceservice.timbre.dev/narrator"]

    def with_a_service(self) -> None:
        """A user's VoiceService."""
        self.apply({"apiVersion": "timbre.dev/v1alpha1", "kind": "VoiceService", "metadata": {"name": "narrator"}})


@pytest.fixture(scope="module")
def bare_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server alone: no controllers, no CRDs."""
    running = ControlPlane(Tools(), tmp_path_factory.mktemp("bare-cluster"))
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def site(bare_cluster: ControlPlane) -> Iterator[Site]:
    """A namespace of its own; what a release leaves for the whole cluster goes afterwards."""
    here = Site(bare_cluster, f"chart-{os.getpid()}-{next(_NAMESPACES)}")
    yield here
    if f"customresourcedefinition.apiextensions.k8s.io/{CRD}" in here.names("crd"):
        here.until_listed()
    kinds = "apiservices,clusterroles,clusterrolebindings,customresourcedefinitions"
    for selector in ("app.kubernetes.io/part-of=timbre", "test=foreign"):
        bare_cluster.kubectl("delete", kinds, f"--selector={selector}", "--ignore-not-found")


def test_an_installation_says_what_to_do_next(site: Site) -> None:
    said = site.helm("install")
    assert f"is installed as {site.namespace}/{NAME}" in said
    assert "every namespace" in said
    assert '"kind": "VoiceService"' in said
    assert "There are no alerts: this cluster has no PrometheusRule" in said
    assert "Nobody is told to scrape the operator: this cluster has no PodMonitor" in said
    assert "leaves the CRD, every VoiceService" in said
    assert site.fetch("deployment")["spec"]["replicas"] == 2
    site.with_a_service()


@pytest.mark.parametrize("scope", ["Cluster", "Namespaced"])
def test_what_it_says_makes_a_service_when_it_is_pasted_as_it_stands(scope: str, site: Site) -> None:
    """Into a shell, with its indentation: the commands of the second step, but those that wait for pods."""
    step = site.helm("install", *chosen(scope=scope)).partition("\n2. ")[2].partition("\n3. ")[0]
    pasted, found, _ = step.partition("\n\n")[2].partition("     kubectl wait")
    assert found
    there = f"-n {site.namespace} " if scope == "Namespaced" else ""
    for condition in ("RedisReady", "Ready"):  # Ready alone is a pod that speaks, and enrolments may still be refused
        assert f"kubectl wait {there}--for=condition={condition} voiceservice/narrator" in step
    if scope == "Cluster":
        pasted = pasted.replace("kubectl apply", f"kubectl apply -n {site.namespace}")
    site.run(pasted)
    assert site.service_is_there()


def test_the_pods_meet_the_strictest_security_standard(site: Site) -> None:
    """The namespace enforces it; controllers would tell the Deployment, so the pod is made from its template here."""
    site.without_crd("install")
    template = site.fetch("deployment")["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {**template["metadata"], "name": "operator"}}
    site.apply(pod)
    with pytest.raises(Exception, match="exit status 1") as refusal:  # and it is enforced, indeed
        site.apply({**pod, "metadata": {"name": "root"}, "spec": {**pod["spec"], "securityContext": {"runAsUser": 0}}})
    assert "violates PodSecurity" in "".join(refusal.value.__notes__)


def test_the_certificate_is_for_the_service_and_signed_by_whom_the_api_server_trusts(site: Site) -> None:
    site.without_crd("install")
    data = site.fetch("secret", SECRET)["data"]
    bundle = site.fetch("apiservice", API_SERVICE)["spec"]["caBundle"]
    assert bundle == data["ca.crt"]
    authority, serving = (x509.load_pem_x509_certificate(base64.b64decode(pem)) for pem in (bundle, data["tls.crt"]))
    names = serving.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [f"{NAME}.{site.namespace}.svc"]
    serving.verify_directly_issued_by(authority)
    assert serving.not_valid_after_utc - datetime.now(UTC) > timedelta(days=3649)


def test_an_upgrade_keeps_the_certificate_until_its_last_year(site: Site) -> None:
    site.without_crd("install")
    first = site.fetch("secret", SECRET)["data"]
    site.without_crd("upgrade")
    assert site.fetch("secret", SECRET)["data"] == first
    soon = (datetime.now(UTC) + timedelta(days=300)).strftime("%Y-%m-%d")
    site.patch("secret", SECRET, {"metadata": {"annotations": {"timbre.dev/not-after": soon}}})
    site.without_crd("upgrade", "--force-conflicts")  # with the patch above
    renewed = site.fetch("secret", SECRET)
    assert renewed["data"]["tls.crt"] != first["tls.crt"]
    assert renewed["metadata"]["annotations"]["timbre.dev/not-after"] > soon
    assert site.fetch("apiservice", API_SERVICE)["spec"]["caBundle"] == renewed["data"]["ca.crt"]


def test_uninstalling_leaves_every_service_and_installing_again_takes_them_up(site: Site) -> None:
    site.helm("install")
    site.with_a_service()
    said = site.helm("uninstall")
    assert CRD in said
    assert site.names("deployments,secrets,serviceaccounts,roles") == []
    assert site.service_is_there()
    site.helm("install")
    assert site.service_is_there()
    site.helm("upgrade")


def test_a_release_of_another_name_takes_the_kept_crd_only_when_told_to(site: Site) -> None:
    site.helm("install")
    site.with_a_service()
    site.helm("uninstall")
    with pytest.raises(HelmRefused, match=f'"{CRD}" in namespace "" exists and cannot be imported'):
        site.helm("install", release="voices")
    site.helm("install", *chosen(crds__install="false"), release="voices")
    site.helm("uninstall", release="voices")
    site.helm("install", "--take-ownership", release="voices")
    assert site.fetch("crd", CRD)["metadata"]["annotations"]["meta.helm.sh/release-name"] == "voices"
    assert site.service_is_there()


def test_without_keep_uninstalling_takes_everything(site: Site) -> None:
    said = site.helm("install", *chosen(crds__keep="false"))
    assert "`helm uninstall` deletes the CRD, and with it EVERY VoiceService of the cluster" in said
    site.until_listed()
    site.helm("uninstall", "--wait", "--timeout", "60s")
    assert f"customresourcedefinition.apiextensions.k8s.io/{CRD}" not in site.names("crd")


def test_an_upgrade_brings_the_crd_of_its_version(site: Site) -> None:
    site.helm("install")
    shipped = site.fetch("crd", CRD)["spec"]
    older = json.loads(json.dumps(shipped))
    older["names"]["shortNames"] = ["older"]
    site.patch("crd", CRD, {"spec": older})
    site.helm("upgrade", "--force-conflicts")
    assert site.fetch("crd", CRD)["spec"]["names"]["shortNames"] == shipped["names"]["shortNames"]


def _foreign(version: str) -> dict[str, Any]:
    """As prometheus-adapter registers itself."""
    group = "custom.metrics.k8s.io"
    spec = {
        "group": group, "version": version, "groupPriorityMinimum": 100, "versionPriority": 100, "insecureSkipTLSVerify": True,
        "service": {"name": "prometheus-adapter", "namespace": "monitoring"},
    }  # fmt: skip
    metadata = {"name": f"{version}.{group}", "labels": {"test": "foreign"}}
    return {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize("version", ["v1beta2", "v1beta1"])
def test_another_server_of_metrics_is_never_taken_over(version: str, site: Site) -> None:
    """Not beside one of the older version either: HPAs ask one of the two."""
    foreign = _foreign(version)
    site.apply(foreign)
    with pytest.raises(HelmRefused) as refusal:
        site.without_crd("install")
    said, name = str(refusal.value), foreign["metadata"]["name"]
    assert f"the APIService {name} is there already and is served by the Service monitoring/prometheus-adapter" in said
    assert "Install with --set metricsApi.enabled=false" in said
    assert site.names("deployments") == []


def test_beside_another_server_of_metrics_the_rest_is_installed(site: Site) -> None:
    site.apply(_foreign("v1beta2"))
    said = site.helm("install", *chosen(metricsApi__enabled="false"))
    assert "metricsApi.enabled is false: HPAs of services find no series" in said
    assert site.fetch("apiservice", API_SERVICE)["spec"]["service"]["name"] == "prometheus-adapter"


def test_an_upgrade_knows_its_own_metrics_api(site: Site) -> None:
    site.without_crd("install")
    site.without_crd("upgrade")
    site.without_crd("upgrade", *chosen(metricsApi__enabled="false"))
    assert f"apiservice.apiregistration.k8s.io/{API_SERVICE}" not in site.names("apiservices")


def test_a_second_release_leaves_the_metrics_api_to_the_first(site: Site, bare_cluster: ControlPlane) -> None:
    site.without_crd("install")
    other = Site(bare_cluster, f"{site.namespace}-other")
    with pytest.raises(HelmRefused, match="is there already and is served by"):
        other.without_crd("install", *chosen(scope="Namespaced"))
    other.without_crd("install", *chosen(scope="Namespaced", metricsApi__enabled="false"))


def test_the_api_server_says_by_a_metric_that_nobody_answers(site: Site) -> None:
    """TimbreMetricsApiUnavailable rests on it."""
    site.without_crd("install")
    metrics = site.cluster.kubectl("get", "--raw", "/metrics")
    assert f'aggregator_unavailable_apiservice{{name="{API_SERVICE}"}} 1' in metrics


def test_monitoring_comes_with_the_first_upgrade_after_prometheus_operator(site: Site) -> None:
    site.helm("install")
    folder = site.cluster.tools.crds / "prometheus-operator"
    files = [folder / f"monitoring.coreos.com_{kind}.yaml" for kind in ("podmonitors", "prometheusrules")]
    site.cluster.install(*files)
    site.until_served("podmonitors", "prometheusrules")
    try:
        said = site.helm("upgrade")
        assert "There are no alerts" not in said
        assert "Nobody is told to scrape" not in said
        assert site.names("podmonitors,prometheusrules") == [
            f"podmonitor.monitoring.coreos.com/{NAME}",
            f"prometheusrule.monitoring.coreos.com/{NAME}",
        ]
        site.helm("uninstall")
    finally:
        site.cluster.kubectl("delete", *(f"--filename={file}" for file in files))


def test_users_may_do_with_services_what_they_may_do_with_others(site: Site) -> None:
    """Kubernetes' controllers add these roles to view, edit and admin by their labels."""
    site.without_crd("install")
    for role, user in (("view", "ann"), ("edit", "bob")):
        name = f"{site.namespace}-{NAME}-{role}"
        labels = site.fetch("clusterrole", name)["metadata"]["labels"]
        assert labels[f"rbac.authorization.k8s.io/aggregate-to-{role}"] == "true"
        assert labels["rbac.authorization.k8s.io/aggregate-to-admin"] == "true"
        site.cluster.kubectl(
            "create", "rolebinding", user, f"--clusterrole={name}", f"--user={user}", "-n", site.namespace
        )
    assert _may(site, "ann", "list", "timbre.dev", "voiceservices")
    assert not _may(site, "ann", "create", "timbre.dev", "voiceservices")
    assert _may(site, "bob", "create", "timbre.dev", "voiceservices")
    assert _may(site, "bob", "patch", "timbre.dev", "voiceservices", "scale")
    assert not _may(site, "bob", "patch", "timbre.dev", "voiceservices", "status")
    assert not _may(site, "bob", "create", "apps", "deployments")


def _may(site: Site, user: str, verb: str, *kind: str) -> bool:
    """``kind`` is group, resource and sub-resource."""
    attributes = dict(zip(("group", "resource", "subresource"), kind, strict=False))
    review = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": {"namespace": site.namespace, "verb": verb, **attributes}},
    }  # fmt: skip
    answer = site.cluster.kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(review))
    return bool(json.loads(answer)["status"]["allowed"])
