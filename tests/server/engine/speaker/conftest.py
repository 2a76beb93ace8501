"""One encoder for all tests of this folder: loading it takes a few hundredths of a second."""

from __future__ import annotations

import pytest

from timbre_server.engine.speaker import SpeakerEncoder


@pytest.fixture(scope="session")
def encoder() -> SpeakerEncoder:
    return SpeakerEncoder.load()
