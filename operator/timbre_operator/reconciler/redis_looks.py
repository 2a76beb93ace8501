"""How is each service's Redis?  Looked at beside the turns, because one that does not answer takes seconds to say so.

What somebody changed in a managed one by hand is set back on the way, by the operator that leads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from timbre_operator.observed import RedisFacts
from timbre_operator.ports import RedisProbe, RedisTarget, ServiceKey
from timbre_operator.reconciler.convergence import Reconciler

LOOK_SECONDS: Final = 15.0
"""How old facts may get: a service whose Redis is gone says so within that time and a look."""
_ROUND_SECONDS: Final = 1.0
"""How soon a new service, or another password, is noticed."""
_AT_ONCE: Final = 8
"""Looks beside each other: with a hundred services whose Redis all hang for three seconds a round takes forty."""

logger = logging.getLogger("timbre.redis")


class RedisLooks:
    """Looks at every Redis again and again."""

    def __init__(
        self,
        reconciler: Reconciler,
        probe: RedisProbe,
        *,
        services: Callable[[], list[ServiceKey]],
        news: Callable[[ServiceKey], None],
        clock: Callable[[], float],
        leads: Callable[[], bool],
    ) -> None:
        self._memories = reconciler.memories
        self._probe = probe
        self._services = services
        self._news = news
        self._clock = clock
        self._leads = leads
        self._looked: dict[ServiceKey, tuple[RedisTarget, float]] = {}

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.round()
            await asyncio.sleep(_ROUND_SECONDS)

    async def round(self) -> None:
        """Looks at those that are due."""
        services = self._services()
        there = frozenset(services)
        self._looked = {key: looked for key, looked in self._looked.items() if key in there}
        permits = asyncio.Semaphore(_AT_ONCE)

        async def look(key: ServiceKey, target: RedisTarget) -> None:
            async with permits:
                await self._look(key, target)

        await asyncio.gather(*(look(key, target) for key in services if (target := self._due(key)) is not None))

    async def _look(self, key: ServiceKey, target: RedisTarget) -> None:
        try:
            refused = await self._set_back(key, target)
            facts = _with_refusals(await self._probe.look(target), refused)
        except Exception:  # a mistake of ours about one Redis must not end the operator
            fields = {"namespace": key.namespace, "voiceservice": key.name}
            logger.exception("a look at Redis broke", extra={"fields": fields})
            self._looked[key] = target, self._clock()
        else:
            self._tell(key, target, facts)

    async def _set_back(self, key: ServiceKey, target: RedisTarget) -> Mapping[str, str]:
        """What the last turn found to be other than it shall be; returns what was refused, with its words."""
        memory = self._memories.get(key)
        if memory is None or not memory.redis_settings or not self._leads():
            return {}
        settings = memory.redis_settings
        refused = await self._probe.tune(target, settings)
        fields = {"namespace": key.namespace, "voiceservice": key.name, "set": dict(settings), "refused": dict(refused)}
        logger.info("Redis set back", extra={"fields": fields})
        return refused

    def _due(self, key: ServiceKey) -> RedisTarget | None:
        memory = self._memories.get(key)
        if memory is None or not isinstance(target := memory.redis_target, RedisTarget):
            return None
        if memory.look_again:
            memory.look_again = False
            return target
        before, when = self._looked.get(key, (None, 0.0))
        return target if before != target or self._clock() - when >= LOOK_SECONDS else None

    def _tell(self, key: ServiceKey, target: RedisTarget, facts: RedisFacts) -> None:
        self._looked[key] = target, self._clock()
        memory = self._memories.get(key)
        if memory is None or memory.redis_target != target or memory.look_again:
            return  # the service went, or its Redis is another one by now
        before, memory.redis = memory.redis, facts
        if before is None or _gist(before) != _gist(facts):
            fields = {
                "namespace": key.namespace,
                "voiceservice": key.name,
                "problem": facts.problem,
                "detail": facts.detail,
            }
            logger.info("Redis", extra={"fields": fields})
            self._news(key)


def _with_refusals(facts: RedisFacts, refused: Mapping[str, str]) -> RedisFacts:
    """Only where nothing else says why there is a problem: a server that is away refuses everything."""
    if facts.problem is None or facts.detail or not refused:
        return facts
    return replace(facts, detail=f'it says "{"; ".join(refused.values())}"')


def _gist(facts: RedisFacts) -> tuple[object, ...]:
    """What is worth a turn: not that some bytes more are in use."""
    return facts.address, facts.version, facts.policy, facts.max_bytes, facts.appends, facts.problem, facts.detail
