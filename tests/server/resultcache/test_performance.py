"""Everybody hears all of it, from the beginning, however late he came and however slow he is."""

import asyncio

import numpy as np
import pytest

from tests.server.resultcache.stage import (
    NOW,
    PIECE_SAMPLES,
    PIECES,
    RATE_HZ,
    SECONDS_PER_PIECE,
    Engine,
    now,
    speech_of,
    unix_time,
)
from tests.virtual_time import in_virtual_time
from timbre_server.audio.raw_encoder import to_wav
from timbre_server.domain.pcm import Samples
from timbre_server.errors import EncodingError, EngineError
from timbre_server.ports import Make
from timbre_server.resultcache import performance as module
from timbre_server.resultcache.performance import Performance, Seat

ROOMY_BYTES = 1 << 30


async def a_performance(engine: Engine, *, limit_bytes: int = ROOMY_BYTES) -> Performance:
    make: Make = engine.make("text")
    return Performance(await make(), limit_bytes=limit_bytes, clock=unix_time)


async def heard_from(seat: Seat) -> Samples:
    return np.concatenate([piece async for piece in seat.hear()])


@in_virtual_time
async def test_who_comes_in_the_middle_hears_the_beginning_at_once_and_the_end_as_it_comes() -> None:
    performance = await a_performance(Engine())
    recording = asyncio.create_task(performance.record())
    await asyncio.sleep(SECONDS_PER_PIECE * 1.5)
    began = now()
    seat = performance.seat()
    arrivals = [now() - began async for _ in seat.hear()]
    assert arrivals == [0.0, 0.0, 0.5]
    await recording


@in_virtual_time
async def test_all_hear_the_same_and_it_is_what_is_kept() -> None:
    performance = await a_performance(Engine())
    seats = [performance.seat() for _ in range(3)]
    kept, *takes = await asyncio.gather(performance.record(), *(heard_from(seat) for seat in seats))
    for take in takes:
        assert np.array_equal(take, speech_of("text"))
    assert kept == to_wav(speech_of("text"), RATE_HZ)


@in_virtual_time
async def test_a_failure_reaches_everybody_after_what_was_said() -> None:
    performance = await a_performance(Engine(fails_at=2, failure=EngineError("broke")))
    recording = asyncio.create_task(performance.record())
    hearing = performance.seat().hear()
    assert [len(await anext(hearing)) for _ in range(2)] == [PIECE_SAMPLES] * 2
    with pytest.raises(EngineError, match="broke"):
        await anext(hearing)
    with pytest.raises(EngineError):
        await recording
    with pytest.raises(EngineError):
        await heard_from(performance.seat())


@in_virtual_time
async def test_what_is_no_number_is_refused_and_not_rounded() -> None:
    performance = await a_performance(Engine(piece=lambda *_: np.array([0.0, np.nan], np.float32)))
    with pytest.raises(EncodingError):
        await performance.record()


@in_virtual_time
async def test_a_take_is_labelled_when_it_begins() -> None:
    performance = await a_performance(Engine())
    assert performance.label.created_at == NOW + SECONDS_PER_PIECE
    assert performance.label.sample_rate_hz == RATE_HZ


class TestTooLong:
    """Speech that passes the limit is heard and not kept."""

    LIMIT_BYTES = 2 * PIECE_SAMPLES

    @in_virtual_time
    async def test_it_is_told_once_and_nothing_is_kept(self) -> None:
        told: list[bool] = []
        make: Make = Engine().make("text")
        performance = Performance(
            await make(), limit_bytes=self.LIMIT_BYTES, clock=unix_time, too_long=lambda: told.append(True)
        )
        seat = performance.seat()
        kept, take = await asyncio.gather(performance.record(), heard_from(seat))
        assert (kept, told) == (None, [True])
        assert np.array_equal(take, speech_of("text"))

    @in_virtual_time
    async def test_what_all_have_heard_is_dropped(self) -> None:
        performance = await a_performance(Engine(), limit_bytes=self.LIMIT_BYTES)
        seat = performance.seat()
        await asyncio.gather(performance.record(), heard_from(seat))
        assert len(performance._pieces) <= 1

    @in_virtual_time
    async def test_a_slow_listener_misses_nothing_that_a_quick_one_has_heard(self) -> None:
        performance = await a_performance(Engine(), limit_bytes=self.LIMIT_BYTES)
        slow, quick = performance.seat(), performance.seat()
        await asyncio.gather(performance.record(), heard_from(quick))
        assert np.array_equal(await heard_from(slow), speech_of("text"))

    @in_virtual_time
    async def test_it_is_made_only_so_far_ahead_of_the_quickest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "MAX_AHEAD_SECONDS", 2 * PIECE_SAMPLES / RATE_HZ)
        engine = Engine(pieces=10)
        performance = await a_performance(engine, limit_bytes=self.LIMIT_BYTES)
        seat = performance.seat()
        recording = asyncio.create_task(performance.record())
        await asyncio.sleep(100)
        assert engine.spoken == 3
        hearing = seat.hear()
        await anext(hearing)
        await asyncio.sleep(100)
        assert engine.spoken == 4
        rest = [piece async for piece in hearing]
        assert len(rest) == 9
        await recording

    @in_virtual_time
    async def test_who_leaves_holds_nobody_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "MAX_AHEAD_SECONDS", 2 * PIECE_SAMPLES / RATE_HZ)
        performance = await a_performance(Engine(pieces=10), limit_bytes=self.LIMIT_BYTES)
        left, stays = performance.seat(), performance.seat()
        left.leave()
        left.leave()
        _, take = await asyncio.gather(performance.record(), heard_from(stays))
        assert len(take) == 10 * PIECE_SAMPLES


@in_virtual_time
async def test_what_may_be_kept_is_made_without_waiting_for_anybody() -> None:
    engine = Engine(pieces=PIECES)
    performance = await a_performance(engine)
    performance.seat()
    assert await performance.record()
    assert engine.spoken == PIECES
