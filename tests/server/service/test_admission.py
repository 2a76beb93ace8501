"""A place in the queue, and what an extraction adds to it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.server.service.parts import Parts, built_parts
from timbre_server.domain.pcm import Pcm
from timbre_server.domain.voice import Reference
from timbre_server.engine.stub import StubEngine
from timbre_server.errors import Overloaded
from timbre_server.service.admission import Admission

TEN_SECONDS = Reference(Pcm(np.zeros(240_000, np.float32), 24_000), "digest")


def as_long_as_the_reference(seconds: float) -> float:
    return seconds


async def load() -> Reference:
    return TEN_SECONDS


async def test_a_place_costs_what_it_was_asked_for_until_it_is_given_back(parts: Parts) -> None:
    admission = Admission(parts.dispatcher, 3.0)
    assert parts.dispatcher.pending_work_seconds == pytest.approx(3.0)
    admission.release()
    admission.release()
    assert parts.dispatcher.pending_work_seconds == 0


async def test_loading_a_reference_pays_for_its_extraction_until_that_is_over(parts: Parts) -> None:
    admission = Admission(parts.dispatcher, 3.0)
    paying = admission.loading(load, as_long_as_the_reference)
    assert await paying() is TEN_SECONDS
    assert parts.dispatcher.pending_work_seconds == pytest.approx(13.0)
    admission.extracted()
    assert parts.dispatcher.pending_work_seconds == pytest.approx(3.0)
    admission.release()
    assert parts.dispatcher.pending_work_seconds == 0


async def test_a_voice_that_is_found_costs_nothing(parts: Parts) -> None:
    admission = Admission(parts.dispatcher, 3.0)
    admission.loading(load, as_long_as_the_reference)
    admission.extracted()
    assert parts.dispatcher.pending_work_seconds == pytest.approx(3.0)
    admission.release()


async def test_an_extraction_for_which_there_is_no_room_is_refused_and_holds_nothing() -> None:
    async with built_parts(StubEngine(), max_pending_seconds=12.0) as parts:
        other = Admission(parts.dispatcher, 1.0)
        admission = Admission(parts.dispatcher, 3.0)
        with pytest.raises(Overloaded):
            await admission.loading(load, as_long_as_the_reference)()
        assert parts.dispatcher.pending_work_seconds == pytest.approx(1.0)
        other.release()


async def test_an_idle_server_takes_any_extraction() -> None:
    async with built_parts(StubEngine(), max_pending_seconds=1.0) as parts:
        admission = Admission(parts.dispatcher, 3.0)
        await admission.loading(load, as_long_as_the_reference)()
        admission.extracted()
        admission.release()


async def test_a_request_that_has_left_pays_for_nothing_more(parts: Parts) -> None:
    admission = Admission(parts.dispatcher, 3.0)
    paying = admission.loading(load, as_long_as_the_reference)
    admission.release()
    await paying()
    assert parts.dispatcher.pending_work_seconds == 0
