"""Replies: the same at any cut of the stream, however slowly they come; silence and nonsense end the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import redis.exceptions
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.virtual_time import in_virtual_time
from timbre_server.store.bulk_replies import Replies, Unusual


class Pipe(asyncio.Transport):
    """A transport that notes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def received(replies: Replies, data: bytes, cuts: Callable[[], int]) -> None:
    """The bytes arrive in pieces as a kernel may cut them."""
    while data:
        buffer = replies.get_buffer(-1)
        size = max(1, min(len(buffer), len(data), cuts()))
        buffer[:size] = data[:size]
        data = data[size:]
        replies.buffer_updated(size)


Reply = bytes | int | None


def on_the_wire(reply: Reply) -> bytes:
    if reply is None:
        return b"$-1\r\n"
    return b":%d\r\n" % reply if isinstance(reply, int) else b"$%d\r\n%b\r\n" % (len(reply), reply)


@settings(max_examples=200, deadline=None)
@given(
    questions=st.lists(
        st.lists(st.none() | st.integers(-(2**63), 2**63) | st.binary(max_size=9000), min_size=1, max_size=4),
        max_size=6,
    ),
    cuts=st.data(),
)
def test_every_cut_of_the_stream_gives_the_same_replies(questions: list[list[Reply]], cuts: st.DataObject) -> None:
    async def scene() -> None:
        replies = Replies(Pipe(), asyncio.Protocol(), 5.0)
        answers: list[Awaitable[object]] = [
            asyncio.ensure_future(replies.ask([("GET", "key")] * len(question), [("EXPIRE", "key", 1)]))
            for question in questions
        ]
        await asyncio.sleep(0)
        stream = b"".join(b"".join(map(on_the_wire, question)) + b":1\r\n" for question in questions)
        received(replies, stream, lambda: cuts.draw(st.integers(1, 5000)))
        assert await asyncio.gather(*answers) == questions
        assert not replies.is_stuck

    asyncio.run(scene())


@pytest.mark.parametrize(
    "noise", [b"-ERR no\r\n", b"+OK\r\n", b"*1\r\n", b"$x\r\n", b"\r\n", b"$9999999999999\r\n", b"x" * 100]
)
async def test_what_cannot_be_understood_closes_the_connection(noise: bytes) -> None:
    pipe = Pipe()
    replies = Replies(pipe, asyncio.Protocol(), 5.0)
    asking = asyncio.create_task(replies.ask([("GET", "key")], []))
    await asyncio.sleep(0)
    received(replies, noise, lambda: 1000)
    with pytest.raises(Unusual):
        await asking
    assert pipe.closed
    assert replies.is_stuck


async def test_bytes_that_nobody_asked_for_close_the_connection() -> None:
    pipe = Pipe()
    received(Replies(pipe, asyncio.Protocol(), 5.0), b":1\r\n", lambda: 1000)
    assert pipe.closed


async def test_commands_are_arrays_of_strings() -> None:
    pipe = Pipe()
    asking = asyncio.create_task(
        Replies(pipe, asyncio.Protocol(), 5.0).ask([("HGET", "ä", b"\x00")], [("EXPIRE", "k", 10)])
    )
    await asyncio.sleep(0)
    assert pipe.written == (
        b"*3\r\n$4\r\nHGET\r\n$2\r\n\xc3\xa4\r\n$1\r\n\x00\r\n*3\r\n$6\r\nEXPIRE\r\n$1\r\nk\r\n$2\r\n10\r\n"
    )
    asking.cancel()


@in_virtual_time
async def test_a_value_may_take_long_as_long_as_it_comes() -> None:
    replies = Replies(Pipe(), asyncio.Protocol(), 1.0)
    asking = asyncio.create_task(replies.ask([("GET", "key")], []))
    for piece in (b"$", b"1", b"0\r\n", b"01234", b"56789\r", b"\n"):
        await asyncio.wait({asking}, timeout=0.9)
        received(replies, piece, lambda: 1000)
    assert await asking == [b"0123456789"]


@in_virtual_time
async def test_silence_in_the_middle_of_a_value_is_no_answer() -> None:
    replies = Replies(Pipe(), asyncio.Protocol(), 1.0)
    asking = asyncio.create_task(replies.ask([("GET", "key")], []))
    await asyncio.wait({asking}, timeout=0.9)
    received(replies, b"$10\r\n0123", lambda: 1000)
    with pytest.raises(redis.exceptions.TimeoutError):
        await asking
    assert asyncio.get_running_loop().time() == pytest.approx(1.9)
    assert replies.is_stuck


@in_virtual_time
async def test_silence_between_questions_is_no_fault() -> None:
    replies = Replies(Pipe(), asyncio.Protocol(), 1.0)
    for _ in range(2):
        asking = asyncio.create_task(replies.ask([("GET", "key")], []))
        await asyncio.wait({asking}, timeout=0.9)
        received(replies, b":1\r\n", lambda: 1000)
        assert await asking == [1]
        await asyncio.wait({asyncio.create_task(_hours())})
    assert not replies.is_stuck


async def _hours() -> None:
    over = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(7200, over.set_result, None)
    await over


async def test_few_commands_are_with_the_server_at_a_time_but_never_none() -> None:
    pipe = Pipe()
    replies = Replies(pipe, asyncio.Protocol(), 5.0)
    asking = asyncio.create_task(replies.ask([("GET", "key")] * 10))
    await asyncio.sleep(0)
    sent = []
    for number in range(10):
        sent.append(pipe.written.count(b"GET") - number)
        received(replies, on_the_wire(number), lambda: 1000)
    assert sent == [6, 5, 4, 6, 5, 4, 4, 3, 2, 1]
    assert await asking == list(range(10))


async def test_a_value_is_told_of_before_those_after_it_have_come() -> None:
    told: list[tuple[int, bytes]] = []
    replies = Replies(Pipe(), asyncio.Protocol(), 5.0)
    asking = asyncio.create_task(
        replies.ask([("GET", "key")] * 4, arrived=lambda place, value: told.append((place, bytes(value))))
    )
    await asyncio.sleep(0)
    received(replies, on_the_wire(b"first") + on_the_wire(None) + on_the_wire(7), lambda: 1000)
    assert told == [(0, b"first")]
    received(replies, on_the_wire(b"last"), lambda: 1000)
    assert told == [(0, b"first"), (3, b"last")]
    assert await asking == [b"first", None, 7, b"last"]


async def test_who_gave_up_is_told_of_nothing() -> None:
    told: list[int] = []
    replies = Replies(Pipe(), asyncio.Protocol(), 5.0)
    asking = asyncio.create_task(replies.ask([("GET", "key")], arrived=lambda place, _: told.append(place)))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    received(replies, on_the_wire(b"late"), lambda: 1000)
    assert told == []
