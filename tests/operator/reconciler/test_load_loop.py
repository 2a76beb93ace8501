"""Pods are asked, series are served, and the pod that would be missed least is named."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.operator.manifests import a_service
from tests.operator.reconciler.cluster_in_memory import ClusterInMemory
from tests.operator.scaling.pods import APod
from tests.virtual_time import in_virtual_time
from timbre_contract import labels
from timbre_operator.errors import Forbidden, NotLeading
from timbre_operator.observed import PodSample
from timbre_operator.ports import ServiceKey
from timbre_operator.reconciler.live import Live
from timbre_operator.reconciler.load_loop import NUMBERS_SECONDS, LoadLoop
from timbre_operator.scaling.deletion_cost import ANNOTATION, LEAST_SECONDS

KEY = ServiceKey("studio", "narrator")
RUNNING = {"name": "server", "state": {"running": {}}, "restartCount": 0}
WAITING = {"name": "server", "state": {"waiting": {}}, "restartCount": 0}
CRASHED = {"name": "server", "state": {"waiting": {}}, "restartCount": 2}


class Scraper:
    """``PodScraper`` over pods by their address."""

    def __init__(self) -> None:
        self.pods: dict[str, APod] = {}
        self.asked: Counter[str] = Counter()

    async def scrape(self, address: str) -> PodSample | None:
        self.asked[address] += 1
        pod = self.pods.get(address)
        return pod.sample() if pod else None


class Scene:
    """A service, its pods, and one replica of the operator."""

    def __init__(self) -> None:
        self.live, self.cluster, self.scraper = Live(), ClusterInMemory(), Scraper()
        self.cluster.told = lambda kind, manifest: (
            self.live.gone(manifest) if kind == "DELETED" else self.live.put(manifest)
        )  # type: ignore[func-returns-value]
        self.leads = True
        self.now = 0.0
        self.news: list[ServiceKey] = []
        self.loop = LoadLoop(
            self.live,
            self.scraper,
            self.cluster,
            leads=lambda: self.leads,
            news=self.news.append,
            clock=lambda: self.now,
        )
        self.cluster.add(a_service().manifest)

    def pod(self, name: str, ip: str, *, container: dict[str, Any] | None = None, **metadata: Any) -> APod:
        """A pod of the server; it answers at its address."""
        component = metadata.pop("component", labels.SERVER_COMPONENT)
        status = {"phase": "Running", "podIP": ip, "containerStatuses": [container or RUNNING]}
        names = {"name": name, "namespace": KEY.namespace, "labels": labels.selector(KEY.name, component)}
        self.cluster.add({"apiVersion": "v1", "kind": "Pod", "metadata": {**names, **metadata}, "status": status})
        address = f"[{ip}]:9000" if ":" in ip else f"{ip}:9000"
        self.scraper.pods[address] = APod()
        return self.scraper.pods[address]

    async def round(self, seconds: float = 5.0) -> None:
        self.now += seconds
        await self.loop.round()
        await self.loop.written()

    def costs(self) -> dict[str, str | None]:
        """Of all pods, as they are annotated."""
        pods = self.live.pods(KEY)
        return {pod["metadata"]["name"]: (pod["metadata"].get("annotations") or {}).get(ANNOTATION) for pod in pods}

    def writes(self) -> int:
        return sum(count for call, count in self.cluster.calls.items() if call.startswith("annotate"))


async def test_the_series_are_those_of_all_pods() -> None:
    scene = Scene()
    one, other = scene.pod("a", "10.0.0.1"), scene.pod("b", "10.0.0.2")
    await scene.round()
    assert scene.loop.series(KEY) is None
    other.queued = 4
    for _ in range(3):
        one.does(5.0, synthesis=0.5)
        other.does(5.0, synthesis=0.25)
        await scene.round()
    series = scene.loop.series(KEY)
    assert series is not None
    assert series == {
        labels.QUEUE_DEPTH_SERIES: 4.0,
        labels.WORK_SECONDS_SERIES: pytest.approx(0.75),
        labels.WORKING_SET_SERIES: 0.0,
    }
    load = scene.loop.load(KEY)
    assert load is not None
    assert load.queue_depth == 4
    assert scene.loop.services() == [KEY]


async def test_only_pods_whose_server_runs_are_asked() -> None:
    scene = Scene()
    scene.pod("server", "10.0.0.1")
    scene.pod("redis", "10.0.0.2", component=labels.REDIS_COMPONENT)
    scene.pod("leaving", "10.0.0.3", deletionTimestamp="2026-01-01T00:00:00Z")
    scene.pod("starting", "10.0.0.4", container=WAITING)
    scene.pod("six", "fd00::1")
    await scene.round()
    assert set(scene.scraper.asked) == {"10.0.0.1:9000", "[fd00::1]:9000"}


async def test_a_pod_that_never_began_is_not_silent_and_one_that_crashed_is() -> None:
    scene = Scene()
    scene.pod("server", "10.0.0.1")
    scene.pod("starting", "10.0.0.2", container=WAITING)
    scene.pod("crashed", "10.0.0.3", container=CRASHED)
    for _ in range(5):
        await scene.round()
    load = scene.loop.load(KEY)
    assert load is not None
    assert load.silent_pods == ("crashed",)
    assert set(scene.scraper.asked) == {"10.0.0.1:9000"}


async def test_a_pod_that_starts_for_the_first_time_is_not_silent_and_is_heard_as_soon_as_it_speaks() -> None:
    scene = Scene()
    starting = scene.pod("starting", "10.0.0.1", container=RUNNING | {"started": False})
    again = scene.pod("again", "10.0.0.2", container=RUNNING | {"started": False, "restartCount": 1})
    scene.scraper.pods.clear()
    for _ in range(5):
        await scene.round()
    load = scene.loop.load(KEY)
    assert load is not None
    assert load.silent_pods == ("again",)
    scene.scraper.pods = {"10.0.0.1:9000": starting, "10.0.0.2:9000": again}
    starting.queued = 3
    for _ in range(3):
        await scene.round()
    load = scene.loop.load(KEY)
    assert load is not None
    assert (load.silent_pods, load.queue_depth) == ((), 3)


async def test_a_service_that_is_gone_has_no_series() -> None:
    scene = Scene()
    await scene.round()
    assert scene.loop.series(KEY) is not None
    scene.cluster.remove("VoiceService", *("studio", "narrator"))
    assert scene.loop.series(KEY) is None
    await scene.round()
    assert (scene.loop.services(), scene.loop.load(KEY)) == ([], None)


async def test_nothing_is_known_of_a_service_that_nobody_has_looked_at() -> None:
    scene = Scene()
    assert (scene.loop.series(KEY), scene.loop.load(KEY)) == (None, None)


async def test_who_leads_writes_which_pod_is_missed_most_and_writes_it_once() -> None:
    scene = Scene()
    scene.pod("a", "10.0.0.1").heat["x"] = 9.0
    scene.pod("b", "10.0.0.2")
    await scene.round()
    assert scene.costs() == {"a": "20", "b": None}
    for _ in range(20):
        await scene.round()
    assert scene.writes() == 1


async def test_who_does_not_lead_writes_nothing() -> None:
    scene = Scene()
    scene.leads = False
    scene.pod("a", "10.0.0.1").heat["x"] = 9.0
    scene.pod("b", "10.0.0.2")
    await scene.round()
    assert scene.writes() == 0
    scene.leads = True
    await scene.round()
    assert scene.costs() == {"a": "20", "b": None}


async def test_a_new_leader_begins_with_what_the_pods_are_annotated_with() -> None:
    scene = Scene()
    scene.pod("a", "10.0.0.1", annotations={ANNOTATION: "20"}).heat["x"] = 9.0
    scene.pod("b", "10.0.0.2", annotations={ANNOTATION: "nonsense"})
    await scene.round()
    assert scene.writes() == 0


async def test_a_cost_that_is_nothing_is_no_annotation() -> None:
    scene = Scene()
    scene.pod("a", "10.0.0.1", annotations={ANNOTATION: "20"})
    scene.pod("b", "10.0.0.2").heat["x"] = 9.0
    await scene.round()
    assert scene.costs() == {"a": None, "b": "20"}


async def test_a_write_that_is_refused_is_tried_again_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    scene.pod("a", "10.0.0.1").heat["x"] = 9.0
    scene.pod("b", "10.0.0.2")
    scene.cluster.refuse("annotate", Forbidden("pods is forbidden"))
    await scene.round()
    await scene.round()
    assert scene.writes() == 1
    assert [record.message for record in caplog.records] == ["the deletion costs of pods could not be written"]
    scene.cluster.allow("annotate")
    await scene.round(LEAST_SECONDS)
    assert scene.costs() == {"a": "20", "b": None}


async def test_who_leads_no_more_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    scene.pod("a", "10.0.0.1").heat["x"] = 9.0
    scene.pod("b", "10.0.0.2")
    scene.cluster.refuse("annotate", NotLeading("another one leads"))
    await scene.round()
    assert caplog.records == []


async def test_an_api_server_that_is_slow_holds_no_round_up() -> None:
    scene = Scene()
    scene.pod("a", "10.0.0.1").heat["x"] = 9.0
    scene.pod("b", "10.0.0.2")
    gate = asyncio.Event()
    annotate = scene.cluster.annotate

    async def slow(*arguments: Any) -> None:
        await gate.wait()
        await annotate(*arguments)

    scene.cluster.annotate = slow  # type: ignore[method-assign,assignment]
    await scene.loop.round()
    await scene.loop.round()
    assert scene.loop.rounds == 2
    gate.set()
    await scene.loop.written()
    assert scene.costs() == {"a": "20", "b": None}


async def test_a_load_that_moves_is_worth_a_turn_now_and_then() -> None:
    scene = Scene()
    pod = scene.pod("a", "10.0.0.1")
    for _ in range(int(60 / 5)):
        pod.does(5.0, synthesis=scene.now)
        await scene.round()
    assert len(scene.news) == 60 / NUMBERS_SECONDS
    assert set(scene.news) == {KEY}


async def test_a_service_at_rest_is_worth_no_turn() -> None:
    scene = Scene()
    scene.pod("a", "10.0.0.1")
    for _ in range(20):
        await scene.round()
    assert scene.news == [KEY]


async def test_a_pod_that_falls_silent_is_worth_a_turn_at_once() -> None:
    scene = Scene()
    scene.pod("a", "10.0.0.1")
    for _ in range(4):
        await scene.round()
    scene.scraper.pods.clear()
    scene.news.clear()
    for _ in range(4):
        await scene.round(1.0)
    assert scene.news == [KEY]


@in_virtual_time
async def test_every_period_all_pods_are_asked() -> None:
    scene = Scene()
    scene.pod("a", "10.0.0.1")
    clock = asyncio.get_running_loop().time
    loop = LoadLoop(scene.live, scene.scraper, scene.cluster, leads=lambda: True, clock=clock, period_seconds=5.0)
    running = asyncio.create_task(loop.run())
    await asyncio.sleep(22.0)
    running.cancel()
    await asyncio.wait({running})
    assert scene.scraper.asked == {"10.0.0.1:9000": 5}
