"""The children of services for tests."""

from __future__ import annotations

from typing import Any

from tests.operator.manifests import AService
from timbre_operator.desired import Inputs, Manifest, OptionalKind, RedisPasswords, build_children
from timbre_operator.settings import Release

RELEASE = Release(
    server_image="registry/timbre-server:1",
    torch_image="registry/timbre-server:1-torch",
    redis_image="registry/valkey:8",
    exporter_image="registry/redis-exporter:1",
    operator_namespace="timbre-system",
    metrics_url="http://timbre-operator.timbre-system.svc:8080",
)
PASSWORDS = RedisPasswords(pods="pods-password", operator="operators-password")
EVERY_KIND = frozenset(OptionalKind)


def inputs_of(service: AService, **changes: Any) -> Inputs:
    """In a cluster that has every kind, unless told otherwise."""
    known: dict[str, Any] = {"release": RELEASE, "redis_passwords": PASSWORDS, "kinds": EVERY_KIND, **changes}
    return Inputs(service=service.built(), **known)


def children_of(service: AService, **changes: Any) -> dict[str, Manifest]:
    """By kind and name, as ``Deployment/narrator``."""
    return {
        f"{child['kind']}/{child['metadata']['name']}": child for child in build_children(inputs_of(service, **changes))
    }


def server_pod(service: AService, **changes: Any) -> Manifest:
    """Template of the server's pods."""
    name = service.manifest["metadata"]["name"]
    template: Manifest = children_of(service, **changes)[f"Deployment/{name}"]["spec"]["template"]
    return template


def container_of(template: Manifest, name: str = "server") -> Manifest:
    (container,) = [container for container in template["spec"]["containers"] if container["name"] == name]
    return dict(container)


def environment_of(template: Manifest) -> dict[str, str]:
    return {variable["name"]: variable.get("value", "") for variable in container_of(template)["env"]}
