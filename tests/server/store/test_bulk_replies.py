"""Replies: the same at any cut of the stream, however slowly they come; silence and nonsense end the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
import redis.exceptions
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.virtual_time import in_virtual_time, oversleep
from timbre_server.ports import Room
from timbre_server.store.bulk_questions import Command
from timbre_server.store.bulk_replies import ALIGNMENT_BYTES, Replies, Unusual


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

VALUES = st.binary(max_size=9000) | st.sampled_from([bytes([1]) * 5000, bytes([2]) * 5000, bytes(range(250)) * 20])
"""Some are of one length, as those of one encoder are."""


def scarce(places: int) -> Room:
    """Room for so many values, each full of what was there before."""
    left = [places]

    def room(nbytes: int) -> memoryview | None:
        left[0] -= 1
        return memoryview(bytearray(b"$" * nbytes)) if left[0] >= 0 else None

    return room


def on_the_wire(reply: Reply) -> bytes:
    if reply is None:
        return b"$-1\r\n"
    return b":%d\r\n" % reply if isinstance(reply, int) else b"$%d\r\n%b\r\n" % (len(reply), reply)


@settings(max_examples=200, deadline=None)
@given(
    questions=st.lists(
        st.lists(st.none() | st.integers(-(2**63), 2**63) | VALUES, max_size=12),
        max_size=6,
    ),
    places=st.integers(0, 20),
    cuts=st.data(),
)
def test_every_cut_of_the_stream_gives_the_same_replies(
    questions: list[list[Reply]], places: int, cuts: st.DataObject
) -> None:
    async def scene() -> None:
        replies = Replies(Pipe(), asyncio.Protocol(), 5.0, 60.0)
        room = scarce(places) if places else None
        answers: list[Awaitable[object]] = [
            asyncio.ensure_future(replies.ask([("GET", "key")] * len(question), [("EXPIRE", "key", 1)], room=room))
            for question in questions
        ]
        await asyncio.sleep(0)
        stream = b"".join(b"".join(map(on_the_wire, question)) + b":1\r\n" for question in questions)
        received(replies, stream, lambda: cuts.draw(st.integers(1, 5000) | st.just(20_000)))
        assert await asyncio.gather(*answers) == questions
        assert not replies.is_stuck

    asyncio.run(scene())


@pytest.mark.parametrize(
    "noise", [b"-ERR no\r\n", b"+OK\r\n", b"*1\r\n", b"$x\r\n", b"\r\n", b"$9999999999999\r\n", b"x" * 100]
)
async def test_what_cannot_be_understood_closes_the_connection(noise: bytes) -> None:
    pipe = Pipe()
    replies = Replies(pipe, asyncio.Protocol(), 5.0, 60.0)
    asking = asyncio.create_task(replies.ask([("GET", "key")], []))
    await asyncio.sleep(0)
    received(replies, noise, lambda: 1000)
    with pytest.raises(Unusual):
        await asking
    assert pipe.closed
    assert replies.is_stuck


async def test_bytes_that_nobody_asked_for_close_the_connection() -> None:
    pipe = Pipe()
    received(Replies(pipe, asyncio.Protocol(), 5.0, 60.0), b":1\r\n", lambda: 1000)
    assert pipe.closed


async def test_commands_are_arrays_of_strings() -> None:
    pipe = Pipe()
    asking = asyncio.create_task(
        Replies(pipe, asyncio.Protocol(), 5.0, 60.0).ask([("HGET", "ä", b"\x00")], [("EXPIRE", "k", 10)])
    )
    await asyncio.sleep(0)
    assert pipe.written == (
        b"*3\r\n$4\r\nHGET\r\n$2\r\n\xc3\xa4\r\n$1\r\n\x00\r\n*3\r\n$6\r\nEXPIRE\r\n$1\r\nk\r\n$2\r\n10\r\n"
    )
    asking.cancel()


@in_virtual_time
async def test_a_value_may_take_long_as_long_as_it_comes() -> None:
    replies = Replies(Pipe(), asyncio.Protocol(), 1.0, 60.0)
    asking = asyncio.create_task(replies.ask([("GET", "key")], []))
    for piece in (b"$", b"1", b"0\r\n", b"01234", b"56789\r", b"\n"):
        await asyncio.wait({asking}, timeout=0.9)
        received(replies, piece, lambda: 1000)
    assert await asking == [b"0123456789"]


@in_virtual_time
async def test_silence_in_the_middle_of_a_value_is_no_answer() -> None:
    replies = Replies(Pipe(), asyncio.Protocol(), 1.0, 60.0)
    asking = asyncio.create_task(replies.ask([("GET", "key")], []))
    await asyncio.wait({asking}, timeout=0.9)
    received(replies, b"$10\r\n0123", lambda: 1000)
    with pytest.raises(redis.exceptions.TimeoutError):
        await asking
    assert asyncio.get_running_loop().time() == pytest.approx(1.9)
    assert replies.is_stuck


@in_virtual_time
async def test_nobody_waits_longer_than_the_limit_however_steadily_it_comes() -> None:
    replies = Replies(Pipe(), asyncio.Protocol(), 1.0, 3.0)
    slow = asyncio.create_task(replies.ask([("GET", "slow")]))
    await asyncio.wait({slow}, timeout=0.2)
    later = asyncio.create_task(replies.ask([("GET", "later")]))
    for piece in (b"$9\r\n", b"012", b"345"):
        await asyncio.wait({slow}, timeout=0.7)
        received(replies, piece, lambda: 1000)
    with pytest.raises(redis.exceptions.TimeoutError):
        await slow
    assert asyncio.get_running_loop().time() == pytest.approx(3.0)
    assert not replies.is_stuck, "somebody else waits for what comes next"
    received(replies, b"678\r\n:1\r\n", lambda: 1000)
    assert await later == [1]


@in_virtual_time
async def test_it_is_stuck_once_the_limit_is_over_for_all() -> None:
    replies = Replies(Pipe(), asyncio.Protocol(), 1.0, 1.5)
    slow = asyncio.create_task(replies.ask([("GET", "slow")], [("EXPIRE", "slow", 1)]))
    await asyncio.wait({slow}, timeout=0.9)
    received(replies, b"$9\r\n", lambda: 1000)
    with pytest.raises(redis.exceptions.TimeoutError):
        await slow
    assert asyncio.get_running_loop().time() == pytest.approx(1.5)
    assert replies.is_stuck


@in_virtual_time
async def test_what_came_while_the_process_slept_is_read_before_anybody_gives_up() -> None:
    replies = Replies(Pipe(), asyncio.Protocol(), 1.0, 3.0)
    loop = asyncio.get_running_loop()
    asking = asyncio.create_task(replies.ask([("GET", "key")]))
    loop.call_later(0.9, oversleep, 10.0)
    loop.call_later(0.9, lambda: loop.call_soon(lambda: loop.call_soon(received, replies, b":1\r\n", lambda: 1000)))
    assert await asking == [1]
    assert not replies.is_stuck


@in_virtual_time
async def test_a_process_that_sleeps_again_and_again_gives_up_too() -> None:
    replies = Replies(Pipe(), asyncio.Protocol(), 1.0, 3.0)
    loop = asyncio.get_running_loop()
    sleeping: list[asyncio.TimerHandle] = []

    def again() -> None:
        oversleep(10.0)
        if len(sleeping) < 50:
            sleeping.append(loop.call_later(0.001, again))

    again()
    with pytest.raises(redis.exceptions.TimeoutError):
        await replies.ask([("GET", "key")])
    assert len(sleeping) < 5
    sleeping[-1].cancel()


@in_virtual_time
async def test_silence_between_questions_is_no_fault() -> None:
    replies = Replies(Pipe(), asyncio.Protocol(), 1.0, 60.0)
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
    replies = Replies(pipe, asyncio.Protocol(), 5.0, 60.0)
    asking = asyncio.create_task(replies.ask([("GET", "key")] * 10))
    await asyncio.sleep(0)
    sent = []
    for number in range(10):
        sent.append(pipe.written.count(b"GET") - number)
        received(replies, on_the_wire(number), lambda: 1000)
    assert sent == [8, 7, 6, 5, 6, 5, 4, 3, 2, 1]
    assert await asking == list(range(10))


async def test_the_first_command_is_with_the_server_before_the_second_is_made() -> None:
    pipe = Pipe()
    written: list[int] = []

    def commands() -> Iterator[Command]:
        for _ in range(3):
            written.append(pipe.written.count(b"GET"))
            yield ("GET", "key")

    asking = asyncio.create_task(Replies(pipe, asyncio.Protocol(), 5.0, 60.0).ask(commands()))
    await asyncio.sleep(0)
    assert written == [0, 1, 1]
    asking.cancel()


async def test_what_lay_in_a_room_before_is_never_taken_for_a_reply() -> None:
    """A room that still holds a reply of the expected length, where one has begun that begins likewise."""
    one, other = on_the_wire(b"1" * 5000), on_the_wire(b"2" * 5001)

    def room(nbytes: int) -> memoryview:
        return memoryview(bytearray(one.rjust(nbytes, b"0")[-nbytes:]))

    replies = Replies(Pipe(), asyncio.Protocol(), 5.0, 60.0)
    asking = asyncio.create_task(replies.ask([("GET", "key")] * 2, room=room))
    await asyncio.sleep(0)
    received(replies, one, lambda: 10_000)
    for size in (4, 5, 4990, 10_000):
        received(replies, other[:size], lambda: 10_000)
        other = other[size:]
    assert await asking == [b"1" * 5000, b"2" * 5001]


async def test_no_commands_have_no_replies_at_whatever_place() -> None:
    replies = Replies(Pipe(), asyncio.Protocol(), 5.0, 60.0)
    assert await replies.ask([]) == []
    asking = [asyncio.create_task(replies.ask([("GET", "key")] * count)) for count in (9, 0, 1, 0)]
    await asyncio.sleep(0)
    received(replies, b":1\r\n" * 10, lambda: 1000)
    assert await asyncio.gather(*asking) == [[1] * 9, [], [1], []]


async def test_what_nobody_waits_for_any_more_is_not_asked_for() -> None:
    pipe = Pipe()
    replies = Replies(pipe, asyncio.Protocol(), 5.0, 60.0)
    patient = asyncio.create_task(replies.ask([("GET", "one")]))
    asking = asyncio.create_task(replies.ask([("GET", "many")] * 100))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    received(replies, b":1\r\n" * 8, lambda: 1000)
    assert await patient == [1]
    assert pipe.written.count(b"many") == 7
    assert not replies.is_stuck


async def test_it_is_stuck_once_all_who_asked_have_given_up() -> None:
    replies = Replies(Pipe(), asyncio.Protocol(), 5.0, 60.0)
    asking = [asyncio.create_task(replies.ask([("GET", "key")])) for _ in range(2)]
    await asyncio.sleep(0)
    for task, stuck in zip(asking, (False, True), strict=True):
        task.cancel()
        await asyncio.wait([task])
        assert replies.is_stuck is stuck


async def test_a_value_as_long_as_the_one_before_it_is_received_where_it_stays() -> None:
    lent: list[memoryview] = []

    def room(nbytes: int) -> memoryview:
        lent.append(memoryview(bytearray(nbytes)))
        return lent[-1]

    told: list[memoryview] = []
    replies = Replies(Pipe(), asyncio.Protocol(), 5.0, 60.0)
    asking = asyncio.create_task(
        replies.ask([("GET", "key")] * 3, arrived=lambda _, value: told.append(value), room=room)
    )
    await asyncio.sleep(0)
    received(replies, on_the_wire(bytes(10_000)), lambda: 20_000)
    for mark in (1, 2):
        reply = on_the_wire(bytes([mark]) * 10_000)
        landing = replies.get_buffer(-1)
        assert len(landing) == len(reply)
        assert landing.obj is lent[-1].obj
        landing[:] = reply
        replies.buffer_updated(len(reply))
        assert told[-1].obj is lent[-1].obj
        assert (lent[-1].nbytes - 2 - 10_000) % ALIGNMENT_BYTES == 0, "the value begins where its arrays are aligned"
    assert await asking == [bytes([mark]) * 10_000 for mark in range(3)]


async def test_a_value_is_told_of_before_those_after_it_have_come() -> None:
    told: list[tuple[int, bytes]] = []
    replies = Replies(Pipe(), asyncio.Protocol(), 5.0, 60.0)
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
    replies = Replies(Pipe(), asyncio.Protocol(), 5.0, 60.0)
    asking = asyncio.create_task(replies.ask([("GET", "key")], arrived=lambda place, _: told.append(place)))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    received(replies, on_the_wire(b"late"), lambda: 1000)
    assert told == []
