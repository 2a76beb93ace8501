"""States of a cluster for tests, made by chaining: ``a_state().having(a_deployment().rolling_out(2, of=5))``.

Objects have the shapes in which the API server returns them, and the words of the components that write them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self

from tests.operator.manifests import AService, a_service
from timbre_contract import labels
from timbre_operator.observed import Failure, Load, Observed, OptionalKind, RedisFacts
from timbre_operator.status import build_status
from timbre_operator.voiceservice.status import Condition, Status

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
LATELY = "2026-11-30T11:55:00Z"
LONG_AGO = "2026-11-30T10:00:00Z"
FIT = RedisFacts(address="narrator-redis.studio.svc:6379", version="8.1.8", policy="volatile-lru", max_bytes=1 << 30)
IMAGE = "ghcr.io/timbre-dev/timbre-server:0.1.0"


class Built:
    """An immutable manifest under construction."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        self.manifest = manifest

    def changed(self, change: Callable[[dict[str, Any]], object]) -> Self:
        manifest = copy.deepcopy(self.manifest)
        change(manifest)
        return type(self)(manifest)

    def with_status(self, **status: Any) -> Self:
        return self.changed(lambda manifest: manifest["status"].update(status))

    def with_condition(self, kind: str, status: str, reason: str = "", message: str = "") -> Self:
        condition = {"type": kind, "status": status, "reason": reason, "message": message}
        return self.changed(lambda manifest: manifest["status"].setdefault("conditions", []).append(condition))

    def owned_by(self, *owners: dict[str, Any]) -> Self:
        return self.changed(lambda manifest: manifest["metadata"].update(ownerReferences=list(owners)))

    def labelled(self, **labels_: str) -> Self:
        return self.changed(lambda manifest: manifest["metadata"]["labels"].update(labels_))


def an_object(kind: str, name: str = "narrator", **body: Any) -> Built:
    """Owned by the service."""
    owner = {"kind": labels.KIND, "name": "narrator", "uid": "0a1b2c3d", "controller": True}
    metadata = {"name": name, "namespace": "studio", "generation": 4, "labels": {}, "ownerReferences": [owner]}
    return Built({"kind": kind, "metadata": metadata, "spec": {}, "status": {}, **body})


class ADeployment(Built):
    """The Deployment of the service, in one state of its rollout."""

    def numbers(self, *, of: int, pods: int, new: int, ready: int) -> Self:
        desired = self.changed(lambda manifest: manifest["spec"].update(replicas=of))
        return desired.with_status(
            replicas=pods, updatedReplicas=new, readyReplicas=ready, availableReplicas=ready, observedGeneration=4
        )

    def serving(self, count: int) -> Self:
        return self.numbers(of=count, pods=count, new=count, ready=count)

    def starting(self, ready: int, *, of: int) -> Self:
        return self.numbers(of=of, pods=of, new=of, ready=ready)

    def rolling_out(self, new: int, *, of: int) -> Self:
        """With a pod more than there shall be; all but the newest serve."""
        return self.numbers(of=of, pods=of + 1, new=new, ready=of)

    def not_seen_yet(self) -> Self:
        return self.with_status(observedGeneration=3)

    def stuck(self) -> Self:
        words = 'ReplicaSet "narrator-7d9c5b8f6d" has timed out progressing.'
        return self.with_condition("Progressing", "False", "ProgressDeadlineExceeded", words)

    def refused(self, words: str) -> Self:
        return self.with_condition("ReplicaFailure", "True", "FailedCreate", words)


def a_deployment() -> ADeployment:
    return ADeployment(an_object("Deployment").manifest)


class APod(Built):
    """A pod as kubelet and scheduler describe it."""

    def on(self, node: str) -> Self:
        return self.changed(lambda manifest: manifest["spec"].update(nodeName=node))

    def made_at(self, moment: str) -> Self:
        return self.changed(lambda manifest: manifest["metadata"].update(creationTimestamp=moment))

    def leaving(self) -> Self:
        return self.changed(lambda manifest: manifest["metadata"].update(deletionTimestamp=LATELY))

    def unscheduled(self, words: str) -> Self:
        waiting = self.with_status(phase="Pending", containerStatuses=[])
        return waiting.with_condition("PodScheduled", "False", "Unschedulable", words)

    def waiting(self, reason: str, words: str = "", **container: Any) -> Self:
        state = {"waiting": {"reason": reason, "message": words}}
        return self.with_status(phase="Pending").container(state=state, ready=False, started=False, **container)

    def ended(
        self, code: int, *, reason: str = "Error", words: str = "", began: str = LONG_AGO, at: str = LATELY,
        restarts: int = 1,
    ) -> Self:  # fmt: skip
        """And started again; it is not ready."""
        ending = {"exitCode": code, "reason": reason, "message": words, "startedAt": began, "finishedAt": at}
        return self.container(
            state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}},
            lastState={"terminated": ending}, ready=False, started=False, restartCount=restarts,
        )  # fmt: skip

    def running_again(self) -> Self:
        return self.container(state={"running": {"startedAt": LATELY}}, ready=True, started=True)

    def not_ready(self) -> Self:
        return self.container(state={"running": {"startedAt": LONG_AGO}}, ready=False, started=True)

    def mounting(self, *claims: str) -> Self:
        """And a volume that is no claim."""
        volumes = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims]
        return self.changed(lambda pod: pod["spec"].update(volumes=[{"name": "tmp", "emptyDir": {}}, *volumes]))

    def failed(self, reason: str, words: str) -> Self:
        return self.with_status(phase="Failed", reason=reason, message=words, containerStatuses=[])

    def with_memory_limit(self, limit: str) -> Self:
        return self.changed(
            lambda manifest: manifest["spec"]["containers"][0].update(resources={"limits": {"memory": limit}})
        )

    def with_startup_probe(self, **probe: int) -> Self:
        return self.changed(lambda manifest: manifest["spec"]["containers"][0].update(startupProbe=probe))

    def container(self, *, name: str = "", **fields: Any) -> Self:
        """Changes the status of a container; of the first where none is named."""

        def change(manifest: dict[str, Any]) -> None:
            statuses = manifest["status"]["containerStatuses"]
            status = next((item for item in statuses if item["name"] == name), statuses[0])
            status.update(fields)

        return self.changed(change)

    def with_container(self, name: str, image: str) -> Self:
        """One more, running."""

        def change(manifest: dict[str, Any]) -> None:
            manifest["spec"]["containers"].append({"name": name, "image": image})
            manifest["status"]["containerStatuses"].append(_running(name, image))

        return self.changed(change)

    def warned(self, reason: str, words: str) -> tuple[Self, dict[str, Any]]:
        """The pod, and a warning about it."""
        return self, a_warning("Pod", self.manifest["metadata"]["name"], reason, words)


def a_warning(kind: str, name: str, reason: str, words: str) -> dict[str, Any]:
    about = {"kind": kind, "name": name, "namespace": "studio"}
    return {"kind": "Event", "type": "Warning", "involvedObject": about, "reason": reason, "message": words}


def _running(name: str, image: str) -> dict[str, Any]:
    return {
        "name": name, "image": image, "imageID": f"{image}@sha256:00", "ready": True, "started": True, "restartCount": 0,
        "state": {"running": {"startedAt": LONG_AGO}}, "lastState": {},
    }  # fmt: skip


def a_pod(name: str = "narrator-7d9c5b8f6d-x2x4p", *, component: str = "server", image: str = IMAGE) -> APod:
    """A running one, on no node that matters."""
    return APod(
        {
            "kind": "Pod",
            "metadata": {
                "name": name, "namespace": "studio", "labels": labels.selector("narrator", component),
                "creationTimestamp": LONG_AGO,
            },
            "spec": {"containers": [{"name": component, "image": image}]},
            "status": {"phase": "Running", "containerStatuses": [_running(component, image)]},
        }
    )  # fmt: skip


def a_redis_pod() -> APod:
    return a_pod("narrator-redis-0", component="redis", image="docker.io/valkey/valkey:8.1.8-alpine")


def a_claim(phase: str = "Bound", *, wanted: str = "4Gi", has: str = "4Gi", of_class: str | None = "standard") -> Built:
    """Nobody owns it: Kubernetes made it from a template, and gave it the default class where the cluster has one."""
    spec = {
        "resources": {"requests": {"storage": wanted}},
        **({"storageClassName": of_class} if of_class is not None else {}),
    }
    claim = an_object("PersistentVolumeClaim", "data-narrator-redis-0", spec=spec)
    return claim.owned_by().with_status(phase=phase, **({"capacity": {"storage": has}} if has else {}))


class AState:
    """An immutable set of facts under construction."""

    def __init__(self, service: AService, **facts: Any) -> None:
        self._service = service
        self._facts = facts

    def of(self, service: AService) -> Self:
        return type(self)(service, **self._facts)

    def knowing(self, **facts: Any) -> Self:
        return type(self)(self._service, **{**self._facts, **facts})

    def _and(self, name: str, *more: Any) -> Self:
        return self.knowing(**{name: (*self._facts.get(name, ()), *more)})

    def having(self, *objects: Built) -> Self:
        return self._and("found", *(built.manifest for built in objects))

    def with_pods(self, *pods: APod | tuple[APod, dict[str, Any]]) -> Self:
        """Pods, or pods with a warning about them."""
        warnings = [pod[1] for pod in pods if isinstance(pod, tuple)]
        plain = [(pod[0] if isinstance(pod, tuple) else pod).manifest for pod in pods]
        return self._and("pods", *plain)._and("events", *warnings)

    def warned(self, kind: str, name: str, reason: str, words: str) -> Self:
        return self._and("events", a_warning(kind, name, reason, words))

    def failing(self, kind: str, reason: str, message: str, *, times: int = 1) -> Self:
        failure = Failure(kind=kind, name="narrator", reason=reason, message=message, times=times)
        return self._and("failures", failure)

    def after(self, status: Status) -> Self:
        """With what was reported before."""
        written = status.model_dump(mode="json", by_alias=True, exclude_none=True)
        return self.of(AService({**self._service.manifest, "status": written}))

    def observed(self) -> Observed:
        return Observed(service=self._service.built(), **self._facts)

    def status(self, now: datetime = NOW) -> Status:
        return build_status(self.observed(), autoscaling=None, now=now)

    def condition(self, kind: str) -> Condition:
        return condition_of(self.status(), kind)


def condition_of(status: Status, kind: str) -> Condition:
    (found,) = [condition for condition in status.conditions or () if condition.type == kind]
    return found


def a_state(service: AService | None = None) -> AState:
    """Nothing there yet."""
    return AState(service or a_service())


def an_hpa() -> Built:
    """One that works."""
    hpa = an_object("HorizontalPodAutoscaler")
    return hpa.with_condition("AbleToScale", "True", "ReadyForNewScale").with_condition(
        "ScalingActive", "True", "ValidMetricFound"
    )


def a_good_state(service: AService | None = None, *, pods: int = 3) -> AState:
    """Everything serves."""
    return (
        a_state(service)
        .having(a_deployment().serving(pods), an_hpa(), an_object("StatefulSet", "narrator-redis"), a_claim())
        .with_pods(*(a_pod(f"narrator-7d9c5b8f6d-{number:05}") for number in range(pods)), a_redis_pod())
        .knowing(redis=FIT, load=Load(hit_rate_percent=97, queue_depth=2), kinds=frozenset(OptionalKind))
    )
