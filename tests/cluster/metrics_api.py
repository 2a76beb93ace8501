"""An operator that serves ``custom.metrics.k8s.io``, as its chart registers it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.cluster.api import Api, ApiError, Object
from tests.cluster.certificates import Authority, Pair
from tests.cluster.operator_process import OperatorHome, OperatorProcess
from timbre_operator.rights import NAME

API_SERVICE: Final = "apiregistration.k8s.io/v1/APIService"
ROOT: Final = "/apis/custom.metrics.k8s.io/v1beta2"
REGISTERED: Final = "v1beta2.custom.metrics.k8s.io"


class MetricsApi:
    """The registration: one for the whole cluster, so one at a time."""

    def __init__(self, api: Api, home: OperatorHome, folder: Path) -> None:
        self.api, self._home, self._folder = api, home, folder
        self._authority = Authority("timbre-operator")
        self._host = f"{NAME}.{home.name}.svc"
        self.certificate_folder = folder / "certificate"
        self.certificate_folder.mkdir(parents=True)
        self.renew()

    @property
    def authority_pem(self) -> bytes:
        return self._authority.pair.certificate

    def renew(self) -> Pair:
        """A new certificate in the place of the old one."""
        pair = self._authority.server(self._host, "localhost", "127.0.0.1")
        for name, content in (("tls.crt", pair.certificate), ("tls.key", pair.key)):
            file = self._folder / name
            file.write_bytes(content)
            file.rename(self.certificate_folder / name)
        return pair

    @property
    def options(self) -> tuple[str, ...]:
        """Of the operator that serves it."""
        return (f"--metrics-api-certificate={self.certificate_folder}", "--scrape-seconds=1")

    async def register(self, port: int) -> None:
        """The API server finds it on this port of this machine; available when this returns."""
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME, "namespace": self._home.name},
            # No node runs this operator: a name instead of pods.
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
        }
        await self.api.apply(service)
        await self.api.apply(
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": REGISTERED},
                "spec": {
                    "group": "custom.metrics.k8s.io",
                    "version": "v1beta2",
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                    "caBundle": base64.b64encode(self.authority_pem).decode(),
                    "service": {"name": NAME, "namespace": self._home.name, "port": port},
                },
            }
        )
        await self.api.until(API_SERVICE, "", REGISTERED, is_available)

    async def unregister(self) -> None:
        await self.api.delete(
            {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": REGISTERED}}
        )

    async def series(self, namespace: str, name: str = "narrator") -> Mapping[str, str]:
        """All series of a service, each asked for as the HPA does; empty while they are not known."""
        found: dict[str, str] = {}
        for resource in (await self.api.request("GET", ROOT))["resources"]:
            kind, _, series = resource["name"].partition("/")
            try:
                answer: Any = await self.api.request("GET", f"{ROOT}/namespaces/{namespace}/{kind}/{name}/{series}")
            except ApiError:
                return {}
            (item,) = answer["items"]
            found[series] = item["value"]
        return found


@asynccontextmanager
async def a_serving_operator(
    api: Api, home: OperatorHome, namespace: str, folder: Path
) -> AsyncIterator[tuple[OperatorProcess, MetricsApi]]:
    """One operator, leading and ready, registered."""
    metrics_api = MetricsApi(api, home, folder)
    await home.allow(namespace, metrics_api=True)
    running = await home.start(namespace, options=metrics_api.options)
    try:
        await metrics_api.register(running.metrics_api_port)
        yield running, metrics_api
    finally:
        await metrics_api.unregister()


def is_available(registration: Object) -> bool:
    """Whether the API server reaches whoever serves it."""
    conditions = (registration.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Available" and item["status"] == "True" for item in conditions)
