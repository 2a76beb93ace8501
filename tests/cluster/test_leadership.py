"""Several operators: everybody watches and serves, one writes, and another one takes over."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.cluster.api import Api, Object
from tests.cluster.carrying_out import VOICE_SERVICE
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fake_node import FakeNode
from tests.cluster.operator_process import OperatorHome, OperatorProcess
from tests.cluster.watching import eventually, is_ready, sample, turned, until_service, write, writes
from tests.fault_proxy import REFUSE, FaultProxy
from tests.operator.manifests import a_service

MANUAL = a_service().scaled_by("None")
TAKEOVER_SECONDS = 20.0
"""What is promised: the lease's 15 s, a retry, and the work."""


@pytest.fixture(autouse=True)
def light_pods(fake_node: FakeNode) -> None:
    """Servers' pods answer probes only."""
    fake_node.light = True


async def _leads(running: OperatorProcess) -> bool:
    return await sample(running, "timbre_operator_leader") == 1


async def _two(home: OperatorHome, namespace: str) -> tuple[OperatorProcess, OperatorProcess]:
    """The one that leads, and the other one."""
    await home.allow(namespace)
    first = await home.start(namespace, identity="first")
    await eventually(lambda: _leads(first))
    return first, await home.start(namespace, identity="second")


async def _made_anew(api: Api, removed: Object) -> None:
    metadata = removed["metadata"]
    await api.until(
        "v1/Service", metadata["namespace"], metadata["name"], lambda found: found["metadata"]["uid"] != metadata["uid"]
    )


def _through(proxy: FaultProxy, control_plane: ControlPlane, account: Path) -> Path:
    """A kubeconfig that leads through the proxy."""
    file = account.with_name(f"{account.stem}-proxied.kubeconfig")
    file.write_text(account.read_text().replace(control_plane.server, f"https://127.0.0.1:{proxy.port}"))
    return file


async def test_of_two_operators_one_writes_and_both_are_ready(
    api: Api, namespace: str, operator_home: OperatorHome
) -> None:
    leader, other = await _two(operator_home, namespace)
    await write(api, namespace, MANUAL)
    await until_service(api, namespace, is_ready)
    assert await other.is_ready()
    assert await sample(other, "timbre_operator_services") == 1
    assert not await _leads(other)
    assert await writes(other) == 0
    assert await writes(leader) > 0


@pytest.mark.slow
async def test_when_the_leader_is_killed_the_other_one_acts_within_twenty_seconds(
    api: Api, namespace: str, operator_home: OperatorHome
) -> None:
    leader, other = await _two(operator_home, namespace)
    await write(api, namespace, MANUAL)
    await until_service(api, namespace, is_ready)
    service = await api.fetch("v1/Service", namespace, "narrator")
    leader.kill()
    async with asyncio.timeout(TAKEOVER_SECONDS):
        await api.delete(service | {"apiVersion": "v1", "kind": "Service"})
        await _made_anew(api, service)
    assert await _leads(other)


async def test_a_leader_that_is_told_to_end_hands_over_at_once_and_ends_well(
    api: Api, namespace: str, operator_home: OperatorHome
) -> None:
    leader, other = await _two(operator_home, namespace)
    assert await leader.stop() == 0
    async with asyncio.timeout(5):
        await eventually(lambda: _leads(other))
    await write(api, namespace, MANUAL)
    await until_service(api, namespace, is_ready)


async def test_an_operator_that_is_replaced_says_nothing_new(
    api: Api, namespace: str, operator_home: OperatorHome
) -> None:
    """Not even that it knows nothing yet."""
    options = ("--no-metrics-api", "--scrape-seconds=1")
    await operator_home.allow(namespace)
    first = await operator_home.start(namespace, options=options)
    await write(api, namespace, MANUAL)
    before = await until_service(api, namespace, lambda s: is_ready(s) and "queueDepth" in s["status"])
    assert await first.stop() == 0
    second = await operator_home.start(namespace, identity="second", options=options)
    await eventually(lambda: _leads(second))
    await turned(second, 3)
    after = await api.fetch(VOICE_SERVICE, namespace, "narrator")
    assert after["status"] == before["status"]
    assert await writes(second) == 0


async def test_one_that_does_not_lead_ends_well_too(namespace: str, operator_home: OperatorHome) -> None:
    leader, other = await _two(operator_home, namespace)
    assert await other.stop() == 0
    assert await _leads(leader)


@pytest.mark.slow
async def test_a_leader_that_is_cut_off_ends_and_the_other_one_goes_on(
    api: Api, namespace: str, operator_home: OperatorHome, control_plane: ControlPlane
) -> None:
    """It cannot know whether another one leads by now; so it writes nothing any more, and a new process begins anew."""
    direct = operator_home.account
    with FaultProxy(control_plane.port) as proxy:
        operator_home.account = _through(proxy, control_plane, direct)
        await operator_home.allow(namespace)
        cut_off = await operator_home.start(namespace, identity="cut-off")
        await eventually(lambda: _leads(cut_off))
        operator_home.account = direct
        other = await operator_home.start(namespace, identity="other")
        proxy.become(REFUSE)
        async with asyncio.timeout(TAKEOVER_SECONDS):
            assert await cut_off.process.wait() == 1
            await eventually(lambda: _leads(other))
    assert re.search(r'"level": "error".*the lease is lost', cut_off.log())
    await write(api, namespace, MANUAL)
    await until_service(api, namespace, is_ready)
