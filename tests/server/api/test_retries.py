"""Does the client say that it has sent this before?"""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from tests.server.api.served import Served
from tests.server.service.parts import HIS_VOICE, recorded
from timbre_contract.api import SPEECH_PATH, VOICES_PATH
from timbre_server.api.retries import RETRY_COUNT_HEADER, is_retry


@pytest.mark.parametrize("count", ["1", "17"])
def test_a_count_above_zero_says_so(count: str) -> None:
    assert is_retry(Headers({RETRY_COUNT_HEADER: count}))


@pytest.mark.parametrize("count", ["0", "", "-1", "two", "²"])
def test_any_other_count_does_not(count: str) -> None:
    assert not is_retry(Headers({RETRY_COUNT_HEADER: count}))


def test_who_says_nothing_tries_for_the_first_time() -> None:
    assert not is_retry(Headers({}))


@pytest.mark.parametrize(("tries_before", "counted"), [("0", 1), ("1", 0)])
def test_a_retry_is_served_and_not_counted_as_demand_again(fresh: Served, tries_before: str, counted: int) -> None:
    with fresh.http() as client:
        answer = client.post(
            SPEECH_PATH,
            json={"model": "tts-1", "voice": "alloy", "input": "Once more."},
            headers={RETRY_COUNT_HEADER: tries_before},
        )

    assert answer.status_code == 200
    assert len(fresh.parts.demanded) == counted


@pytest.mark.parametrize(("tries_before", "counted"), [("0", 1), ("1", 0)])
def test_a_retried_enrolment_is_not_counted_again_either(fresh: Served, tries_before: str, counted: int) -> None:
    with fresh.http() as client:
        answer = client.post(
            VOICES_PATH,
            data={"name": "a voice"},
            files={"audio_sample": ("take.flac", recorded(HIS_VOICE))},
            headers={RETRY_COUNT_HEADER: tries_before},
        )

    assert answer.status_code == 200
    assert len(fresh.parts.demanded) == counted
