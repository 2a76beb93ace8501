"""Whoever leaves, at whichever moment: nothing of a voice stays in use, and no place in the queue stays taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine, Generator
from contextlib import aclosing
from itertools import count
from types import coroutine
from typing import Any

import pytest

from tests.server.service.parts import HER_VOICE, HIS_VOICE, Parts, built_parts, recorded
from timbre_server.engine.stub import StubEngine
from timbre_server.service.casting import OneOffReference
from timbre_server.service.speech import SpeechRequest
from timbre_server.service.voices import VoiceUpload

TENANT = "tenant"
TEXT = "The first sentence. And a second one, so that there is more than one job."


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    engine = StubEngine(
        fixed_seconds=0.001, per_job_seconds=0, encode_fixed_seconds=0.001, encode_per_reference_seconds=0, pieces=2
    )
    async with built_parts(engine) as parts:
        yield parts


@coroutine
def leaving_at(work: Coroutine[Any, Any, None], step: int) -> Generator[Any, None, bool]:
    """Does the work, but cancels it when it waits for the ``step``-th time; False if it does not wait so often."""
    left = False
    thrown: BaseException | None = None
    for number in count():
        try:
            waiting = work.send(None) if thrown is None else work.throw(thrown)
        except StopIteration:
            return left
        if number == step:
            left = True
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        try:
            thrown = None
            yield waiting
        except BaseException as error:  # noqa: BLE001 - handed on to the work, as a task does
            thrown = error
    raise AssertionError


async def left_at(work: Coroutine[Any, Any, None], step: int) -> bool:
    """Whether the work was cancelled at that step; it must end so."""
    leaving: Awaitable[bool] = leaving_at(work, step)

    async def run() -> bool:
        return await leaving

    try:
        return await asyncio.create_task(run())
    except asyncio.CancelledError:
        return True


async def speak(parts: Parts, request: SpeechRequest) -> None:
    speech = await parts.speech.speak(request)
    try:
        async with aclosing(speech.samples()) as samples:
            async for _ in samples:
                pass
    finally:
        await speech.aclose()


async def check_nothing_is_left(parts: Parts) -> None:
    """After this no tier holds a voice either."""
    async with asyncio.timeout(10):
        await parts.dispatcher.drained()
        for entry in list(parts.memory._entries.values()):
            parts.features.forget(entry.digest)
            await parts.features.unused(entry.digest)
    parts.features.check_integrity()
    assert parts.memory.held_bytes == 0
    assert parts.dispatcher.pending_work_seconds == 0
    assert parts.dispatcher.pending_requests == 0


@pytest.mark.parametrize("is_known", [False, True])
async def test_a_listener_may_leave_at_any_moment(parts: Parts, *, is_known: bool) -> None:
    voice = await parts.voices.enrol(TENANT, "his", VoiceUpload(recorded(HIS_VOICE)))
    request = SpeechRequest(tenant=TENANT, text=TEXT, voice=voice.id)
    if not is_known:
        await check_nothing_is_left(parts)
    step = 0
    while await left_at(speak(parts, request), step):
        await check_nothing_is_left(parts)
        if is_known:
            await speak(parts, request)
        step += 1
    assert step >= 2
    await check_nothing_is_left(parts)


async def test_who_brings_a_recording_may_leave_at_any_moment(parts: Parts) -> None:
    request = SpeechRequest(tenant=TENANT, text=TEXT, reference=OneOffReference(recorded(HER_VOICE)))
    step = 0
    while await left_at(speak(parts, request), step):
        await check_nothing_is_left(parts)
        step += 1
    assert step >= 4


async def test_who_enrols_a_voice_may_leave_at_any_moment(parts: Parts) -> None:
    async def enrol() -> None:
        await parts.voices.enrol(TENANT, "her", VoiceUpload(recorded(HER_VOICE)))

    step = 0
    while await left_at(enrol(), step):
        await check_nothing_is_left(parts)
        step += 1
    assert step >= 4
