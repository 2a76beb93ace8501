"""Which recordings hold a voice for this engine?"""

from __future__ import annotations

import numpy as np
import pytest

from tests.server.engine.speech import a_reference
from timbre_server.domain.pcm import Pcm
from timbre_server.domain.voice import CANONICAL_SAMPLE_RATE_HZ, Reference
from timbre_server.engine.pocket_tts.reference import checked
from timbre_server.errors import AudioTooShort


def test_a_recording_at_the_codecs_rate_is_left_as_it_is() -> None:
    reference = a_reference(4.0)
    samples = checked(reference, CANONICAL_SAMPLE_RATE_HZ)

    assert samples.dtype == np.float32
    assert np.array_equal(samples, reference.pcm.samples)


def test_another_rate_is_met() -> None:
    assert len(checked(a_reference(4.0), 16_000)) == pytest.approx(4.0 * 16_000, abs=1)


def test_a_pause_does_not_count_as_voice() -> None:
    spoken = a_reference(2.5).pcm.samples
    pause = np.zeros(3 * CANONICAL_SAMPLE_RATE_HZ, np.float32)
    paused = Reference(Pcm(np.concatenate([spoken, pause]), CANONICAL_SAMPLE_RATE_HZ), "0" * 64)
    with pytest.raises(AudioTooShort) as refused:
        checked(paused, CANONICAL_SAMPLE_RATE_HZ)

    assert "2.5 s" in refused.value.message
