"""KEDA reads what the HPA reads, as plain numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from tests.operator.metricsapi.scenes import KEY, Series
from timbre_contract import labels
from timbre_operator.metricsapi import build_routes

QUEUE = labels.series_path("studio", "narrator", labels.QUEUE_DEPTH_SERIES)


@pytest.fixture
def series() -> Series:
    return Series()


@pytest.fixture
async def client(series: Series) -> AsyncIterator[aiohttp.ClientSession]:
    application = web.Application()
    application.add_routes(build_routes(series))
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession("http://{}:{}".format(*runner.addresses[0][:2])) as session:
        yield session
    await runner.cleanup()


async def asked(client: aiohttp.ClientSession, path: str) -> tuple[int, object]:
    async with client.get(path) as response:
        return response.status, await response.json()


async def test_a_series_is_a_number(client: aiohttp.ClientSession) -> None:
    assert await asked(client, QUEUE) == (200, {"value": 12.0})
    work = labels.series_path("studio", "narrator", labels.WORK_SECONDS_SERIES)
    assert await asked(client, work) == (200, {"value": 1.5})


@pytest.mark.parametrize(
    "path",
    [
        labels.series_path("studio", "nobody", labels.QUEUE_DEPTH_SERIES),
        labels.series_path("elsewhere", "narrator", labels.QUEUE_DEPTH_SERIES),
        labels.series_path("studio", "narrator", "timbre_something"),
    ],
)
async def test_what_there_is_not_is_not_found(client: aiohttp.ClientSession, path: str) -> None:
    assert (await asked(client, path))[0] == 404


async def test_what_is_not_known_is_no_number(client: aiohttp.ClientSession, series: Series) -> None:
    series.of[KEY] = None
    assert (await asked(client, QUEUE))[0] == 503
