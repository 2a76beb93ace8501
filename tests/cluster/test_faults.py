"""What may happen to an operator and its API server, and what is left afterwards: nothing half-done."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.cluster.api import Api, ApiError, Object
from tests.cluster.carrying_out import VOICE_SERVICE, find_children, in_namespace
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fake_node import FakeNode
from tests.cluster.operator_process import OperatorHome, OperatorProcess, entries
from tests.cluster.watching import eventually, is_ready, sample, turned, until_service, write, writes
from tests.fault_proxy import PASS, REFUSE, FaultProxy
from tests.operator.manifests import AService, a_service

MANUAL = a_service().scaled_by("None")
OFTEN = ("--no-metrics-api", "--resync-seconds=5")
LEASE = "coordination.k8s.io/v1/Lease"
POINTS = 20


@pytest.fixture(autouse=True)
def light_pods(fake_node: FakeNode) -> None:
    """Servers' pods answer probes only."""
    fake_node.light = True


def _restart(control_plane: ControlPlane) -> None:
    """In the main thread, with whose end the API server ends."""
    control_plane.stop("kube-apiserver")
    control_plane.start_api_server()


async def _forget_the_lease(api: Api, home: OperatorHome) -> None:
    """Who was killed gives nothing back, and nobody here shall wait for fifteen seconds twenty times."""
    await api.delete(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "timbre-operator", "namespace": home.name},
        }
    )


def _versions(number: int) -> AService:
    """One that changes nearly every child from one number to the next."""
    return a_service().with_spec(
        image=f"registry/timbre-server:{number}",
        replicas=1 + number % 2,
        redis={"managed": {"maxMemory": f"{256 + 64 * (number % 3)}Mi"}},
        autoscaling={"class": ("None", "HPA", "KEDA", "External")[number % 4], "minReplicas": 1 + number % 2},
        monitoring={"podMonitor": "Disabled" if number % 2 else "Auto"},
    )


@pytest.mark.slow
async def test_an_operator_that_is_killed_at_any_point_leaves_nothing_half_done(
    api: Api, namespace: str, operator_home: OperatorHome
) -> None:
    """At twenty points of rollouts, chosen by chance; the next one finishes what it finds."""
    chance = random.Random(namespace)
    await operator_home.allow(namespace)
    passwords: set[str] = set()
    for number in range(POINTS):
        running = await operator_home.start(namespace, ready=False)
        await write(api, namespace, _versions(number))
        await _acts(running, steps=chance.randrange(1, 8))
        running.kill()
        await running.process.wait()
        await _forget_the_lease(api, operator_home)
        passwords |= {str(secret["data"]) for secret in await _secrets(api, namespace)}

    await write(api, namespace, MANUAL.with_spec(image="registry/timbre-server:last"))
    running = await operator_home.start(namespace)
    await until_service(api, namespace, is_ready)
    await turned(running, 1)
    before = await writes(running)
    assert len(passwords) == 1, "passwords are made once, however often the maker dies"
    assert _kinds(await find_children(api, namespace)).isdisjoint({"HorizontalPodAutoscaler", "ScaledObject"})
    pods = await api.find("v1/Pod", namespace, labelSelector="app.kubernetes.io/component=server")
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {"registry/timbre-server:last"}
    assert await writes(running) == before


async def _acts(running: OperatorProcess, steps: int) -> None:
    """Returns after so many changes; or when there are no more to come."""

    async def done() -> bool:
        verbs = {"create", "patch", "prune", "recreate", "hand over", "passwords made"}
        made = [entry for entry in entries(running.log()) if entry["message"] in verbs]
        return len(made) >= steps

    try:
        await eventually(done, patience_seconds=3)
    except AssertionError:
        return  # this change had fewer


async def _secrets(api: Api, namespace: str) -> list[Object]:
    try:
        return [await api.fetch("v1/Secret", namespace, "narrator-redis")]
    except ApiError:
        return []


def _kinds(objects: list[Object]) -> set[str]:
    return {item["kind"] for item in objects}


async def test_an_api_server_that_restarts_costs_nothing_but_the_time_that_it_is_away(
    api: Api, namespace: str, operator_process: OperatorProcess, control_plane: ControlPlane
) -> None:
    await write(api, namespace, MANUAL)
    await until_service(api, namespace, is_ready)
    _restart(control_plane)
    await write(api, namespace, MANUAL.with_spec(replicas=2))
    await until_service(api, namespace, lambda s: s["status"]["readyReplicas"] == 2 and is_ready(s))
    assert operator_process.process.returncode is None
    assert await operator_process.is_ready()


def _through(proxy: FaultProxy, control_plane: ControlPlane, account: Path) -> Path:
    file = account.with_name(f"{account.stem}-proxied.kubeconfig")
    file.write_text(account.read_text().replace(control_plane.server, f"https://127.0.0.1:{proxy.port}"))
    return file


async def test_a_watch_that_broke_goes_on(
    api: Api, namespace: str, operator_home: OperatorHome, control_plane: ControlPlane
) -> None:
    with FaultProxy(control_plane.port) as proxy:
        operator_home.account = _through(proxy, control_plane, operator_home.account)
        await operator_home.allow(namespace)
        running = await operator_home.start(namespace)
        await write(api, namespace, MANUAL)
        await until_service(api, namespace, is_ready)
        for replicas in (2, 1, 2):
            proxy.drop_connections()
            await write(api, namespace, MANUAL.with_spec(replicas=replicas))
            await until_service(
                api, namespace, lambda s, n=replicas: s["status"].get("readyReplicas") == n and is_ready(s)
            )
        assert running.process.returncode is None


@pytest.mark.slow
async def test_a_deletion_that_the_watch_missed_is_found(
    api: Api, namespace: str, operator_home: OperatorHome, control_plane: ControlPlane
) -> None:
    """Cut off while it happens, and the API server has forgotten it by the time that the watch is back."""
    with FaultProxy(control_plane.port) as proxy:
        operator_home.account = _through(proxy, control_plane, operator_home.account)
        await operator_home.allow(namespace)
        running = await operator_home.start(namespace, options=OFTEN)
        await write(api, namespace, MANUAL)
        await until_service(api, namespace, is_ready)
        proxy.become(REFUSE)
        service = await api.fetch("v1/Service", namespace, "narrator")
        await api.delete(service | {"apiVersion": "v1", "kind": "Service"})
        _restart(control_plane)
        proxy.become(PASS)
        await api.until(
            "v1/Service", namespace, "narrator", lambda found: found["metadata"]["uid"] != service["metadata"]["uid"]
        )
        assert running.process.returncode is None


async def test_a_service_that_was_deleted_while_no_operator_ran_is_forgotten(
    api: Api, namespace: str, operator_home: OperatorHome
) -> None:
    await operator_home.allow(namespace)
    running = await operator_home.start(namespace)
    service = await write(api, namespace, MANUAL)
    await until_service(api, namespace, is_ready)
    await running.stop()
    await api.delete(service)
    again = await operator_home.start(namespace, identity="again")
    assert await sample(again, "timbre_operator_services") == 0


async def test_somebody_who_writes_the_same_objects_all_the_time_does_not_win(
    api: Api, namespace: str, operator_process: OperatorProcess
) -> None:
    """Every write of theirs makes a newer version; server-side apply needs none."""
    await write(api, namespace, MANUAL)
    await until_service(api, namespace, is_ready)

    async def disturb() -> None:
        deployment = await api.fetch("apps/v1/Deployment", namespace, "narrator")
        deployment |= {"apiVersion": "apps/v1", "kind": "Deployment"}
        for number in range(10_000):
            annotations = {"metadata": {"annotations": {"example.com/counter": str(number)}}}
            await api.patch(deployment, annotations | {"spec": {"replicas": 1 + number % 3}})

    disturbing = asyncio.create_task(disturb())
    try:
        for number in range(5):
            image = f"registry/timbre-server:{number}"
            await write(api, namespace, MANUAL.with_spec(image=image))

            def has_it(found: Object, image: str = image) -> bool:
                return bool(found["spec"]["template"]["spec"]["containers"][0]["image"] == image)

            await api.until("apps/v1/Deployment", namespace, "narrator", has_it)
    finally:
        disturbing.cancel()
        await asyncio.gather(disturbing, return_exceptions=True)
    service = await until_service(api, namespace, is_ready)
    assert service["status"]["replicas"] == 1
    deployment = await api.fetch("apps/v1/Deployment", namespace, "narrator")
    assert "example.com/counter" in deployment["metadata"]["annotations"]  # theirs stays theirs


@pytest.mark.slow
async def test_a_namespace_on_its_way_out_ends_in_peace(api: Api, namespace: str, operator_home: OperatorHome) -> None:
    """Nothing can be made in it any more, and nobody tries without end."""
    await operator_home.allow()
    running = await operator_home.start(options=OFTEN)
    other = f"{namespace}-leaving"
    made = await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}})
    await api.create(in_namespace(MANUAL, other))
    await api.until("apps/v1/Deployment", other, "narrator", lambda found: found)
    await api.delete(made)
    await api.until(VOICE_SERVICE, other, "narrator", None, gone=True)
    await api.until("v1/Namespace", "", other, None, gone=True)
    await eventually(lambda: _is_zero(running))
    assert '"level": "error"' not in running.log()


async def _is_zero(running: OperatorProcess) -> bool:
    return await sample(running, "timbre_operator_services") == 0
