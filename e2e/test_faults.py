"""What do clients notice when a part dies, hangs, or is away?"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from e2e.installation import OPERATOR_PODS, REDIS, Installation, VoiceService
from e2e.kubectl import Kubectl, eventually, is_true
from e2e.load import SPEECH, Answers, Load, under_load
from e2e.local_cluster import LocalCluster
from e2e.pods import HER, HIM, Client, address
from e2e.services import NEW_TEXTS, STUB

Images = Mapping[str, str]
RATE: Final = 10
KUBELET_TAKES_FOR_NEW_SECONDS: Final = 12
"""Ten before its own start since Kubernetes 1.35 (pkg/kubelet/prober), and two for clocks that tell whole seconds."""


@pytest.fixture
def own_cluster(cluster: LocalCluster) -> LocalCluster:
    """Whose programs a test may kill."""
    if cluster.lent:
        pytest.skip("the programs of a cluster that is not ours")
    return cluster


@pytest.fixture
def service(namespace: Kubectl, timbre: Installation) -> VoiceService:  # noqa: ARG001 - somebody must make it true
    """Two pods, ready, and a Redis."""
    return VoiceService(namespace, "narrator", STUB).apply().ready()


@pytest.fixture
def loaded(service: VoiceService, images: Images) -> Callable[..., Any]:
    """Load on the service while a block runs."""

    @contextlib.contextmanager
    def load(bodies: list[dict[str, Any]] = NEW_TEXTS, retries: int = 0) -> Iterator[Answers]:
        with under_load(service.kubectl, images, Load(service.url + SPEECH, bodies, RATE, retries=retries)) as answers:
            yield answers

    return load


def restarts(pods: list[dict[str, Any]]) -> dict[str, int]:
    return {
        f"{pod['metadata']['name']}/{each['name']}": each["restartCount"]
        for pod in pods
        for each in pod["status"]["containerStatuses"]
    }


def hold(client: Client, service: VoiceService, voices: list[str]) -> None:
    """Lets every pod speak in every voice: what it never held it cannot get from a Redis that is away."""
    for pod in service.ready_pods():
        for voice in voices:
            assert client.speak(address(pod), {"id": voice})["status"] == 200


def test_killed_pod_costs_a_client_that_tries_again_nothing(
    service: VoiceService, own_cluster: LocalCluster, loaded: Callable[..., Any]
) -> None:
    with loaded(retries=2) as answers:
        (victim, *_) = service.ready_pods()
        os.kill(own_cluster.process_of(victim, "server"), signal.SIGKILL)
        eventually(lambda: max(restarts(service.pods()).values()), seconds=30, what="the restart")
        eventually(service.ready_pods, lambda pods: len(pods) == 2, seconds=60, what="both pods")

    answers.assert_all_good()


def seconds_since_last_start(pods: list[dict[str, Any]]) -> float:
    """Of any of their containers; 0 while one does not run."""
    states = [each["state"].get("running") for pod in pods for each in pod["status"]["containerStatuses"]]
    now = datetime.now(UTC)
    return min((now - datetime.fromisoformat(state["startedAt"])).total_seconds() if state else 0.0 for state in states)


def test_restart_of_the_kubelet_restarts_no_container_and_is_noticed_by_no_client(
    service: VoiceService, own_cluster: LocalCluster, loaded: Callable[..., Any], namespace: Kubectl
) -> None:
    # A kubelet that starts takes younger containers for new ones, and calls them unready until it has probed them.
    eventually(
        lambda: seconds_since_last_start(namespace.items("pods")),
        lambda seconds: seconds > KUBELET_TAKES_FOR_NEW_SECONDS,
        what="pods that are old enough",
    )
    before = restarts(namespace.items("pods"))
    with loaded() as answers:
        own_cluster.kill("kubelet")
        own_cluster.mend()
        # Its pods are called ready all the time: only whoever asks itself learns when it knows them again.
        eventually(
            lambda: namespace("exec", "load", "--", "echo", "there"), seconds=60, what="a kubelet that knows its pods"
        )
        assert len(service.ready_pods()) == 2

    answers.assert_all_good()
    assert before.items() <= restarts(namespace.items("pods")).items()


def test_redis_that_is_deleted_comes_back_with_every_voice(
    service: VoiceService, images: Images, loaded: Callable[..., Any], namespace: Kubectl
) -> None:
    client = Client.start(namespace, images)
    voices = [client.enrol(service.url, recording) for recording in (HER, HIM)]
    hold(client, service, voices)
    bodies = [{**NEW_TEXTS[0], "voice": {"id": voice}} for voice in voices]
    with loaded(bodies) as answers:
        namespace("delete", "pod", "narrator-redis-0")
        namespace.rolled_out("statefulset/narrator-redis")
        service.ready()

    answers.assert_all_good()
    listed = client.ask("GET", f"{service.url}/v1/audio/voices")["json"]["data"]
    assert {voice["id"] for voice in listed} == set(voices)
    assert client.enrol(service.url, HER, "after the fault")


def test_voices_outlive_every_process_at_once(
    service: VoiceService, own_cluster: LocalCluster, images: Images, namespace: Kubectl
) -> None:
    """As when a node goes: nobody is left who could tell Redis what it held."""
    client = Client.start(namespace, images)
    voice = client.enrol(service.url, HER)

    victims = [(pod, "server") for pod in service.pods()] + [(pod, "redis") for pod in service.pods(REDIS)]
    processes = [own_cluster.process_of(pod, container) for pod, container in victims]
    for process in processes:
        os.kill(process, signal.SIGKILL)
    eventually(
        lambda: restarts([*service.pods(), *service.pods(REDIS)]),
        lambda found: sum(found.values()) == len(processes),
        seconds=60,
        what="every process again",
    )
    service.ready().until_condition("RedisReady", "True")

    assert client.speak(service.url, {"id": voice})["status"] == 200


def test_redis_that_hangs_stops_no_speech(
    service: VoiceService, own_cluster: LocalCluster, images: Images, loaded: Callable[..., Any], namespace: Kubectl
) -> None:
    client = Client.start(namespace, images)
    voice = client.enrol(service.url, HER)
    hold(client, service, [voice])
    (redis,) = service.pods(REDIS)
    process = own_cluster.process_of(redis, "redis")
    with loaded([{**NEW_TEXTS[0], "voice": {"id": voice}}]) as answers:
        os.kill(process, signal.SIGSTOP)
        try:
            service.until_condition("RedisReady", "False", seconds=30)
            answer = client.ask("POST", f"{service.url}/v1/audio/voices", recording=HIM, fields={"name": "late"})
            assert (answer["status"], answer["json"]["error"]["code"]) == (503, "store_unavailable")
        finally:
            os.kill(process, signal.SIGCONT)
        service.until_condition("RedisReady", "True", seconds=60)

    answers.assert_all_good()


def test_volume_that_is_full_stops_enrolment_only_and_growing_it_is_enough(
    namespace: Kubectl,
    own_cluster: LocalCluster,
    images: Images,
    timbre: Installation,  # noqa: ARG001
) -> None:
    def sized(size: str) -> dict[str, Any]:
        return {
            "managed": {"maxMemory": "64Mi", "storage": {"className": "memory", "size": size, "onDelete": "Delete"}}
        }

    service = VoiceService(namespace, "narrator", STUB).apply(redis=sized("192Mi")).ready()
    client = Client.start(namespace, images)
    voice = client.enrol(service.url, HER)
    volume = namespace.json("get", "pvc", "data-narrator-redis-0")["spec"]["volumeName"]
    hold(client, service, [voice])
    # By somebody else: what Redis writes into memory counts as its own.
    fill(own_cluster.folder / "state/volumes" / volume / "filler")

    with under_load(
        namespace, images, Load(service.url + SPEECH, [{**NEW_TEXTS[0], "voice": {"id": voice}}], RATE)
    ) as answers:
        refused = client.ask("POST", f"{service.url}/v1/audio/voices", recording=HIM, fields={"name": "no room"})
        assert refused["status"] == 503, refused
        service.until_condition("RedisReady", "False", says="cannot write to its disk", seconds=60)
        service.apply(redis=sized("256Mi")).until_condition("RedisReady", "True", seconds=60)
        assert client.enrol(service.url, HIM, "room again")

    answers.assert_all_good()


def fill(file: Path) -> None:
    """Until there is no room left."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(1 << 20))


def test_operator_that_is_killed_is_missed_by_no_client_and_the_next_one_goes_on(
    service: VoiceService, timbre: Installation, loaded: Callable[..., Any]
) -> None:
    with loaded() as answers:
        before = names(timbre)
        timbre.kubectl("delete", "pods", "-l", OPERATOR_PODS, "--grace-period=0", "--force")
        eventually(lambda: names(timbre), lambda found: bool(found - before), seconds=30, what="another operator")
        changed = service.apply(batching={"maxBatchSize": 8}).ready(120)

    environment = changed.pods()[0]["spec"]["containers"][0]["env"]
    assert {"name": "TIMBRE_BATCHING__MAX_BATCH_SIZE", "value": "8"} in environment
    answers.assert_all_good()


def test_of_two_operators_the_other_one_leads_when_the_leader_is_killed(
    service: VoiceService, timbre: Installation, own_cluster: LocalCluster
) -> None:
    timbre.scale(2)
    try:
        leader = eventually(lambda: holder(timbre), lambda name: name in names(timbre), seconds=30, what="a leader")
        pod = next(each for each in timbre.operators() if each["metadata"]["name"] == leader)
        os.kill(own_cluster.process_of(pod, "operator"), signal.SIGSTOP)  # it does not even say goodbye
        other = eventually(
            lambda: holder(timbre), lambda name: name not in {leader, ""}, seconds=60, what="another leader"
        )
        assert other in names(timbre)
        service.apply(batching={"maxBatchSize": 4}).ready(120)
        os.kill(own_cluster.process_of(pod, "operator"), signal.SIGCONT)
        # It finds that it leads no more, and ends; the kubelet starts it again.
        eventually(lambda: restarts(timbre.operators())[f"{leader}/operator"], seconds=60, what="its end")
        assert holder(timbre) == other
    finally:
        timbre.scale(1)


def holder(timbre: Installation) -> str:
    """Which operator's pod has the lease."""
    lease = timbre.kubectl.json("get", "lease", "timbre-operator")
    return str(lease["spec"].get("holderIdentity") or "").partition("_")[0]


def names(timbre: Installation) -> set[str]:
    return {pod["metadata"]["name"] for pod in timbre.operators()}


def test_restart_of_the_api_server_is_noticed_by_no_client(
    service: VoiceService, own_cluster: LocalCluster, loaded: Callable[..., Any]
) -> None:
    with loaded() as answers:
        own_cluster.kill("kube-apiserver")
        own_cluster.mend()
        service.apply(batching={"maxBatchSize": 8}).ready(120)

    answers.assert_all_good()


def test_limit_that_is_too_small_takes_no_pod_away_and_is_named(
    service: VoiceService, loaded: Callable[..., Any]
) -> None:
    with loaded() as answers:
        small = service.apply(resources={"requests": {"cpu": "100m"}, "limits": {"memory": "40Mi"}})
        small.until_condition("Degraded", "True", says="memory", seconds=60)
        assert len(service.ready_pods()) == 2
        service.apply().ready(90)

    answers.assert_all_good()
    assert is_true(service.manifest(), "Ready")
