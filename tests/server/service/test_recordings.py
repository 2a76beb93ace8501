"""The one door for recordings."""

from __future__ import annotations

import pytest

from tests.server.service.parts import HIS_VOICE, recorded
from timbre_server.audio.decoding import RecordingDecoder
from timbre_server.domain.voice import CANONICAL_SAMPLE_RATE_HZ
from timbre_server.errors import AudioTooShort, AudioUnreadable
from timbre_server.service.recordings import RecordingIntake


async def test_a_good_recording_becomes_a_canonical_reference() -> None:
    intake = RecordingIntake(RecordingDecoder(), min_voiced_seconds=3.0)
    reference = await intake.reference(recorded(HIS_VOICE), param="audio_sample", transcript="what he says")
    assert reference.pcm.sample_rate_hz == CANONICAL_SAMPLE_RATE_HZ
    assert (len(reference.digest), reference.transcript) == (64, "what he says")


@pytest.mark.parametrize("param", ["audio_sample", "recording", "reference_audio"])
async def test_a_bad_one_is_refused_by_the_field_that_it_came_in(param: str) -> None:
    with pytest.raises(AudioUnreadable) as unreadable:
        await RecordingIntake(RecordingDecoder(), min_voiced_seconds=3.0).reference(b"no audio", param=param)
    with pytest.raises(AudioTooShort) as short:
        await RecordingIntake(RecordingDecoder(), min_voiced_seconds=60.0).reference(recorded(HIS_VOICE), param=param)
    assert (unreadable.value.param, short.value.param) == (param, param)
