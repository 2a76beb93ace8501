"""Everything is listed anew: what watches missed is found, and what may not be seen is said."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operator.desired.children import children_of
from tests.operator.manifests import a_service
from tests.operator.reconciler.cluster_in_memory import ClusterInMemory
from timbre_operator.errors import Forbidden, NotFound, Unavailable
from timbre_operator.kinds import WATCHED
from timbre_operator.observed import METRICS_API_DISABLED, OptionalKind
from timbre_operator.ports import Kind, Listing, ServiceKey
from timbre_operator.reconciler.freshness import Freshness
from timbre_operator.reconciler.live import Live
from timbre_operator.reconciler.resync import Resync
from timbre_operator.reconciler.world import Surroundings

KEY = ServiceKey("studio", "narrator")
EVERYTHING = {watched.kind.kind for watched in WATCHED}


class Scene:
    """A resync of a cluster in memory; nothing is watched."""

    def __init__(self, *namespaces: str, serves_metrics: bool = True) -> None:
        self.cluster = ClusterInMemory()
        self.live = Live()
        self.seconds = 0.0
        self.freshness = Freshness(lambda: self.seconds)
        self.surroundings = Surroundings()
        self.resync = Resync(
            self.cluster, self.live, self.freshness, self.surroundings,
            namespaces=namespaces, serves_metrics=serves_metrics,
        )  # fmt: skip


async def test_what_is_there_is_found() -> None:
    scene = Scene()
    scene.cluster.add(a_service().manifest)
    assert await scene.resync.once() == EVERYTHING
    assert list(scene.live.services()) == [KEY]


async def test_a_deletion_that_nobody_told_of_is_found() -> None:
    scene = Scene()
    scene.cluster.add(a_service().manifest)
    await scene.resync.once()
    scene.cluster.remove("VoiceService", *("studio", "narrator"))
    await scene.resync.once()
    assert list(scene.live.services()) == []


async def test_only_the_namespaces_that_were_named_are_listed() -> None:
    scene = Scene("radio", "studio")
    for namespace in ("studio", "elsewhere"):
        scene.cluster.add(a_service().called("narrator", namespace).manifest)
    await scene.resync.once()
    assert list(scene.live.services()) == [KEY]


async def test_a_kind_that_may_not_be_listed_is_neither_watched_nor_forgotten_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene()
    scene.cluster.refuse("snapshot Secret", Forbidden('cannot list resource "secrets" in API group ""'))
    for _ in range(3):
        assert await scene.resync.once() == EVERYTHING - {"Secret"}
    (failure,) = scene.surroundings.failures
    assert (failure.kind, failure.reason) == ("Secret", "Forbidden")
    assert caplog.text.count("may not list secrets") == 1

    scene.cluster.allow("snapshot Secret")
    assert await scene.resync.once() == EVERYTHING
    assert scene.surroundings.failures == ()


async def test_a_kind_that_may_be_listed_and_not_watched_is_listed_and_said(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene("studio")
    scene.cluster.add(a_service().manifest)
    scene.cluster.denied.add("watch voiceservices studio")
    for _ in range(3):
        assert await scene.resync.once() == EVERYTHING - {"VoiceService"}
    assert list(scene.live.services()) == [KEY]
    (failure,) = scene.surroundings.failures
    assert (
        'cannot watch resource "voiceservices" in API group "timbre.dev" in the namespace "studio"' in failure.message
    )
    assert caplog.text.count("may not watch voiceservices") == 1

    scene.cluster.denied.clear()
    assert await scene.resync.once() == EVERYTHING
    assert scene.surroundings.failures == ()


async def test_a_right_to_watch_is_asked_for_once_and_again_when_watches_broke() -> None:
    scene = Scene()
    for _ in range(3):
        await scene.resync.once()
    assert scene.cluster.calls["may watch secrets"] == 1
    scene.cluster.denied.add("watch secrets")
    assert await scene.resync.once() == EVERYTHING
    scene.resync.doubt()
    assert await scene.resync.once() == EVERYTHING - {"Secret"}


@pytest.mark.parametrize("verb", ["list", "create", "patch"])
async def test_a_right_on_events_that_is_missing_is_said_once_until_it_is_granted(
    verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene("radio", "studio")
    scene.cluster.denied.add(f"{verb} events studio")
    for _ in range(3):
        assert await scene.resync.once() == EVERYTHING
    (failure,) = scene.surroundings.failures
    assert f'cannot {verb} resource "events" in API group "" in the namespace "studio"' in failure.message
    assert caplog.text.count(f"the operator may not {verb} events") == 1

    scene.cluster.denied.clear()
    await scene.resync.once()
    assert scene.surroundings.failures == ()
    scene.cluster.denied.add(f"{verb} events radio")
    await scene.resync.once()
    assert caplog.text.count(f"the operator may not {verb} events") == 2


async def test_a_namespace_that_may_not_be_seen_hides_no_other_one() -> None:
    scene = Scene("radio", "studio")
    scene.cluster.add(a_service().manifest)
    snapshot = scene.cluster.snapshot

    async def forbidden_in_one(kind: Kind, *, namespace: str = "", labels: Any = None) -> Listing:
        if namespace == "radio":
            raise Forbidden(f'cannot list resource "{kind.plural}" in API group "" in the namespace "radio"')
        return await snapshot(kind, namespace=namespace, labels=labels)

    scene.cluster.snapshot = forbidden_in_one  # type: ignore[method-assign]
    await scene.resync.once()
    assert list(scene.live.services()) == [KEY]
    assert 'in the namespace "radio"' in scene.surroundings.failures[0].message


async def test_an_optional_kind_that_is_not_there_is_not_asked_for_until_it_comes() -> None:
    scene = Scene()
    scene.cluster.kinds = frozenset({OptionalKind.POD_MONITOR})
    assert await scene.resync.once() == EVERYTHING - {"ScaledObject", "PrometheusRule"}
    assert not scene.cluster.calls["snapshot ScaledObject"]
    scene.cluster.kinds = frozenset(OptionalKind)
    assert await scene.resync.once() == EVERYTHING
    assert scene.surroundings.kinds == frozenset(OptionalKind)


@pytest.mark.parametrize("which", ["discovery", "list"])
async def test_a_kind_that_does_not_answer_is_neither_watched_nor_forgotten_and_stops_no_other(
    which: str, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene()
    monitor = children_of(a_service(), kinds=frozenset(OptionalKind))["PodMonitor/narrator"]
    scene.cluster.add(a_service().manifest)
    scene.cluster.add(monitor)
    await scene.resync.once()
    if which == "discovery":
        scene.cluster.silent[OptionalKind.POD_MONITOR] = "503"
    else:
        scene.cluster.refuse("snapshot PodMonitor", Unavailable("503"))
    scene.cluster.remove("VoiceService", "studio", "narrator")
    for _ in range(3):
        assert await scene.resync.once() == EVERYTHING - {"PodMonitor"}
    assert list(scene.live.services()) == []
    assert scene.live.find("PodMonitor", "studio", "narrator")
    assert scene.surroundings.kinds == frozenset(OptionalKind)
    assert scene.surroundings.silent_kinds == {OptionalKind.POD_MONITOR: "503"}
    assert scene.surroundings.failures == ()
    assert caplog.text.count("podmonitors.monitoring.coreos.com cannot be listed") == 1

    scene.cluster.silent.clear()
    if which == "list":
        scene.cluster.allow("snapshot PodMonitor")
    assert await scene.resync.once() == EVERYTHING
    assert scene.surroundings.silent_kinds == {}


async def test_a_kind_that_never_answered_is_not_taken_for_there() -> None:
    scene = Scene()
    scene.cluster.silent[OptionalKind.SCALED_OBJECT] = "503"
    assert await scene.resync.once() == EVERYTHING - {"ScaledObject"}
    assert OptionalKind.SCALED_OBJECT not in scene.surroundings.kinds


async def test_without_the_crd_it_says_what_to_install(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    scene.cluster.refuse("snapshot VoiceService", NotFound("the server could not find the requested resource"))
    assert "VoiceService" not in await scene.resync.once()
    assert "the CRD voiceservices.timbre.dev is not installed" in caplog.text


async def test_while_the_api_server_is_away_what_is_known_stays() -> None:
    scene = Scene()
    scene.cluster.add(a_service().manifest)
    await scene.resync.once()
    scene.cluster.refuse("snapshot", Unavailable("away"))
    with pytest.raises(Unavailable):
        await scene.resync.once()
    assert list(scene.live.services()) == [KEY]


async def test_a_list_that_brings_nothing_new_is_a_sign_of_life() -> None:
    scene = Scene()
    scene.freshness.watch(await scene.resync.once())
    scene.seconds = 60
    await scene.resync.once()
    assert scene.freshness.idle_seconds() == 0


async def test_the_metrics_that_an_hpa_reads_are_looked_for_where_it_looks() -> None:
    scene = Scene()
    scene.cluster.metrics = frozenset({"voiceservices.timbre.dev/timbre_queue_depth"})
    await scene.resync.once()
    assert scene.surroundings.metrics_api is None


@pytest.mark.parametrize(
    ("serves", "metrics", "said"),
    [
        (True, None, "no APIService v1beta2.custom.metrics.k8s.io is registered"),
        (False, None, METRICS_API_DISABLED),
        (True, frozenset({"pods/other"}), "served by somebody else"),
    ],
)
async def test_why_an_hpa_cannot_read_them_is_said(*, serves: bool, metrics: frozenset[str] | None, said: str) -> None:
    scene = Scene(serves_metrics=serves)
    scene.cluster.metrics = metrics
    await scene.resync.once()
    assert said in str(scene.surroundings.metrics_api)


async def test_an_adapter_that_does_not_answer_is_named() -> None:
    scene = Scene()
    scene.cluster.refuse("custom metrics", Unavailable("503"))
    await scene.resync.once()
    assert "does not answer: 503" in str(scene.surroundings.metrics_api)
