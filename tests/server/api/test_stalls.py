"""A client that takes nothing of its answer is given up; one that is slow, or whose answer is slow, is not."""

import asyncio

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from tests.virtual_time import in_virtual_time
from timbre_server.api.stalls import StallWatch

LIMIT_SECONDS = 60.0
BODY: Message = {"type": "http.response.body"}


class Client:
    """Takes each message after so long."""

    def __init__(self, *seconds: float) -> None:
        self._seconds = list(seconds)
        self.taken = 0

    async def send(self, message: Message) -> None:
        await asyncio.sleep(self._seconds.pop(0))
        self.taken += 1


@in_virtual_time
async def test_a_client_that_takes_nothing_is_given_up_when_the_time_is_over() -> None:
    watch, client = StallWatch(LIMIT_SECONDS), Client(1000)
    with pytest.raises(ClientDisconnect):
        await watch.send(client.send, BODY)
    assert asyncio.get_running_loop().time() == LIMIT_SECONDS
    assert client.taken == 0
    await asyncio.sleep(1)  # nothing of the cancellation is left


@in_virtual_time
async def test_a_slow_client_that_takes_something_each_time_is_served() -> None:
    watch, client = StallWatch(LIMIT_SECONDS), Client(*[LIMIT_SECONDS - 1] * 5)
    for _ in range(5):
        await watch.send(client.send, BODY)
    assert client.taken == 5
    watch.close()


@in_virtual_time
async def test_only_the_time_of_one_message_counts() -> None:
    watch, client = StallWatch(LIMIT_SECONDS), Client(50, 1000)
    await watch.send(client.send, BODY)
    with pytest.raises(ClientDisconnect):
        await watch.send(client.send, BODY)
    assert asyncio.get_running_loop().time() == 50 + LIMIT_SECONDS


@in_virtual_time
async def test_an_answer_that_takes_long_to_make_is_no_fault_of_the_client() -> None:
    watch, client = StallWatch(LIMIT_SECONDS), Client(0, 0)
    await watch.send(client.send, BODY)
    await asyncio.sleep(10 * LIMIT_SECONDS)
    await watch.send(client.send, BODY)
    assert client.taken == 2
    watch.close()


@in_virtual_time
async def test_a_cancellation_by_somebody_else_stays_one() -> None:
    watch, client = StallWatch(LIMIT_SECONDS), Client(1000)
    sending = asyncio.create_task(watch.send(client.send, BODY))
    await asyncio.sleep(1)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending


@in_virtual_time
async def test_a_cancellation_beside_ours_stays_one() -> None:
    watch, client = StallWatch(LIMIT_SECONDS), Client(1000)
    sending = asyncio.create_task(watch.send(client.send, BODY))
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    loop.call_at(LIMIT_SECONDS, sending.cancel)
    with pytest.raises(asyncio.CancelledError):
        await sending


@in_virtual_time
async def test_after_the_end_no_timer_is_left() -> None:
    watch, client = StallWatch(LIMIT_SECONDS), Client(0)
    await watch.send(client.send, BODY)
    watch.close()
    watch.close()
    assert asyncio.get_running_loop()._scheduled == [] or all(  # type: ignore[attr-defined]
        handle.cancelled()
        for handle in asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    )
