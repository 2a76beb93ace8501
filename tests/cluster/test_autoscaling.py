"""The real HPA reads the operator's series through the real API server, and moves the pods."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.cluster.api import Api, Object
from tests.cluster.certificates import Authority
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fake_node import FakeNode
from tests.cluster.metrics_api import ROOT, MetricsApi, a_serving_operator
from tests.cluster.operator_process import OperatorHome, OperatorProcess
from tests.cluster.watching import eventually, sample, until_service, write
from tests.operator.manifests import a_service
from timbre_contract import labels

DEPLOYMENT = "apps/v1/Deployment"
AT_ONCE = {
    "scaleDown": {
        "stabilizationWindowSeconds": 0,
        "policies": [{"type": "Pods", "value": 10, "periodSeconds": 1}],
    }
}
SERVICE = a_service().scaled_by("HPA", maxReplicas=4, behavior=AT_ONCE)
"""Downwards at once: five minutes of stabilisation are Kubernetes' business, and tested by it."""


@dataclass
class Scene:
    """A service whose light pods say what the test says."""

    api: Api
    node: FakeNode
    running: OperatorProcess
    metrics_api: MetricsApi
    namespace: str
    counters: dict[str, dict[str, float]] = field(default_factory=dict)
    """What each pod has counted, by its name."""

    async def pods(self) -> list[str]:
        """Names of the pods that answer."""
        return sorted(life.name for life in self.node.with_labels(component="server"))

    def report(self, pod: str, **values: float) -> None:
        """Sets metrics of a pod: ``timbre_queued_requests=3``."""
        self.counters.setdefault(pod, {}).update(values)
        self.node.light_pod(pod).report(self.counters[pod])

    def holds(self, pod: str, **heat: float) -> None:
        """Which voices it has."""
        held = [{"digest": digest, "heat": value} for digest, value in heat.items()]
        self.node.light_pod(pod).answers["/cache"] = (200, json.dumps({"hottest": held}))

    async def until_pods(self, count: int) -> list[str]:
        """Their names, once so many shall be, are there and are ready."""

        def reached(deployment: Object) -> bool:
            status = deployment.get("status") or {}
            numbers = {deployment["spec"].get("replicas"), status.get("replicas"), status.get("readyReplicas")}
            return numbers == {count} and status["observedGeneration"] == deployment["metadata"]["generation"]

        await self.api.until(DEPLOYMENT, self.namespace, "narrator", reached)

        async def all_of_them() -> list[str]:
            names = await self.pods()
            return names if len(names) == count else []  # one that leaves is counted no more and still there

        return list(await eventually(all_of_them))

    async def until_scraped(self, times: int) -> None:
        """Returns when pods were asked so many times more, with or without an answer."""
        before = await sample(self.running, "timbre_operator_scrapes_total")

        async def done() -> bool:
            return await sample(self.running, "timbre_operator_scrapes_total") >= before + times

        await eventually(done)

    async def until_decision(self, **wanted: object) -> Mapping[str, Any]:
        """The newest decision with these fields, once there is one."""
        service = await until_service(
            self.api, self.namespace, lambda it: any(wanted.items() <= d.items() for d in _decisions(it))
        )
        return next(decision for decision in _decisions(service) if wanted.items() <= decision.items())


def _decisions(service: Object) -> list[dict[str, Any]]:
    return ((service.get("status") or {}).get("autoscaling") or {}).get("decisions") or []


@pytest.fixture
async def scene(
    api: Api, operator_home: OperatorHome, fake_node: FakeNode, namespace: str, tmp_path: Path
) -> AsyncIterator[Scene]:
    fake_node.light = True
    async with a_serving_operator(api, operator_home, namespace, tmp_path / "metrics-api") as (running, metrics_api):
        yield Scene(api, fake_node, running, metrics_api, namespace)


async def test_the_hpa_moves_the_pods_up_and_down_again_and_status_says_why(scene: Scene) -> None:
    await write(scene.api, scene.namespace, SERVICE)
    (pod,) = await scene.until_pods(1)
    assert await eventually(lambda: scene.metrics_api.series(scene.namespace)) == {
        labels.QUEUE_DEPTH_SERIES: "0",
        labels.WORK_SECONDS_SERIES: "0",
        labels.WORKING_SET_SERIES: "0",
    }

    scene.report(pod, timbre_queued_requests=40)
    await scene.until_pods(3)
    decision = await scene.until_decision(to=3, reason="QueueDepth")
    assert decision["from"] == 1
    assert decision["message"] == "40 requests wait and a pod shall have 16"

    scene.report(pod, timbre_queued_requests=0)
    await scene.until_pods(1)
    assert (await scene.until_decision(to=1, reason="LoadFell"))["from"] == 3


async def test_one_off_voices_at_a_constant_rate_raise_the_pods_and_are_named_as_the_cause(scene: Scene) -> None:
    await write(scene.api, scene.namespace, SERVICE)
    (pod,) = await scene.until_pods(1)
    synthesis, extraction = (
        f'timbre_engine_demand_seconds_total{{kind="{kind}"}}' for kind in ("synthesis", "extraction")
    )
    hit, miss = (f'timbre_voice_cache_lookups_total{{outcome="{outcome}",tier="host"}}' for outcome in ("hit", "miss"))
    extractions = 'timbre_voice_extraction_seconds_count{cause="speech"}'
    began = asyncio.get_running_loop().time()

    async def plays(claim: str, *, one_off_from: float) -> Mapping[str, Any]:
        """Ten requests a second; each costs 40 ms, and from then on each second one 280 ms more for its voice."""
        deciding = asyncio.create_task(scene.until_decision(reason=claim))
        while not deciding.done():
            seconds = asyncio.get_running_loop().time() - began
            one_offs = max(0.0, seconds - one_off_from) * 5
            counters = {
                synthesis: seconds * 10 * 0.04,
                extraction: one_offs * 0.28,
                hit: seconds * 10 - one_offs,
                miss: one_offs,
                extractions: one_offs,
            }
            scene.report(pod, **counters)
            await asyncio.wait({deciding}, timeout=0.2)
        return await deciding

    assert (await scene.until_decision(reason="Started"))["to"] == 1
    decision = await plays("ExtractionWork", one_off_from=3.0)
    assert decision["to"] > decision["from"] == 1
    assert "of them for extractions" in decision["message"]


async def test_a_pod_that_does_not_answer_keeps_its_service_from_shrinking(scene: Scene) -> None:
    await write(scene.api, scene.namespace, SERVICE)
    (pod,) = await scene.until_pods(1)
    scene.report(pod, timbre_queued_requests=40)
    pods = await scene.until_pods(3)
    silent = next(name for name in pods if name != pod)
    scene.node.light_pod(silent).answers["/metrics"] = (500, "")
    held = await scene.until_decision(reason="StaleData")
    assert silent in held["message"]
    scene.report(pod, timbre_queued_requests=0)
    await scene.until_scraped(5 * len(pods))
    assert (await scene.metrics_api.series(scene.namespace))[labels.QUEUE_DEPTH_SERIES] == "40"
    assert (await scene.api.fetch(DEPLOYMENT, scene.namespace, "narrator"))["spec"]["replicas"] == 3
    scene.node.light_pod(silent).answers["/metrics"] = (200, "")
    await scene.until_pods(1)


async def test_the_pod_that_holds_nothing_that_others_lack_goes_first(scene: Scene) -> None:
    await write(scene.api, scene.namespace, SERVICE.scaled_by("HPA", minReplicas=3))
    first, second, third = await scene.until_pods(3)
    scene.holds(first, shared=50.0, alone=9.0)
    scene.holds(second, shared=60.0)
    scene.holds(third, shared=1.0, other=4.0)
    annotation = "controller.kubernetes.io/pod-deletion-cost"

    async def costs() -> dict[str, str]:
        pods = [await scene.api.fetch("v1/Pod", scene.namespace, name) for name in (first, second, third)]
        return {
            pod["metadata"]["name"]: (pod["metadata"].get("annotations") or {}).get(annotation, "0") for pod in pods
        }

    await eventually(lambda: _equal(costs, {first: "20", second: "0", third: "9"}))
    await write(scene.api, scene.namespace, SERVICE.scaled_by("HPA", minReplicas=2))
    assert await scene.until_pods(2) == sorted([first, third])
    await write(scene.api, scene.namespace, SERVICE)
    assert await scene.until_pods(1) == [first]


async def test_nobody_but_the_front_proxy_is_answered(
    scene: Scene, control_plane: ControlPlane, tmp_path: Path
) -> None:
    await write(scene.api, scene.namespace, SERVICE)
    await eventually(lambda: scene.metrics_api.series(scene.namespace))
    path = f"{ROOT}/namespaces/{scene.namespace}/voiceservices.timbre.dev/narrator/{labels.QUEUE_DEPTH_SERIES}"
    url = f"https://localhost:{scene.running.metrics_api_port}"
    assert await _status(scene, url + path) == 401
    assert await _status(scene, url + "/healthz") == 200
    Authority("stranger").client("front-proxy").write(tmp_path, "stranger")
    with pytest.raises(aiohttp.ClientError):
        await _status(scene, url + path, certificate=tmp_path / "stranger")
    assert await _status(scene, url + path, certificate=control_plane.folder / "front-proxy") == 200


async def test_a_renewed_certificate_is_taken_up_and_the_series_go_on(scene: Scene) -> None:
    await write(scene.api, scene.namespace, SERVICE)
    await eventually(lambda: scene.metrics_api.series(scene.namespace))
    before = await _shown(scene)
    scene.metrics_api.renew()

    async def is_new() -> bool:
        return await _shown(scene) != before

    await eventually(is_new)
    assert await scene.metrics_api.series(scene.namespace)


async def test_keda_reads_the_same_numbers_without_the_api_server(scene: Scene) -> None:
    await write(scene.api, scene.namespace, SERVICE)
    (pod,) = await scene.until_pods(1)
    scene.report(pod, timbre_queued_requests=5)
    path = labels.series_path(scene.namespace, "narrator", labels.QUEUE_DEPTH_SERIES)

    async def value() -> bool:
        async with aiohttp.ClientSession() as session, session.get(scene.running.admin + path) as answer:
            return bool(answer.ok and await answer.json() == {"value": 5.0})

    await eventually(value)


async def _equal(ask: Any, wanted: object) -> bool:
    return bool(await ask() == wanted)


async def _status(scene: Scene, url: str, *, certificate: Path | None = None) -> int:
    tls = ssl.create_default_context(cadata=scene.metrics_api.authority_pem.decode())
    if certificate is not None:
        tls.load_cert_chain(f"{certificate}.crt", f"{certificate}.key")
    async with aiohttp.ClientSession() as session, session.get(url, ssl=tls) as answer:
        return answer.status


async def _shown(scene: Scene) -> str:
    return await asyncio.to_thread(ssl.get_server_certificate, ("localhost", scene.running.metrics_api_port))
