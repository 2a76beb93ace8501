"""A short look at a Redis, and the few things that a running one can be told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final

import redis.exceptions

from timbre_operator.observed import RedisFacts, RedisProblem
from timbre_operator.ports import RedisTarget
from timbre_operator.redis_probe.account import Account, is_full, problem_of
from timbre_operator.redis_probe.connections import Connections, Node
from timbre_operator.redis_probe.failures import LOOK_ERRORS, LookFailed, failure_of, words_of
from timbre_operator.redis_probe.replay import MayNotAsk, replay_refusal, replays_with_rights
from timbre_operator.redis_probe.topology import masters

LOOK_SECONDS: Final = 8.0
"""A whole look: a few nodes that do not answer, one after the other."""
MAX_REMEMBERED: Final = 4096
"""Servers; nodes that are gone are forgotten at last, and a full one is found again by its next refusal."""
_ANSWERS: Final = (
    redis.exceptions.ResponseError,
    redis.exceptions.BusyLoadingError,
    redis.exceptions.MasterDownError,
)
"""Refusals by the server; the library takes the last two for a connection that broke."""


class NetworkRedisProbe:
    """``ports.RedisProbe``; remembers of each server whether it was full, for Redis does not say it.

    And who may not ask about rights: a server notes each refusal in its ACL LOG.
    """

    def __init__(self) -> None:
        self._last: dict[Node, tuple[Account, bool]] = {}
        self._may_not_ask: set[tuple[Node, str]] = set()

    async def look(self, target: RedisTarget) -> RedisFacts:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return await self._facts(target)
        except TimeoutError:
            failure = LookFailed(RedisProblem.UNREACHABLE, f"it does not answer within {LOOK_SECONDS:g} seconds")
        except LookFailed as found:
            failure = found
        except LOOK_ERRORS as error:
            failure = _suspected(failure_of(error), target)
        return RedisFacts(
            address=target.address, problem=failure.problem, detail=_without_secrets(failure.detail, target)
        )

    async def tune(self, target: RedisTarget, settings: Mapping[str, str]) -> Mapping[str, str]:
        refused: dict[str, str] = {}
        try:
            connections = await _connections(target)
            async with asyncio.timeout(LOOK_SECONDS):
                for node in await masters(target, connections):
                    async with connections.server(node) as server:
                        refused |= await _set(server, settings)
        except (LookFailed, *LOOK_ERRORS) as error:
            words = _without_secrets(failure_of(error).detail, target)
            return dict.fromkeys(settings, words) | refused
        return refused

    async def _facts(self, target: RedisTarget) -> RedisFacts:
        connections = await _connections(target)
        nodes = await masters(target, connections)
        accounts = await asyncio.gather(*(self._account(connections, node, target.username) for node in nodes))
        problems = [
            self._problem(node, account, shall_append=target.appends)
            for node, account in zip(nodes, accounts, strict=True)
        ]
        return _summed(target, nodes, accounts, problems)

    async def _account(self, connections: Connections, node: Node, user: str) -> Account:
        async with connections.server(node) as server:
            info: dict[str, Any] = await server.info()
            disk = await _disk_refusal(server)
            replay = await self._replay_refusal(server, (node, user)) if replays_with_rights(info) else ""
        return Account.from_info(info, disk_refusal=disk, replay_refusal=replay)

    async def _replay_refusal(self, server: Any, who: tuple[Node, str]) -> str:
        if who in self._may_not_ask:
            return ""
        try:
            return await replay_refusal(server)
        except MayNotAsk:
            if len(self._may_not_ask) >= MAX_REMEMBERED:
                self._may_not_ask.clear()
            self._may_not_ask.add(who)
            return ""

    def _problem(self, node: Node, account: Account, *, shall_append: bool) -> RedisProblem | None:
        before, was_full = self._last.get(node, (None, False))
        full = is_full(account, before, was_full=was_full)
        if len(self._last) >= MAX_REMEMBERED:
            self._last.clear()
        self._last[node] = (account, full)
        return problem_of(account, full=full, shall_append=shall_append)


async def _connections(target: RedisTarget) -> Connections:
    """Off the loop: certificates are read for tens of milliseconds."""
    try:
        return await asyncio.to_thread(Connections, target)
    except ssl.SSLError as error:
        raise LookFailed(
            RedisProblem.TLS_FAILED, "a Secret of spec.redis.external.tls holds no certificate, or not its key, in PEM"
        ) from error


async def _disk_refusal(server: Any) -> str:
    """Redis refuses PING together with writes while its disk fails (``writeCommandsDeniedByDiskError``), and says why."""
    try:
        await server.ping()
    except _ANSWERS as error:
        return words_of(error) if "MISCONF" in str(error) else ""
    return ""


async def _set(server: Any, settings: Mapping[str, str]) -> dict[str, str]:
    refused: dict[str, str] = {}
    for name, value in settings.items():
        try:
            await server.config_set(name, value)
        except redis.exceptions.ResponseError as error:
            refused[name] = str(error)
    return refused


def _summed(
    target: RedisTarget, nodes: Sequence[Node], accounts: Sequence[Account], problems: Sequence[RedisProblem | None]
) -> RedisFacts:
    """Of several servers the first with a problem speaks for all; what they hold is added up."""
    guilty = next((place for place, problem in enumerate(problems) if problem is not None), 0)
    account, problem = accounts[guilty], problems[guilty]
    where = f"at {nodes[guilty][0]}:{nodes[guilty][1]}" if problem is not None and target.mode != "standalone" else ""
    words = account.words_about(problem) if problem is not None else ""
    says = f'it says "{words}"' if words else ""
    return RedisFacts(
        address=target.address,
        version=account.version,
        policy=account.policy,
        used_bytes=sum(account.used_bytes for account in accounts),
        max_bytes=sum(account.max_bytes for account in accounts),
        appends=_all_append(accounts),
        problem=problem,
        detail=_without_secrets(" ".join(filter(None, (where, says))), target),
    )


def _all_append(accounts: Sequence[Account]) -> bool | None:
    told = [account.appends for account in accounts]
    if False in told:
        return False
    return None if None in told else True


def _suspected(failure: LookFailed, target: RedisTarget) -> LookFailed:
    """With TLS 1.3 a server asks for our certificate after its handshake: where it gets none, it may just hang up."""
    hung_up = "reset by peer" in failure.detail or "closed" in failure.detail
    if failure.problem is RedisProblem.UNREACHABLE and target.tls and not target.certificate_pem and hung_up:
        return LookFailed(RedisProblem.TLS_FAILED, f"it may want our certificate: {failure.detail}")
    return failure


def _without_secrets(detail: str, target: RedisTarget) -> str:
    """Whatever a server says: the passwords are ours to keep."""
    for secret in (target.password, target.sentinel_password):
        if secret:
            detail = detail.replace(secret, "***")
    return detail
