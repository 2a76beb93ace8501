"""What is one turn of a VoiceService?  Look, decide, act, report."""

from __future__ import annotations

from timbre_operator.desired import build_children
from timbre_operator.desired.redis_target import redis_target
from timbre_operator.desired.redis_tuning import redis_tuning
from timbre_operator.errors import InvalidManifest
from timbre_operator.observed import Manifest, Observed, controller_uid
from timbre_operator.plan import Key, key_of, plan
from timbre_operator.ports import ServiceKey
from timbre_operator.reconciler.memory import Memory
from timbre_operator.reconciler.observing import Outcome, found_children, observed_of, serving_redis
from timbre_operator.reconciler.pod_events import explain
from timbre_operator.reconciler.prerequisites import Gathering, Prerequisites
from timbre_operator.reconciler.reporting import report, settling_seconds
from timbre_operator.reconciler.steps import Steps
from timbre_operator.reconciler.volume import grow_volume
from timbre_operator.reconciler.world import World
from timbre_operator.scaling import report as report_scaling
from timbre_operator.status import build_invalid_status, build_status
from timbre_operator.voiceservice import VoiceService, from_manifest


class Reconciler:
    """Turns: one at a time for each service, several services beside each other."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._gathering = Gathering(world.cluster, world.live, world.release, world.clock)
        self._steps = Steps(world.cluster, world.live, world.metrics, world.clock)
        self.memories: dict[ServiceKey, Memory] = {}
        """Of each service that had a turn and is not gone."""

    async def converge(self, key: ServiceKey) -> float | None:
        """One turn; after how many seconds another one is wanted, None where only news call for it."""
        manifest = self._world.live.service(key)
        if manifest is None or _leaving(manifest):
            self.memories.pop(key, None)  # children go by their owner reference
            return None
        began, result = self._world.clock(), "error"
        try:
            again, well = await self._turn(key, manifest)
            result = "ok" if well else "error"
            return again
        finally:
            self._world.metrics.reconciled(result, self._world.clock() - began)

    async def _turn(self, key: ServiceKey, manifest: Manifest) -> tuple[float | None, bool]:
        world, memory = self._world, self._memory(key, manifest)
        try:
            service = from_manifest(manifest, unknown="ignore")
        except InvalidManifest as error:
            invalid = build_invalid_status(manifest, error.sentences, world.now())
            return await report(world, manifest, None, invalid, memory), False
        ready, outcome = await self._act(key, service, memory)
        look_again = await explain(key, world.cluster, world.live, memory, clock=world.clock)
        observed = observed_of(world, service, memory, ready, outcome)
        memory.redis_settings = redis_tuning(observed)
        moment = world.now()
        before = service.status.autoscaling if service.status else None
        status = build_status(observed, autoscaling=report_scaling(before, observed, moment), now=moment)
        report_again = settling_seconds(manifest, memory, complete=_complete(observed), now=world.clock())
        if report_again is None:
            report_again = await report(world, manifest, service.status, status, memory)
        now = world.clock()
        waits = (
            look_again,
            report_again,
            *(kept.seconds_until_next(now) for kept in (memory.reads, memory.refusals, memory.other_refusals)),
        )
        return min((wait for wait in waits if wait is not None), default=None), _well(observed)

    def _memory(self, key: ServiceKey, manifest: Manifest) -> Memory:
        """Of this very object: one that was deleted and made anew between two turns begins without."""
        uid = str(manifest["metadata"].get("uid", ""))
        memory = self.memories.get(key)
        if memory is None or memory.uid != uid:
            memory = self.memories[key] = Memory(since=self._world.clock(), uid=uid)
        return memory

    async def _act(self, key: ServiceKey, service: VoiceService, memory: Memory) -> tuple[Prerequisites, Outcome]:
        """Makes the children what they shall be."""
        world, uid = self._world, service.metadata.uid
        ready = await self._gathering.gather(service, world.surroundings.kinds, memory)
        memory.reach(redis_target(service, ready.secrets))
        memory.redis_serves(serving_redis(world.live.pods(key)))
        wanted = build_children(ready.inputs)
        found, unread = await found_children(world, key, wanted, memory)
        memory.reads.keep({Key(f.kind, service.namespace, f.name) for f in (*ready.failures, *unread.values())})
        memory.made |= {key_of(child) for child in found if controller_uid(child) == uid and not _leaving(child)}
        waiting = ready.waiting | set(unread)
        steps = plan(
            [child for child in wanted if key_of(child) not in waiting],
            [child for child in found if key_of(child) not in waiting],
            owner_uid=uid,
        )
        failures = await self._steps.carry_out(key, steps.actions, memory)
        failures += await grow_volume(service, world.cluster, world.live, memory, clock=world.clock)
        known = {key_of(child) for child in world.live.children(key)}
        strangers = [child for child in found if controller_uid(child) != uid and key_of(child) not in known]
        return ready, Outcome((*unread.values(), *failures), tuple(strangers))


def _complete(observed: Observed) -> bool:
    """Whether everything was asked that is asked beside the turns."""
    return observed.load is not None and observed.redis is not None


def _well(observed: Observed) -> bool:
    """Whether nothing was refused that somebody should hear of."""
    return all(failure.heals_at_once for failure in observed.failures)


def _leaving(manifest: Manifest) -> bool:
    return bool(manifest["metadata"].get("deletionTimestamp"))
