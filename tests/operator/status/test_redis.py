"""Is the Redis there?  Every problem with what helps; the managed one's pod, and its volume."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operator.manifests import AService, a_service
from tests.operator.status.states import (
    FIT,
    LATELY,
    APod,
    AState,
    Built,
    a_claim,
    a_deployment,
    a_good_state,
    a_redis_pod,
    a_state,
    an_object,
)
from timbre_operator.observed import RedisFacts, RedisProblem
from timbre_operator.voiceservice.status import Condition

_EXTERNAL = a_service().on_external_redis()


def _ready(state: AState) -> Condition:
    return state.condition("RedisReady")


def _facts(problem: RedisProblem, **more: Any) -> RedisFacts:
    return RedisFacts(address="redis.shared:6379", problem=problem, **more)


def test_a_redis_that_answers_is_ready() -> None:
    ready = _ready(a_good_state())
    assert (ready.status, ready.reason) == ("True", "Reachable")
    assert ready.message == "Redis 8.1.8 at narrator-redis.studio.svc:6379 keeps the voices"


def test_a_redis_that_tells_no_version_is_ready_too() -> None:
    ready = _ready(a_state(_EXTERNAL).knowing(redis=RedisFacts(address="redis.shared:6379")))
    assert ready.message == "Redis at redis.shared:6379 keeps the voices"


_CURES = {
    RedisProblem.SECRET_MISSING: ("create it", "delete Secret narrator-redis"),
    RedisProblem.UNREACHABLE: (
        "correct spec.redis.external.address",
        "kubectl -n studio describe pod narrator-redis-0",
    ),
    RedisProblem.TLS_FAILED: ("caSecretRef", "kubectl -n studio logs narrator-redis-0"),
    RedisProblem.AUTH_FAILED: ("the password in the Secret of passwordSecretRef", "delete pod narrator-redis-0"),
    RedisProblem.LOADING: ("wait", "wait"),
    RedisProblem.TOO_OLD: ("is 6.2.14, older than 7.0; upgrade it", "correct the operator's redis image"),
    RedisProblem.POLICY_EVICTS_VOICES: (
        "has maxmemory-policy allkeys-lru, which evicts voices; set it",
        "the operator sets",
    ),
    RedisProblem.APPEND_ONLY_OFF: ("", "the operator turns it on again; do not restart Redis before"),
    RedisProblem.FULL: ("give it more memory", "raise spec.redis.managed.maxMemory (now 1Gi)"),
    RedisProblem.READ_ONLY: ("write the primary's address", "look at who made it one"),
    RedisProblem.RESTART_DROPS_VOICES: ("write ACL SETUSER default off resetpass allkeys +@all", "ACL LOAD"),
    RedisProblem.DISK_WRITE_FAILED: ("give its disk room", "raise spec.redis.managed.storage.size (now 4096Mi)"),
}


def test_an_external_redis_without_an_append_only_file_is_ready_and_says_what_that_costs() -> None:
    """Whether snapshots, replicas or a provider's own log are enough is for its owner to say."""
    facts = RedisFacts(address="redis.shared:6379", version="8.1", appends=False)
    state = a_good_state(_EXTERNAL).knowing(redis=facts)
    assert _ready(state).status == "True"
    assert "keeps the voices, without an append-only file: a restart drops those" in _ready(state).message
    assert state.condition("Degraded").status == "False"


_OF_A_MANAGED_ONE = {RedisProblem.APPEND_ONLY_OFF}
"""Problems that no external Redis has."""


@pytest.mark.parametrize(
    ("problem", "managed"),
    [
        (problem, managed)
        for problem in RedisProblem
        for managed in (False, True)
        if managed or problem not in _OF_A_MANAGED_ONE
    ],
)
def test_every_problem_says_what_helps(problem: RedisProblem, *, managed: bool) -> None:
    facts = _facts(problem, version="6.2.14", policy="allkeys-lru", detail="what the probe saw")
    state = a_state(a_service() if managed else _EXTERNAL).with_pods(a_redis_pod()).knowing(redis=facts)
    ready = _ready(state)
    assert (ready.status, ready.reason) == ("False", problem.value)
    assert _CURES[problem][managed] in ready.message
    assert ready.message.endswith(": what the probe saw")


@pytest.mark.parametrize("problem", [problem for problem in RedisProblem if problem is not RedisProblem.LOADING])
def test_pods_go_on_serving_without_it(problem: RedisProblem) -> None:
    state = a_good_state(a_service() if problem in _OF_A_MANAGED_ONE else _EXTERNAL).knowing(redis=_facts(problem))
    assert state.condition("Ready").status == "True"
    assert state.condition("Degraded").reason == f"Redis{problem.value}"


def test_a_redis_that_reads_its_file_is_no_trouble() -> None:
    assert a_good_state().knowing(redis=_facts(RedisProblem.LOADING)).condition("Degraded").status == "False"


def test_a_redis_that_was_never_asked_is_unknown() -> None:
    ready = _ready(a_state(_EXTERNAL))
    assert (ready.status, ready.reason) == ("Unknown", "NotAskedYet")
    assert _ready(a_state().with_pods(a_redis_pod())).reason == "NotAskedYet"


_PODS: dict[str, tuple[APod, str, str]] = {
    "its image does not come": (
        a_redis_pod().waiting("ErrImagePull", "manifest unknown"), "ImagePullFailed", "valkey:8.1.8-alpine",
    ),
    "its registry wants a login, which no field of the spec gives this pod": (
        a_redis_pod().waiting("ErrImagePull", "401 Unauthorized"), "ImagePullFailed",
        "let the pods log in by imagePullSecrets of ServiceAccount studio/default, and delete the pod",
    ),
    "it fits nowhere": (
        a_redis_pod().unscheduled("0/3 nodes are available: 3 Insufficient memory."), "InsufficientMemory", "lower its requests",
    ),
    "its volume is nowhere": (
        a_redis_pod().unscheduled("pod has unbound immediate PersistentVolumeClaims"), "VolumePending", "describe pvc",
    ),
    "it takes too much memory": (
        a_redis_pod().with_memory_limit("1366Mi").ended(137, reason="OOMKilled"), "OOMKilled",
        "its limit of 1366Mi; raise spec.redis.managed.maxMemory (now 1Gi)",
    ),
    "it does not like its file": (
        a_redis_pod().ended(1, words="Bad file format reading the append only file: make a backup"), "Crashed",
        '"Bad file format reading the append only file',
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", _PODS)
def test_the_pod_says_why_nobody_answers(case: str) -> None:
    pod, reason, words = _PODS[case]
    ready = _ready(a_state().with_pods(pod).knowing(redis=_facts(RedisProblem.UNREACHABLE)))
    assert (ready.status, ready.reason) == ("False", reason)
    assert "narrator-redis-0" in ready.message
    assert words in ready.message


def test_a_disk_that_fails_is_why_the_probes_fail_and_not_the_other_way_round() -> None:
    sized = a_service().with_spec(redis={"managed": {"storage": {"size": "8Gi"}}})
    words = 'it says "MISCONF Errors writing to the AOF file: No space left on device"'
    state = a_state(sized).knowing(redis=_facts(RedisProblem.DISK_WRITE_FAILED, detail=words))
    unready = a_redis_pod().not_ready().warned("Unhealthy", "Readiness probe failed: MISCONF Errors writing")
    never_started = a_redis_pod().not_ready().container(started=False)
    for pod in (unready, never_started, a_redis_pod()):
        ready = _ready(state.with_pods(pod))
        assert (ready.status, ready.reason) == ("False", "DiskWriteFailed")
        assert "raise spec.redis.managed.storage.size (now 8Gi), and it goes on by itself" in ready.message
        assert ready.message.endswith(words)


def test_a_pod_that_is_on_its_way_is_starting() -> None:
    state = (
        a_state().with_pods(a_redis_pod().waiting("ContainerCreating")).knowing(redis=_facts(RedisProblem.UNREACHABLE))
    )
    assert (_ready(state).status, _ready(state).reason) == ("False", "Starting")
    assert state.condition("Degraded").status == "False"


def test_the_pod_of_a_former_managed_redis_is_nobodys_trouble() -> None:
    state = a_state(_EXTERNAL).with_pods(a_redis_pod().ended(1)).knowing(redis=FIT)
    assert _ready(state).status == "True"
    assert state.condition("Degraded").status == "False"


def _exporter(**fields: object) -> APod:
    pod = a_redis_pod().with_container("exporter", "docker.io/oliver006/redis_exporter:v1.88.0")
    return pod.container(name="exporter", ready=False, **fields)


def test_a_failing_exporter_leaves_redis_ready_and_is_told() -> None:
    pod = _exporter(state={"waiting": {"reason": "ErrImagePull", "message": "manifest unknown"}})
    state = a_good_state().knowing(pods=()).with_pods(pod)
    assert _ready(state).status == "True"
    degraded = state.condition("Degraded")
    assert degraded.reason == "ExporterFailing"
    assert "redis_exporter:v1.88.0" in degraded.message
    assert degraded.message.endswith("; or write spec.redis.managed.exporter: Disabled")


def test_a_redis_that_was_killed_lately_is_ready_and_the_killing_is_told() -> None:
    killed = a_redis_pod().with_memory_limit("1366Mi").ended(137, reason="OOMKilled").running_again()
    state = a_good_state().knowing(pods=()).with_pods(killed)
    assert _ready(state).status == "True"
    degraded = state.condition("Degraded")
    assert degraded.reason == "RedisOOMKilled"
    assert "raise spec.redis.managed.maxMemory (now 1Gi)" in degraded.message
    away = state.knowing(redis=_facts(RedisProblem.UNREACHABLE))
    assert _ready(away).reason == "Unreachable"  # it runs, so that is not why


def test_an_exporter_that_came_back_is_forgotten() -> None:
    ending = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": LATELY}
    pod = _exporter(lastState={"terminated": ending}).container(name="exporter", ready=True)
    assert a_good_state().knowing(pods=()).with_pods(pod).condition("Degraded").status == "False"


def test_a_failing_exporter_is_not_why_redis_does_not_answer() -> None:
    pod = _exporter(state={"waiting": {"reason": "ErrImagePull", "message": "manifest unknown"}})
    state = a_state().with_pods(pod).knowing(redis=_facts(RedisProblem.UNREACHABLE))
    assert _ready(state).reason == "Unreachable"


def _growing_to(service: AService, *objects: Built) -> AState:
    return a_state(service).having(a_deployment().serving(1), *objects).with_pods(a_redis_pod()).knowing(redis=FIT)


_PENDING: dict[str, tuple[str | None, str, str, str]] = {
    "its class is not there": (
        "fast", "ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found',
        "there is no storage class fast; create it",
    ),
    "it has no class": (
        None, "FailedBinding", "no persistent volumes available for this claim and no storage class is set",
        "it names no storage class, and the cluster has no default one; make one the default",
    ),
    "it wants no class": (
        "", "FailedBinding", "no persistent volumes available for this claim and no storage class is set",
        "its storageClassName is empty, and no volume fits; create a PersistentVolume for it",
    ),
    "its class makes none": (
        "fast", "ProvisioningFailed", "rpc error: code = ResourceExhausted desc = the pool is full",
        "storage class fast does not make one; see what its provisioner lacks by kubectl get storageclass fast -o yaml",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", _PENDING)
def test_a_claim_without_a_volume_is_told_with_its_class_its_cause_and_a_way_that_is_open(case: str) -> None:
    of_class, event, words, cure = _PENDING[case]
    state = a_state().having(a_claim("Pending", has="", of_class=of_class)).with_pods(
        a_redis_pod().unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.")
    )  # fmt: skip
    ready = _ready(state.warned("PersistentVolumeClaim", "data-narrator-redis-0", event, words))
    assert (ready.status, ready.reason) == ("False", "VolumePending")
    assert ready.message.startswith(f"PersistentVolumeClaim data-narrator-redis-0 gets no volume: {cure}")
    # The field of a service that is there is refused by the API server.
    assert (
        "or delete VoiceService narrator and this claim, and make it anew with another spec.redis.managed.storage.className"
    ) in ready.message
    assert ready.message.endswith(f'it is told: "{words}"')


def test_a_claim_that_waits_for_its_pod_is_told_nothing_and_is_no_trouble() -> None:
    state = a_state().having(a_claim("Pending", has="")).with_pods(a_redis_pod().waiting("ContainerCreating"))
    assert _ready(state).reason == "Starting"


_INFEASIBLE = a_claim(wanted="8Gi").with_status(allocatedResourceStatuses={"storage": "ControllerResizeInfeasible"})
_ERROR = a_claim(wanted="8Gi").with_condition("ControllerResizeError", "True", message="the disk is at its largest")


@pytest.mark.parametrize("claim", [_INFEASIBLE, _ERROR], ids=["infeasible", "error"])
def test_a_volume_that_cannot_grow_is_told(claim: Built) -> None:
    degraded = _growing_to(a_service(), claim).condition("Degraded")
    assert degraded.reason == "VolumeNotGrown"
    assert "it has 4Gi" in degraded.message


def test_a_storage_class_that_refuses_to_grow_is_told() -> None:
    words = (
        'persistentvolumeclaims "data-narrator-redis-0" is forbidden: only dynamically provisioned pvc can be resized and'
        " the storageclass that provisions the pvc must support resize"
    )
    state = _growing_to(a_service(), a_claim()).failing("PersistentVolumeClaim", "Forbidden", words)
    degraded = state.condition("Degraded")
    assert degraded.reason == "VolumeNotGrown"
    assert "allowVolumeExpansion" in degraded.message


_FAST = a_service().with_spec(redis={"managed": {"storage": {"className": "fast"}}})


@pytest.mark.parametrize(("of_class", "told"), [("standard", "standard"), ("", "(none)"), (None, "(none)")])
def test_a_volume_that_was_there_before_with_another_class_is_told(of_class: str | None, told: str) -> None:
    state = _growing_to(_FAST, a_claim(of_class=of_class))
    assert state.condition("RedisReady").status == "True"
    degraded = state.condition("Degraded")
    assert degraded.reason == "VolumeOfAnotherClass"
    assert degraded.message.startswith(
        f"PersistentVolumeClaim data-narrator-redis-0 was there before, with storage class {told} instead of fast"
    )


@pytest.mark.parametrize(
    ("service", "claim"),
    [
        (_FAST, a_claim(of_class="fast")),
        (_FAST, a_claim("Pending", has="", of_class="standard")),
        (a_service(), a_claim(of_class="standard")),
    ],
    ids=["the same", "no volume yet", "nothing was asked for"],
)
def test_any_other_class_is_no_trouble(service: AService, claim: Built) -> None:
    assert _growing_to(service, claim).condition("Degraded").status == "False"


def test_a_volume_of_its_size_is_no_trouble() -> None:
    state = _growing_to(a_service(), a_claim(), an_object("StatefulSet", "narrator-redis"))
    assert state.condition("Degraded").status == "False"
    assert state.condition("Progressing").reason == "Settled"


def test_another_claim_is_another_matter() -> None:
    other = _INFEASIBLE.changed(lambda manifest: manifest["metadata"].update(name="recordings"))
    assert _growing_to(a_service(), a_claim(), other).condition("Degraded").status == "False"
    foreign = _INFEASIBLE.changed(lambda manifest: manifest.update(kind="VolumeAttachment"))
    assert _growing_to(a_service(), foreign).condition("Degraded").status == "False"


def test_another_refusal_is_told_for_what_it_is() -> None:
    state = _growing_to(a_service(), a_claim())
    quota = state.failing("PersistentVolumeClaim", "Forbidden", "exceeded quota: storage, requested: 4Gi")
    assert quota.condition("Degraded").reason == "QuotaExceeded"
    other = state.failing("Deployment", "Invalid", "spec: Invalid value: cannot resize")
    assert other.condition("Degraded").reason == "ObjectInvalid"


def test_a_claim_that_was_never_bound_has_no_size_to_grow_from() -> None:
    state = _growing_to(a_service(), a_claim("Pending", wanted="8Gi", has=""))
    assert state.condition("Progressing").reason == "Settled"
