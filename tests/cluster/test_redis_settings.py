"""A managed Redis that runs, and whose settings somebody changes by hand."""

from __future__ import annotations

import base64

from redis.asyncio import Redis

from tests.cluster.api import Api
from tests.cluster.fake_node import FakeNode
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.watching import condition, says, until_service, write
from tests.operator.manifests import a_service
from timbre_operator.desired.redis_config import OPERATOR_USER


async def test_an_append_only_file_that_somebody_turned_off_is_told_and_turned_on_again(
    api: Api, namespace: str, fake_node: FakeNode, operator_process: OperatorProcess
) -> None:
    fake_node.light = True
    await write(api, namespace, a_service().scaled_by("None"))
    await until_service(api, namespace, says("RedisReady", "Reachable"))
    async with await _as_the_operator(api, namespace) as client:
        await client.config_set("appendonly", "no")
        told = await until_service(api, namespace, says("RedisReady", "AppendOnlyOff"))
        assert condition(told, "Degraded")["reason"] == "RedisAppendOnlyOff"
        await until_service(api, namespace, says("RedisReady", "Reachable"))
        assert await client.config_get("appendonly") == {"appendonly": "yes"}
    assert '"Redis set back"' in operator_process.log()


async def _as_the_operator(api: Api, namespace: str) -> Redis:
    secret = await api.fetch("v1/Secret", namespace, "narrator-redis")
    service = await api.fetch("v1/Service", namespace, "narrator-redis")
    password = base64.b64decode(secret["data"]["operator-password"]).decode()
    return Redis(
        host=service["spec"]["clusterIP"], username=OPERATOR_USER, password=password, decode_responses=True, protocol=2
    )
