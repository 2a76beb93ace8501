"""Does a message on the channel reach who asked for its kind?"""

from __future__ import annotations

import asyncio

from tests.redis_server import RedisServer
from tests.server.store.pods import Pod, by_hand, cut_followers, running


async def test_a_message_reaches_those_who_asked_for_its_prefix(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope)
    heard: asyncio.Queue[str] = asyncio.Queue()
    pod.registry.on_whisper("features", heard.put_nowait)
    async with running(pod):
        await pod.registry.whispering()
        with by_hand(redis_server) as client:
            for message in ("change 5-0", "featuresque", "features abc", b"\xff", "features def"):
                client.publish(pod.keys.whisper(), message)
        async with pod.patience():
            assert [await heard.get(), await heard.get()] == ["abc", "def"]


async def test_a_subscription_that_was_cut_comes_back(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope)
    heard: asyncio.Queue[str] = asyncio.Queue()
    pod.registry.on_whisper("features", heard.put_nowait)
    async with running(pod):
        await pod.registry.whispering()
        with by_hand(redis_server) as client:
            assert cut_followers(client) >= 2
            # A subscriber is no proof yet: redis-py subscribes once more on the connection that it then gives up.
            await pod.until(lambda: client.publish(pod.keys.whisper(), "features abc") >= 0 and not heard.empty())


async def test_who_may_have_missed_messages_is_told_when_they_come_again(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope)
    gaps: asyncio.Queue[None] = asyncio.Queue()
    pod.registry.after_whispers_lost(lambda: gaps.put_nowait(None))
    async with running(pod), pod.patience():
        await gaps.get()  # before the first subscription there was no listening either
        with by_hand(redis_server) as client:
            cut_followers(client)
        await gaps.get()
    assert gaps.empty()
