"""What is remembered about one VoiceService between two turns?  Nothing that could not be lost: a new process starts without."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from timbre_operator.errors import ClusterError, Forbidden, Invalid
from timbre_operator.observed import Failure, Manifest, RedisFacts
from timbre_operator.plan import Key
from timbre_operator.ports import RedisTarget
from timbre_operator.reconciler.backoff import IN_VAIN, SOON, Failures


@dataclass(frozen=True)
class Refused:
    """A step that did not go through."""

    what: str
    """Digest of what was tried: something else is tried at once."""
    not_before: float
    failure: Failure


class Refusals:
    """Steps that did not go through, so that not every event sends them again."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._refused: dict[Key, Refused] = {}
        self._rows: Failures[Key] = Failures(chance)

    def standing(self, key: Key, what: str, now: float) -> Failure | None:
        """The refusal of the same step, while it is too early to try it again."""
        refused = self._refused.get(key)
        if refused is None or refused.what != what or now >= refused.not_before:
            return None
        return refused.failure

    def add(self, key: Key, what: str, error: ClusterError, now: float) -> Failure:
        """It was refused, once more."""
        before = self._refused.get(key)
        if before is not None and before.what != what:
            self._rows.forget(key)
        wait = self._rows.failed(key, IN_VAIN if isinstance(error, Forbidden | Invalid) else SOON)
        failure = Failure(
            kind=key.kind, name=key.name, reason=type(error).__name__, message=str(error), times=self._rows.row(key)
        )
        self._refused[key] = Refused(what, now + wait, failure)
        return failure

    def lift(self, key: Key) -> None:
        """It went through, or is not wanted any more."""
        self._refused.pop(key, None)
        self._rows.forget(key)

    def keep(self, keys: Collection[Key]) -> None:
        """Lifts all others: what nobody tries any more must not call for turns."""
        for key in self._refused.keys() - set(keys):
            self.lift(key)

    def seconds_until_next(self, now: float) -> float | None:
        """After which the earliest one may be tried; None without one."""
        return min((max(0.0, refused.not_before - now) for refused in self._refused.values()), default=None)


@dataclass(frozen=True)
class Warnings:
    """Of the API about what does not serve."""

    events: tuple[Manifest, ...] = ()
    """Newest first."""
    about: frozenset[str] = frozenset()
    """Uids that were asked about."""
    asked: float = float("-inf")
    good_for_seconds: float = 0.0


@dataclass
class Memory:
    """Of one VoiceService."""

    since: float
    """When it was looked at first."""
    uid: str = ""
    """Of the object that all of this is about."""
    refusals: Refusals = field(default_factory=Refusals)
    """Of steps of the plan."""
    reads: Refusals = field(default_factory=Refusals)
    """Of what is looked at before it: Secrets, and whether a name is free."""
    other_refusals: Refusals = field(default_factory=Refusals)
    """Of what comes after it: the volume, the status."""
    complaints: dict[str, str] = field(default_factory=dict)
    """What does not work and stops nothing, by what it is about: for which reason."""
    made: set[Key] = field(default_factory=set)
    """Children that were there, so that one that is missing was removed by somebody else."""
    contested: set[Key] = field(default_factory=set)
    """Children that could not be made, because something of that name was there."""
    warnings: Warnings = Warnings()
    redis_target: RedisTarget | RedisFacts | None = None
    """How its Redis is reached; facts where a Secret is missing."""
    redis: RedisFacts | None = None
    """What its Redis said when it was asked last."""
    redis_pods: frozenset[str] = frozenset()
    """Which pods of its managed Redis serve, and since when."""
    look_again: bool = False
    """Whether what was seen of it is out of date."""
    redis_settings: Mapping[str, str] = field(default_factory=dict)
    """What its Redis is to be told, because somebody changed it by hand."""
    written: Mapping[str, Any] | None = None
    """The status as this process wrote it last."""
    reported: float = float("-inf")
    """When that was."""

    @property
    def doubtful(self) -> set[Key]:
        """Children that may be there though no watch tells of them: without our labels, or somebody else's."""
        return self.made | self.contested

    def complains(self, about: str, error: ClusterError | None) -> bool:
        """Whether a failure, or with None a success, is news that somebody should be told: once for each reason."""
        reason = error.reason if error is not None else ""
        news = bool(reason) and self.complaints.get(about) != reason
        self.complaints[about] = reason
        return news

    def reach(self, target: RedisTarget | RedisFacts) -> None:
        """Its Redis is reached so from now on; what another one said of itself says nothing about this one."""
        if self.redis_target is not None and self.redis_target.address != target.address:
            self.redis, self.redis_settings = None, {}
        self.redis_target = target

    def redis_serves(self, pods: frozenset[str]) -> None:
        """These pods of Redis serve: trouble that was seen before they did is none of theirs, and is looked at anew."""
        if pods - self.redis_pods:
            self.look_again = True
            if self.redis is not None and self.redis.problem is not None:
                self.redis = None
        self.redis_pods = pods
