"""What may the settings say about this engine, and what is refused?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from timbre_server.errors import ConfigurationError

DTYPES: Final = ("float32", "float16", "bfloat16")

_KNOWN: Final = (
    "path", "model_id", "revision", "codec_path", "codec_model_id", "codec_revision", "device", "dtype", "threads",
    "languages",
)  # fmt: skip
_CODEC_FOLDER: Final = "audio_tokenizer"
"""Where the codec lies below ``path`` unless ``codec_path`` says otherwise: the library's name for it."""
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
"""A whole commit hash.  Branches and tags move, and features of one model would be served to another."""


@dataclass(frozen=True)
class Source:
    """Where one half of the model is to be had: a folder here, or a commit of a hub repository."""

    folder: Path | None = None
    repository: str = ""
    commit: str = ""


@dataclass(frozen=True)
class Options:
    """The engine's options, checked."""

    model: Source
    codec: Source
    device: str = ""
    """In torch's words; empty = ``cuda:0`` where CUDA is, else ``cpu``."""
    dtype: str = "float32"
    """Of the language model.  The codec always computes in float32, so that features do not depend on this."""
    threads: int | None = None
    """Of one operator on a CPU; ``None`` = torch's own choice, a thread per core."""
    languages: tuple[str, ...] = ("en",)
    """What the checkpoint speaks, BCP 47 primary languages: a checkpoint itself does not say."""

    @classmethod
    def parsed(cls, options: Mapping[str, object]) -> Options:
        """The options of the settings.

        Raises:
            ConfigurationError: one is unknown, of the wrong kind, or missing; the message says what to write.
        """
        unknown = sorted(set(options) - set(_KNOWN))
        if unknown:
            raise ConfigurationError(f"the pocket-tts engine has no option {unknown[0]!r}; it has {', '.join(_KNOWN)}")
        words = {name: _word(options, name) for name in _KNOWN if name not in {"threads", "languages"}}
        dtype = words["dtype"] or "float32"
        if dtype not in DTYPES:
            raise ConfigurationError(f"the pocket-tts engine's option dtype is one of {', '.join(DTYPES)}")
        model = _source(words["path"], words["model_id"], words["revision"], prefix="")
        codec_path = words["codec_path"]
        if not codec_path and not words["codec_model_id"] and model.folder is not None:
            codec_path = str(model.folder / _CODEC_FOLDER)
        codec = _source(codec_path, words["codec_model_id"], words["codec_revision"], prefix="codec_")
        return cls(model, codec, words["device"], dtype, _threads(options), _languages(options))


def _word(options: Mapping[str, object], name: str) -> str:
    value = options.get(name, "")
    if not isinstance(value, str):
        raise ConfigurationError(f"the pocket-tts engine's option {name} is a text")
    return value


def _source(path: str, repository: str, commit: str, *, prefix: str) -> Source:
    where = f"{prefix}path"
    which = f"{prefix}model_id"
    revision = f"{prefix}revision"
    if bool(path) == bool(repository):
        raise ConfigurationError(
            f"the pocket-tts engine needs either {where}, a folder with safetensors files, or {which} with {revision}, "
            "a repository of the Hugging Face hub and one of its commits"
        )
    if path:
        return Source(folder=Path(path))
    if not _COMMIT.fullmatch(commit):
        raise ConfigurationError(
            f"the pocket-tts engine's option {revision} must be the 40 digits of a commit of {repository}, because "
            f'branches and tags move: write "{revision}": "<commit hash>" beside "{which}"'
        )
    return Source(repository=repository, commit=commit)


def _threads(options: Mapping[str, object]) -> int | None:
    threads = options.get("threads")
    if threads is None:
        return None
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise ConfigurationError("the pocket-tts engine's option threads is a whole number from 1 on")
    return threads


def _languages(options: Mapping[str, object]) -> tuple[str, ...]:
    languages = options.get("languages", ("en",))
    if not isinstance(languages, list | tuple) or not languages:
        raise ConfigurationError('the pocket-tts engine\'s option languages is a list such as ["en"]')
    words = tuple(word.lower() for word in languages if isinstance(word, str) and word)
    if len(words) != len(languages):
        raise ConfigurationError('the pocket-tts engine\'s option languages is a list such as ["en"]')
    return words
