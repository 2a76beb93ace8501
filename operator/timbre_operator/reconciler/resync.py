"""What is in the cluster, whatever the watches said?  Everything is listed anew now and then, and once at the start.

A watch that broke may have missed a deletion, and nothing else would ever tell of it.  The lists also say which kinds there
are and which of them we may see.  Of these are watched those that we may watch: of the others nothing is known but what a
list says, and that is told as any right that is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from timbre_contract import labels
from timbre_operator.errors import ClusterError, Forbidden, NotFound
from timbre_operator.kinds import EVENT, VOICE_SERVICE, WATCHED, Watched, group_of
from timbre_operator.observed import METRICS_API_DISABLED, Failure, OptionalKind
from timbre_operator.ports import Cluster, Kind, Listing
from timbre_operator.reconciler.freshness import Freshness
from timbre_operator.reconciler.live import Live
from timbre_operator.reconciler.world import Surroundings

_NEEDED_METRIC: Final = f"{labels.PLURAL}.{labels.GROUP}/{labels.QUEUE_DEPTH_SERIES}"

_EVENT_VERBS: Final = ("list", "create", "patch")
"""Read about pods that do not start; posted about services, and counted."""

logger = logging.getLogger("timbre.resync")


@dataclass(frozen=True)
class _Lists:
    """What came of the lists of one kind."""

    visible: bool
    failure: Failure | None = None


class Resync:
    """Lists everything, and keeps what it found."""

    def __init__(
        self,
        cluster: Cluster,
        live: Live,
        freshness: Freshness,
        surroundings: Surroundings,
        *,
        namespaces: Sequence[str],
        serves_metrics: bool,
    ) -> None:
        self._cluster = cluster
        self._live = live
        self._freshness = freshness
        self._surroundings = surroundings
        self._namespaces = tuple(namespaces)
        self._serves_metrics = serves_metrics
        self._complained: set[str] = set()
        self._watchable: set[str] = set()
        """Kinds whose watches are known to be allowed; asked once, for a watch that was allowed goes on."""

    def doubt(self) -> None:
        """Watches broke: it may be that a right was taken away, and is asked for again."""
        self._watchable.clear()

    async def once(self) -> frozenset[str]:
        """Names of the kinds that can be watched.

        Raises:
            ClusterError: the API server does not answer; what is known stays.
        """
        discovered = await self._cluster.optional_kinds()
        silent = dict(discovered.silent)
        self._surroundings.kinds = discovered.kinds | (self._surroundings.kinds & silent.keys())
        visible: set[str] = set()
        failures: list[Failure] = []
        for watched in WATCHED:
            lists = await self._list_optional(watched, discovered.kinds, silent)
            if lists.visible:
                visible.add(watched.kind.kind)
            elif lists.failure is not None:
                failures.append(lists.failure)
        if (lacking := await self._events_lacking()) is not None:
            failures.append(lacking)
        self._surroundings.silent_kinds = silent
        self._surroundings.failures = tuple(failures)
        self._surroundings.metrics_api = await self._metrics_problem()
        return frozenset(visible)

    async def _list_optional(
        self, watched: Watched, kinds: frozenset[OptionalKind], silent: dict[OptionalKind, str]
    ) -> _Lists:
        """A kind that a cluster may lack: one that does not answer is neither watched nor forgotten, and stops no other."""
        optional = watched.optional
        if optional is None:
            return await self._list(watched)
        if optional not in silent:
            if optional not in kinds:
                self._live.replace(watched.kind, Listing((), ""))
                return _Lists(visible=False)
            try:
                return await self._list(watched)
            except ClusterError as error:
                silent[optional] = str(error)
        self._complain(watched.kind.kind, f"{optional} cannot be listed", silent[optional])
        return _Lists(visible=False)

    async def _list(self, watched: Watched) -> _Lists:
        """All namespaces, also where one of them may not be seen."""
        kind = watched.kind
        news: set[tuple[str, str, str]] = set()
        refusal: Forbidden | None = None
        for namespace in self._namespaces or ("",):
            try:
                listing = await self._cluster.snapshot(kind, namespace=namespace, labels=watched.selector)
            except Forbidden as error:
                self._complain(kind.kind, f"the operator may not list {kind.plural}", error)
                refusal = refusal or error
                continue
            except NotFound as error:
                if kind is VOICE_SERVICE:
                    self._complain(kind.kind, "the CRD voiceservices.timbre.dev is not installed; apply it", error)
                self._live.replace(kind, Listing((), ""))
                return _Lists(visible=False)
            news |= self._live.replace(kind, listing, (namespace,) if namespace else ())
        refusal = refusal or await self._unwatchable(kind)
        if refusal is not None:
            return _Lists(visible=False, failure=_failure(kind.kind, refusal))
        self._complained.discard(kind.kind)
        self._freshness.listed(kind.kind, news)
        return _Lists(visible=True)

    async def _unwatchable(self, kind: Kind) -> Forbidden | None:
        """What is missing where it may be listed and not watched; a watch that is refused says nothing by itself."""
        if kind.kind in self._watchable:
            return None
        if (lacking := await self._lacking("watch", kind)) is not None:
            self._complain(kind.kind, f"the operator may not watch {kind.plural}, and only lists them", lacking)
            return lacking
        self._watchable.add(kind.kind)
        return None

    async def _events_lacking(self) -> Failure | None:
        """What is missing for events, asked each time: nothing that is written or watched all the time would show it."""
        for verb in _EVENT_VERBS:
            if (lacking := await self._lacking(verb, EVENT)) is not None:
                self._complain(EVENT.kind, f"the operator may not {verb} events", lacking)
                return _failure(EVENT.kind, lacking)
        self._complained.discard(EVENT.kind)
        return None

    async def _lacking(self, verb: str, kind: Kind) -> Forbidden | None:
        """The first of our namespaces in which this right is missing, in the words of the API server."""
        for namespace in self._namespaces or ("",):
            if not await self._cluster.may(verb, kind, namespace):
                where = f' in the namespace "{namespace}"' if namespace else ""
                what = f'resource "{kind.plural}" in API group "{group_of(kind)}"'
                return Forbidden(f"the operator cannot {verb} {what}{where}")
        return None

    async def _metrics_problem(self) -> str | None:
        try:
            served = await self._cluster.custom_metrics()
        except ClusterError as error:
            return f"custom.metrics.k8s.io is registered, and does not answer: {error}"
        if served is None:
            return (
                "no APIService v1beta2.custom.metrics.k8s.io is registered"
                if self._serves_metrics
                else METRICS_API_DISABLED
            )
        if _NEEDED_METRIC not in served:
            return f"custom.metrics.k8s.io is served by somebody else, who does not offer {_NEEDED_METRIC}"
        return None

    def _complain(self, kind: str, what: str, error: ClusterError | str) -> None:
        """Once, until it is put right."""
        if kind not in self._complained:
            self._complained.add(kind)
            logger.error("%s", what, extra={"fields": {"error": str(error)}})


def _failure(kind: str, error: ClusterError) -> Failure:
    return Failure(kind=kind, name="", reason=type(error).__name__, message=str(error))
