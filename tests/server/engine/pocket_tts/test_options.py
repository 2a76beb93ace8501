"""Which settings does the pocket-tts engine take, and what does it say to the others?"""

from __future__ import annotations

from pathlib import Path

import pytest

from timbre_server.engine.pocket_tts.options import Options, Source
from timbre_server.errors import ConfigurationError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def refusal(**options: object) -> str:
    with pytest.raises(ConfigurationError) as refused:
        Options.parsed(options)
    return refused.value.message


def test_a_folder_is_enough_and_holds_the_codec() -> None:
    options = Options.parsed({"path": "/models/pocket"})

    assert options.model == Source(folder=Path("/models/pocket"))
    assert options.codec == Source(folder=Path("/models/pocket/audio_tokenizer"))
    assert (options.device, options.dtype, options.threads, options.languages) == ("", "float32", None, ("en",))


def test_the_codec_may_lie_elsewhere() -> None:
    assert Options.parsed({"path": "a", "codec_path": "b"}).codec == Source(folder=Path("b"))
    other = Options.parsed({"path": "a", "codec_model_id": "x/y", "codec_revision": COMMIT})
    assert other.codec == Source(repository="x/y", commit=COMMIT)


def test_a_repository_needs_a_commit_and_the_message_says_what_to_write() -> None:
    for revision in ("", "main", "v1.0", COMMIT[:12], COMMIT + "0"):
        message = refusal(model_id="kyutai/pocket-tts", revision=revision, codec_path="b")
        assert '"revision": "<commit hash>"' in message
    pinned = Options.parsed({"model_id": "kyutai/pocket-tts", "revision": COMMIT, "codec_path": "b"})
    assert pinned.model == Source(repository="kyutai/pocket-tts", commit=COMMIT)


def test_the_codec_of_a_repository_is_named_and_pinned_too() -> None:
    assert "codec_model_id" in refusal(model_id="x/y", revision=COMMIT)
    assert "codec_revision" in refusal(model_id="x/y", revision=COMMIT, codec_model_id="x/z")


def test_neither_and_both_places_are_refused() -> None:
    assert "path" in refusal()
    assert "path" in refusal(path="a", model_id="x/y", revision=COMMIT)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"weights": "a"}, "weights"),
        ({"path": 3}, "path"),
        ({"path": "a", "dtype": "int8"}, "bfloat16"),
        ({"path": "a", "threads": 0}, "threads"),
        ({"path": "a", "threads": True}, "threads"),
        ({"path": "a", "threads": "2"}, "threads"),
        ({"path": "a", "languages": "en"}, "languages"),
        ({"path": "a", "languages": []}, "languages"),
        ({"path": "a", "languages": ["en", 3]}, "languages"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options: dict[str, object], named: str) -> None:
    assert named in refusal(**options)


def test_languages_are_lower_case() -> None:
    assert Options.parsed({"path": "a", "languages": ["FR", "en"]}).languages == ("fr", "en")
