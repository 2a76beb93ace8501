"""The operator as a process of this machine, with exactly the rights that an installation gives it."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

from examples.local_redis import free_port
from tests.cluster.api import PATIENCE_SECONDS, Api, Object
from tests.cluster.control_plane import ControlPlane, dying_with_us
from tests.cluster.pod_life import DNS
from tests.cluster.pod_programs import TIMBRE_OPERATOR
from tests.operator.desired.children import RELEASE
from timbre_operator.rights import NAME, build_rbac

_RBAC: Final = "rbac.authorization.k8s.io/v1"


@dataclass
class OperatorProcess:
    """One process; several of one installation share their home."""

    process: asyncio.subprocess.Process
    admin: str
    """URL of its admin port."""
    metrics_api_port: int
    log_file: Path

    def log(self) -> str:
        """All that it wrote."""
        return self.log_file.read_text("utf-8", errors="replace")

    def kill(self) -> None:
        """SIGKILL: no farewell."""
        self.process.kill()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Exit code; killed where it takes too long."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self.process.wait()
        except TimeoutError:
            self.kill()
            await self.process.wait()
            raise AssertionError(f"the operator does not end:\n{self.log()}") from None

    async def metrics(self) -> str:
        """What its ``/metrics`` says."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.admin}/metrics") as answer:
            return await answer.text()

    async def is_ready(self) -> bool:
        """Whether ``/readyz`` says so."""
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.admin}/readyz") as answer:
                return answer.ok
        except aiohttp.ClientError:
            return False


@dataclass
class OperatorHome:
    """A namespace with the operator's account in it; use as an async context manager, which ends all of its processes."""

    control_plane: ControlPlane
    api: Api
    name: str
    """Of the namespace."""
    folder: Path
    names: Path
    """What cluster DNS reads."""
    account: Path = field(init=False)
    """Kubeconfig of the operator's ServiceAccount."""
    processes: list[OperatorProcess] = field(default_factory=list)
    _rights: list[Object] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        await self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}})
        metadata = {"name": NAME, "namespace": self.name}
        await self.api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        path = f"/api/v1/namespaces/{self.name}/serviceaccounts/{NAME}/token"
        token = (await self.api.request("POST", path, {"spec": {}}))["status"]["token"]
        self.account = self.control_plane.kubeconfig_for_token(f"{NAME}-{self.name}", token)
        return self

    async def __aexit__(self, *_: object) -> None:
        for running in self.processes:
            if running.process.returncode is None:
                running.kill()
                await running.process.wait()
        for right in self._rights:
            await self.api.delete(right)
        await self.api.delete({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}})

    async def allow(self, *namespaces: str, metrics_api: bool = False) -> None:
        """What the operator may: in these namespaces, everywhere where none is named."""
        for right in build_rbac(namespaces=namespaces, operator_namespace=self.name, metrics_api=metrics_api):
            self._rights.append(await self.api.apply(right))

    async def forbid(self, resource: str, verb: str = "") -> None:
        """Takes a right on a kind away, as ``watch`` on ``deployments``; all of them where no verb is named."""

        def without(rule: Object) -> Object:
            if resource not in rule["resources"]:
                return rule
            return rule | {"verbs": [kept for kept in rule["verbs"] if verb and kept != verb]}

        for right in self._rights:
            if "rules" in right:
                rules = [rule for rule in map(without, right["rules"]) if rule["verbs"]]
                await self.api.patch(right, {"rules": rules})

    async def start(
        self, *namespaces: str, identity: str = "one", options: Sequence[str] = (), ready: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> OperatorProcess:  # fmt: skip
        """Runs it for these namespaces, everywhere where none is named; ready when this returns."""
        admin_port, metrics_api_port = free_port(), free_port()
        address = f"http://127.0.0.1:{admin_port}"
        command = [
            TIMBRE_OPERATOR, "run", *(f"--namespace={namespace}" for namespace in namespaces),
            f"--operator-namespace={self.name}", f"--identity={identity}", "--admin-host=127.0.0.1",
            f"--admin-port={admin_port}", f"--metrics-api-port={metrics_api_port}", f"--metrics-url={address}",
            f"--server-image={RELEASE.server_image}", f"--torch-image={RELEASE.torch_image}",
            f"--redis-image={RELEASE.redis_image}", f"--exporter-image={RELEASE.exporter_image}",
            *(options or ("--no-metrics-api",)),
        ]  # fmt: skip
        dns = {"PYTHONPATH": str(DNS), "CLUSTER_DNS": str(self.names)}
        log_file = self.folder / f"operator-{identity}-{len(self.processes)}.log"
        with log_file.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *dying_with_us(command), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                env={**self.control_plane.environment(self.account), **dns, **(environment or {})},
            )  # fmt: skip
        running = OperatorProcess(process, address, metrics_api_port, log_file)
        self.processes.append(running)
        if ready:
            await self._until_ready(running)
        return running

    async def _until_ready(self, running: OperatorProcess) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await running.is_ready():
                    if running.process.returncode is not None:
                        raise AssertionError(f"the operator ended by itself:\n{running.log()}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"the operator does not get ready:\n{running.log()}") from None


async def install_account(
    api: Api, control_plane: ControlPlane, namespace: str, name: str, rules: Sequence[Mapping[str, Any]]
) -> Path:
    """Kubeconfig of a new ServiceAccount that may do exactly this in its namespace."""
    metadata = {"name": name, "namespace": namespace}
    await api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    await api.create({"apiVersion": _RBAC, "kind": "Role", "metadata": metadata, "rules": list(rules)})
    binding = {
        "apiVersion": _RBAC,
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", **metadata}],
    }
    await api.create(binding)
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    token = (await api.request("POST", path, {"spec": {}}))["status"]["token"]
    return control_plane.kubeconfig_for_token(f"{name}-{namespace}", token, namespace=namespace)


def entries(log: str) -> list[dict[str, Any]]:
    """Lines of a JSON log."""
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]
