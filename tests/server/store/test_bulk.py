"""Bulk reads: values of any size at any cut of the stream, many askers at once, and the library for everything unusual."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from tests.redis_server import RedisServer
from tests.server.store.registries import linked, redis_settings, unhurried
from timbre_contract.keys import ServiceKeys
from timbre_server.errors import StoreUnavailable
from timbre_server.settings import RedisSettings
from timbre_server.store.bulk import BulkReader
from timbre_server.store.bulk_replies import SCRATCH_BYTES, Unusual
from timbre_server.store.features import RedisSharedFeatures
from timbre_server.store.link import RedisLink

SIZES = [0, 1, SCRATCH_BYTES - 20, SCRATCH_BYTES - 8, SCRATCH_BYTES, SCRATCH_BYTES + 1, 300_000, 5_000_000]


@contextlib.asynccontextmanager
async def a_reader(link: RedisLink) -> AsyncIterator[BulkReader]:
    reader = BulkReader(link)
    try:
        yield reader
    finally:
        await reader.close()


@pytest.fixture(params=["redis", "sentinel", "tls"])
async def link(request: pytest.FixtureRequest) -> AsyncIterator[RedisLink]:
    async with linked(redis_settings(request.param, request)) as link:
        yield link


async def comes_true(claim: Callable[[], bool]) -> None:
    """Returns once it holds: nothing tells when a connection was lost."""
    async with asyncio.timeout(20):
        for _ in itertools.count():
            if claim():
                return
            await asyncio.sleep(0)


def a_value(size: int) -> bytes:
    """No two sizes have the same bytes, and line ends occur."""
    return (b"\r\n$%d\r\n" % size * (size // 4 + 1))[:size]


async def filled(link: RedisLink, scope: str, *sizes: int) -> str:
    """A hash with a field for each size."""
    key = ServiceKeys(scope).features("digest")
    for size in sizes:
        await link.write(lambda client, size=size: client.hset(key, str(size), a_value(size)))
    return key


async def test_values_of_all_sizes_come_whole(link: RedisLink, scope: str) -> None:
    key = await filled(link, scope, *SIZES)
    async with a_reader(link) as reader:
        replies = await reader.read([("HGET", key, size) for size in SIZES])
        assert replies == [a_value(size) for size in SIZES]
        for size in SIZES:
            assert await reader.read([("HGET", key, size)]) == [a_value(size)]


async def test_what_is_absent_is_none_and_numbers_are_numbers(link: RedisLink, scope: str) -> None:
    key = await filled(link, scope, 5)
    async with a_reader(link) as reader:
        commands = [("HGET", key, "absent"), ("HLEN", key), ("HGET", key, 5), ("TTL", key)]
        assert await reader.read(commands) == [None, 1, a_value(5), -1]
        assert await reader.read([]) == []


async def test_commands_that_nobody_waits_for_are_done(link: RedisLink, scope: str) -> None:
    key = await filled(link, scope, 5)
    async with a_reader(link) as reader:
        for _ in range(3):
            assert await reader.read([("HGET", key, 5)], also=[("EXPIRE", key, 100)]) == [a_value(5)]
        assert await reader.read([("TTL", key)]) == [100]


async def test_many_may_ask_at_once(link: RedisLink, scope: str) -> None:
    key = await filled(link, scope, *SIZES)
    async with a_reader(link) as reader:
        asked = [SIZES[number % len(SIZES)] for number in range(64)]
        replies = await asyncio.gather(*(reader.read([("HGET", key, size)]) for size in asked))
        assert replies == [[a_value(size)] for size in asked]


async def test_a_value_is_not_touched_by_the_next(link: RedisLink, scope: str) -> None:
    key = await filled(link, scope, 100, 101)
    async with a_reader(link) as reader:
        (first,) = await reader.read([("HGET", key, 100)])
        await reader.read([("HGET", key, 101)])
        assert first == a_value(100)


async def test_an_error_is_left_to_the_library_and_the_next_read_works(link: RedisLink, scope: str) -> None:
    key = await filled(link, scope, 5)
    async with a_reader(link) as reader:
        with pytest.raises(Unusual):
            await reader.read([("LPOP", key)])
        with pytest.raises(Unusual):
            await reader.read([("HKEYS", key)])
        assert await reader.read([("HGET", key, 5)]) == [a_value(5)]


async def test_who_gives_up_waiting_leaves_no_reply_to_the_next(link: RedisLink, scope: str) -> None:
    key = await filled(link, scope, 300_000, 5)
    async with a_reader(link) as reader:
        await reader.read([("HGET", key, 5)])
        leaver = asyncio.create_task(reader.read([("HGET", key, 300_000)]))
        stayer = asyncio.create_task(reader.read([("HGET", key, 5)]))
        await asyncio.sleep(0)
        leaver.cancel()
        assert await stayer == [a_value(5)]


async def test_who_leaves_takes_the_connection_from_nobody(link: RedisLink, scope: str) -> None:
    key = await filled(link, scope, 300_000, 5)
    async with a_reader(link) as reader:
        await reader.read([("HGET", key, 5)])
        leaver = asyncio.create_task(reader.read([("HGET", key, 300_000)]))
        stayers = [asyncio.create_task(reader.read([("HGET", key, 5)])) for _ in range(3)]
        await asyncio.sleep(0)
        leaver.cancel()
        await asyncio.wait({leaver})
        assert await reader.read([("HGET", key, 5)]) == [a_value(5)], "who comes later"
        assert await asyncio.gather(*stayers) == [[a_value(5)]] * 3


async def test_a_lost_connection_is_made_anew(scope: str, own_redis: RedisServer) -> None:
    async with linked(unhurried(own_redis)) as link, a_reader(link) as reader:
        key = await filled(link, scope, 5)
        assert await reader.read([("HGET", key, 5)]) == [a_value(5)]
        await link.write(lambda client: client.client_kill_filter(_type="normal", skipme=True))
        await comes_true(lambda: reader._replies.is_stuck)  # type: ignore[union-attr]
        assert await reader.read([("HGET", key, 5)]) == [a_value(5)]


async def test_a_server_that_says_nothing_costs_no_more_than_the_time_that_a_read_may_take(
    own_redis: RedisServer,
) -> None:
    async with linked(RedisSettings(url=own_redis.url, connect_timeout_seconds=5)) as link, a_reader(link) as reader:
        await link.read_aside(lambda: reader.read([("HLEN", "key")]))
        own_redis.signal(signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnavailable):
                await link.read_aside(lambda: reader.read([("HLEN", "key")]))
            assert reader._replies.is_stuck  # type: ignore[union-attr]
        finally:
            own_redis.signal(signal.SIGCONT)
        await comes_true(lambda: not link.breaker_open)
        assert await link.read_aside(lambda: reader.read([("HLEN", "key")])) == [0]


async def test_a_server_that_is_gone_is_said_in_our_words(own_redis: RedisServer) -> None:
    async with linked(unhurried(own_redis)) as link, a_reader(link) as reader:
        await reader.read([("HLEN", "key")])
        own_redis.kill()
        with pytest.raises(StoreUnavailable):
            await link.read_aside(lambda: reader.read([("HLEN", "key")]))


async def test_features_come_by_bulk_and_by_the_library_where_that_is_better(
    link: RedisLink, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ServiceKeys(scope)
    key = await filled(link, scope, 5)
    shared = RedisSharedFeatures(link, keys, ttl_seconds=100, lease_seconds=1, failure_ttl_seconds=1)
    asked = []
    read = BulkReader.read

    async def noted(*arguments: object, **options: object) -> object:
        asked.append(arguments)
        return await read(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(BulkReader, "read", noted)
    assert await shared.get("digest", "5") == a_value(5)
    assert len(asked) == 1

    async def unable(*_: object, **__: object) -> object:
        raise Unusual

    monkeypatch.setattr(BulkReader, "read", unable)
    await link.write(lambda client: client.persist(key))
    assert await shared.get("digest", "5") == a_value(5)
    assert await link.read(lambda client: client.ttl(key)) > 0
    assert list(await shared.get_many([("digest", "5"), ("digest", "6")])) == [a_value(5), None]
    told: list[tuple[int, bytes]] = []
    wanted = [("digest", "6"), ("digest", "5")]
    await shared.get_many(wanted, arrived=lambda place, blob: told.append((place, bytes(blob))))
    assert told == [(1, a_value(5))]
    await shared.close()


async def test_a_transport_that_the_library_keeps_elsewhere_is_unusual(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Strange:
        connection = None

        async def initialize(self) -> None: ...

        async def aclose(self) -> None: ...

    async with linked(unhurried(own_redis)) as link, a_reader(link) as reader:
        monkeypatch.setattr(link, "dedicated", lambda **_: Strange())
        with pytest.raises(Unusual):
            await reader.read([("HLEN", "key")])


def test_it_works_on_the_loop_of_the_product(redis_server: RedisServer, scope: str) -> None:
    async def scene() -> None:
        async with linked(unhurried(redis_server)) as link:
            await test_values_of_all_sizes_come_whole(link, scope)
            await test_an_error_is_left_to_the_library_and_the_next_read_works(link, scope + "-errors")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())
