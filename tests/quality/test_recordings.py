from __future__ import annotations

import re

import numpy as np
import pytest

from tests.quality.recordings import FOLDERS, ROOT, load

NAMES = sorted(file.stem for folder in FOLDERS for file in folder.glob("*.flac"))


@pytest.mark.parametrize("name", NAMES)
def test_every_recording_is_long_enough_for_a_reference_and_not_clipped(name: str) -> None:
    pcm = load(name)
    assert 8 <= pcm.duration_seconds <= 12
    assert pcm.sample_rate_hz == 16_000
    assert pcm.samples.dtype == np.float32
    assert 0.2 < np.abs(pcm.samples).max() < 0.99


@pytest.mark.parametrize("name", NAMES)
def test_every_recording_names_its_source(name: str) -> None:
    readme = (ROOT / "examples" / "voices" / "README.md").read_text()
    assert len(re.findall(rf"`{name}\.flac`", readme)) == 2  # once with its licence or length, once with its clips


def test_every_voice_has_another_take() -> None:
    assert {name.removesuffix("-other-take") for name in NAMES} == {n for n in NAMES if not n.endswith("-other-take")}
    assert len(NAMES) == 2 * len([name for name in NAMES if name.endswith("-other-take")])


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        load("nobody")
