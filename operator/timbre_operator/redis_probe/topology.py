"""Which servers keep the data: the one that is named, the Sentinels' master, or the masters of a cluster?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import redis.exceptions

from timbre_operator.observed import RedisProblem
from timbre_operator.ports import RedisTarget
from timbre_operator.redis_probe.connections import Client, Connections, Node
from timbre_operator.redis_probe.failures import LOOK_ERRORS, LookFailed, failure_of

T = TypeVar("T")

SLOTS: Final = 16384
"""Of every cluster."""
_FIELD: Final = "spec.redis.external"


async def masters(target: RedisTarget, connections: Connections) -> list[Node]:
    """Those of the target.

    Raises:
        LookFailed: they cannot be found.
    """
    match target.mode:
        case "sentinel":
            return [await _sentinels_master(target, connections)]
        case "cluster":
            return await _cluster_masters(connections)
        case _:
            return connections.nodes()


async def _sentinels_master(target: RedisTarget, connections: Connections) -> Node:
    async def ask(node: Node) -> Node | None:
        async with connections.sentinel(node) as sentinel:
            answer: Any = await sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", target.sentinel_master)
            return (str(answer[0]), int(answer[1])) if answer else None

    try:
        master = await _first_answer(connections.nodes(), ask)
    except LookFailed as failure:
        raise LookFailed(failure.problem, f"no Sentinel answers: {failure.detail}") from failure
    if master is None:
        raise LookFailed(
            RedisProblem.UNREACHABLE,
            f"the Sentinels know no master {target.sentinel_master}; correct {_FIELD}.sentinel.master",
        )
    return master


async def _cluster_masters(connections: Connections) -> list[Node]:
    async def ask(node: Node) -> list[Node]:
        async with connections.server(node) as server:
            return await _masters_of(server, node)

    return await _first_answer(connections.nodes(), ask)


async def _masters_of(server: Client, asked: Node) -> list[Node]:
    try:
        ranges: Any = await server.execute_command("CLUSTER SLOTS")
    except redis.exceptions.ResponseError as error:
        if "cluster support disabled" not in str(error):
            raise
        raise LookFailed(RedisProblem.UNREACHABLE, f"it is no cluster; remove {_FIELD}.mode") from error
    owners = _owners(ranges, asked)
    served = sum(last - first + 1 for first, last, _ in owners)
    if served < SLOTS:
        raise LookFailed(RedisProblem.UNREACHABLE, f"the cluster serves {served} of its {SLOTS} slots; repair it")
    return sorted({node for _, _, node in owners})


def _owners(ranges: Any, asked: Node) -> list[tuple[int, int, Node]]:
    """First and last slot with their master; redis-py gives a mapping, a node without a name is the one that was asked."""
    if isinstance(ranges, dict):
        return [
            (int(first), int(last), (str(value["primary"][0]) or asked[0], int(value["primary"][1])))
            for (first, last), value in ranges.items()
        ]
    return [(int(first), int(last), (str(master[0] or asked[0]), int(master[1]))) for first, last, master, *_ in ranges]


async def _first_answer(nodes: list[Node], ask: Callable[[Node], Awaitable[T]]) -> T:
    """Of the first node that gives one; the failure of the last where none does."""
    failure: LookFailed | None = None
    for node in nodes:
        try:
            return await ask(node)
        except LookFailed:
            raise
        except LOOK_ERRORS as error:
            failure = failure_of(error)
    assert failure is not None, "an address names at least one node"
    raise failure
