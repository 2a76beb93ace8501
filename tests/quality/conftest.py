"""What the tests of the judges share."""

from __future__ import annotations

import pytest

from tests.quality.judge import SpeakerJudge
from tests.quality.recordings import load

SPEAKERS = ("librivox-male", "allison-female", "carlo-male-italian")


@pytest.fixture(scope="session")
def judge() -> SpeakerJudge:
    """Knows the shipped voices from one take each."""
    return SpeakerJudge.fit({speaker: [load(speaker)] for speaker in SPEAKERS})
