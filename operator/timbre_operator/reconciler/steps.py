"""How is a plan carried out, and what becomes of a step that fails?

A step that fails stops those that need it, and no others.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from typing import Final

from timbre_contract import labels
from timbre_operator.errors import ClusterError, Conflict, NotLeading
from timbre_operator.kinds import DEPLOYMENT, kind_of
from timbre_operator.metrics import Metrics
from timbre_operator.observed import Failure, Manifest
from timbre_operator.plan import Action, Key, Verb
from timbre_operator.ports import Cluster, ServiceKey
from timbre_operator.reconciler.live import Live
from timbre_operator.reconciler.memory import Memory

_AUTOSCALERS: Final = frozenset({"HorizontalPodAutoscaler", "ScaledObject"})
_AFTER_AUTOSCALER: Final = frozenset({"Deployment", *_AUTOSCALERS})
"""While an autoscaler that shall go is there, a second one would fight it, and a number of replicas too."""
CHANGE_CAUSE: Final = "kubernetes.io/change-cause"
"""Where ``kubectl rollout history`` reads why; not one of our applied fields, so that it is no drift."""

logger = logging.getLogger("timbre.reconciler")


class Steps:
    """Carries plans out."""

    def __init__(self, cluster: Cluster, live: Live, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._live = live
        self._metrics = metrics
        self._clock = clock

    async def carry_out(self, service: ServiceKey, actions: Sequence[Action], memory: Memory) -> list[Failure]:
        """In their order; what was refused, now or before and not tried again yet."""
        failures: list[Failure] = []
        tried: set[Key] = set()
        stopped: set[Key] = set()
        autoscaler_stays = False
        for action in actions:
            if action.verb is Verb.REFUSE or action.key in stopped:
                continue
            if autoscaler_stays and action.key.kind in _AFTER_AUTOSCALER and action.verb is not Verb.PRUNE:
                continue
            tried.add(action.key)
            failure = await self._try(service, action, memory)
            if failure is not None:
                failures.append(failure)
                stopped.add(action.key)
                autoscaler_stays |= action.verb is Verb.PRUNE and action.key.kind in _AUTOSCALERS
        memory.refusals.keep(tried)
        return failures

    async def _try(self, service: ServiceKey, action: Action, memory: Memory) -> Failure | None:
        what = _digest(action)
        if (standing := memory.refusals.standing(action.key, what, self._clock())) is not None:
            return standing
        try:
            await self._do(action)
        except NotLeading:
            raise
        except ClusterError as error:
            _log(service, action, error)
            if action.verb is Verb.CREATE and isinstance(error, Conflict):
                memory.contested.add(action.key)
            return memory.refusals.add(action.key, what, error, self._clock())
        _log(service, action)
        if action.verb is not Verb.HAND_OVER:  # the step that it prepares has its own refusals
            memory.refusals.lift(action.key)
            self._count(action, memory)
        return None

    async def _do(self, action: Action) -> None:
        if action.verb in {Verb.PRUNE, Verb.RECREATE}:
            # What is made anew is made once the old one is gone: a pod's owner is let go first, and that takes a moment.
            if (found := await self._found(action)) is not None:
                await self._cluster.delete(found, orphan=action.verb is Verb.RECREATE)
                self._live.leave(found)
            return
        assert action.manifest is not None
        if action.verb is Verb.CREATE and _made_once(action.manifest):
            stored = await self._cluster.create(action.manifest)
        else:
            manager = labels.HANDOVER_MANAGER if action.verb is Verb.HAND_OVER else labels.FIELD_MANAGER
            stored = await self._cluster.apply(action.manifest, manager=manager, new=action.verb is Verb.CREATE)
        self._live.put(stored, quietly=True)  # we read what we wrote, whenever the watch tells of it
        if _rolls_out(action):
            await self._note_cause(action)

    async def _found(self, action: Action) -> Manifest | None:
        """Asked for where watches do not tell of it: without our labels it is still ours."""
        key = action.key
        found = self._live.find(key.kind, key.namespace, key.name)
        if found is None and action.manifest is not None:
            return await self._cluster.fetch(kind_of(action.manifest), key.namespace, key.name)
        return found

    async def _note_cause(self, action: Action) -> None:
        """For people and for our own status after a restart; nothing depends on it."""
        cause = {CHANGE_CAUSE: action.reason}
        try:
            await self._cluster.annotate(DEPLOYMENT, action.key.namespace, action.key.name, cause)
        except NotLeading:
            raise
        except ClusterError as error:
            logger.warning("the cause of a rollout was not noted", extra={"fields": {"error": str(error)}})

    def _count(self, action: Action, memory: Memory) -> None:
        if action.verb is Verb.PRUNE:
            memory.made.discard(action.key)
            return
        if action.drift or (action.verb is Verb.CREATE and action.key in memory.made):
            self._metrics.drift_corrected(action.key.kind)
        if action.verb is Verb.RECREATE:
            memory.made.discard(action.key)  # it will be missing, and that is no drift
        else:
            memory.made.add(action.key)
            memory.contested.discard(action.key)


def _made_once(manifest: Manifest) -> bool:
    return labels.CREATE_ONCE_ANNOTATION in (manifest["metadata"].get("annotations") or {})


def _rolls_out(action: Action) -> bool:
    return action.verb is Verb.PATCH and action.key.kind == "Deployment" and action.reason.startswith("spec.template")


def _digest(action: Action) -> str:
    """Manifests hold secrets: what is remembered is none."""
    text = json.dumps([action.verb, action.manifest], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _log(service: ServiceKey, action: Action, error: ClusterError | None = None) -> None:
    fields: dict[str, object] = {
        "namespace": service.namespace,
        "voiceservice": service.name,
        "object": f"{action.key.kind}/{action.key.name}",
        "why": action.reason,
    }
    if action.drift:
        fields["drift"] = True
    if error is None:
        logger.info("%s", action.verb, extra={"fields": fields})
    else:
        logger.warning("%s refused", action.verb, extra={"fields": fields | {"error": str(error)}})
