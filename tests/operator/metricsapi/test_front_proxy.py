"""Whom the API server publishes as its front proxy is let in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operator.reconciler.cluster_in_memory import ClusterInMemory
from timbre_operator.errors import Forbidden
from timbre_operator.metricsapi.front_proxy import FrontProxy, from_config_map, front_proxy_of

PEM = "-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----"


def published(**data: str) -> dict[str, Any]:
    metadata = {"name": "extension-apiserver-authentication", "namespace": "kube-system"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def a_certificate(*names: str) -> dict[str, Any]:
    return {"subject": (*((("commonName", name),) for name in names), (("organizationName", "o"),))}


def test_authority_and_names_are_read() -> None:
    manifest = published(**{"requestheader-client-ca-file": PEM, "requestheader-allowed-names": '["front", "proxy"]'})
    assert from_config_map(manifest) == FrontProxy(PEM + "\n", frozenset({"front", "proxy"}))


@pytest.mark.parametrize("names", ["", "[]"])
def test_no_names_mean_any(names: str) -> None:
    manifest = published(**{"requestheader-client-ca-file": PEM, "requestheader-allowed-names": names})
    found = from_config_map(manifest)
    assert found is not None
    assert found.admits(a_certificate("anybody"))


def test_comments_in_any_language_are_left_out() -> None:
    found = from_config_map(published(**{"requestheader-client-ca-file": f"# Főtanúsítvány\n{PEM}"}))
    assert found is not None
    assert found.authority_pem.isascii()
    assert found.authority_pem.endswith(PEM + "\n")


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"requestheader-client-ca-file": " "},
        {"requestheader-client-ca-file": PEM, "requestheader-allowed-names": "front"},
        {"requestheader-client-ca-file": PEM, "requestheader-allowed-names": '{"front": 1}'},
    ],
)
def test_what_cannot_be_read_lets_nobody_in(data: dict[str, str]) -> None:
    assert from_config_map(published(**data)) is None


def test_only_the_names_that_are_published_are_let_in() -> None:
    proxy = FrontProxy(PEM, frozenset({"front"}))
    assert proxy.admits(a_certificate("front"))
    assert not proxy.admits(a_certificate("other"))
    assert not proxy.admits(a_certificate())


async def test_it_is_read_from_the_cluster() -> None:
    cluster = ClusterInMemory()
    assert await front_proxy_of(cluster) is None
    cluster.add(published(**{"requestheader-client-ca-file": PEM}))
    assert await front_proxy_of(cluster) == FrontProxy(PEM + "\n")
    cluster.refuse("fetch", Forbidden("configmaps is forbidden"))
    with pytest.raises(Forbidden):
        await front_proxy_of(cluster)
