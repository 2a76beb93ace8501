"""Where do the files of the model lie on this machine, and which weights are they?

Safetensors only, and no code of a repository is ever run.  Nothing is downloaded unless the settings name a
repository of the hub; then its commit is pinned.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from timbre_server.engine.pocket_tts.options import Source
from timbre_server.errors import ConfigurationError

_DESCRIPTION: Final = ("*.json", "*.jinja")
"""Files of some kilobytes that say what the model is: enough for the engine's descriptor."""
_WEIGHTS: Final = ("*.safetensors",)
_REVISION_DIGITS: Final = 16
"""64 bits of a sha256 tell weights apart; whole hashes would make every key longer."""


@dataclass(frozen=True)
class Checkpoint:
    """One half of the model on this machine."""

    name: str
    """Repository or folder name, for the descriptor."""
    folder: Path
    revision: str
    """Changes whenever a file of it does: of the contents for a folder, of the commit for a repository."""


def described(source: Source, model_type: str) -> Checkpoint:
    """The checkpoint with its small files here, and perhaps its weights; a local folder's weights are read once.

    Raises:
        ConfigurationError: it is not there, or holds no ``model_type`` of ``transformers`` in safetensors.
    """
    folder = source.folder if source.folder is not None else _downloaded(source, _DESCRIPTION)
    _check_type(source, folder, model_type)
    if source.folder is None:
        return Checkpoint(source.repository, folder, source.commit[:_REVISION_DIGITS])
    if not any(_files(folder, _WEIGHTS)):
        raise ConfigurationError(f"the pocket-tts engine's folder {folder} holds no safetensors file")
    digest = hashlib.sha256()
    for file in _files(folder, (*_DESCRIPTION, *_WEIGHTS)):
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        digest.update(f"{file.name} {content}\n".encode())
    return Checkpoint(folder.resolve().name, folder, digest.hexdigest()[:_REVISION_DIGITS])


def fetched(source: Source) -> Path:
    """The folder with everything in it, weights included.

    Raises:
        ConfigurationError: the hub does not have it, or cannot be reached.
    """
    return source.folder if source.folder is not None else _downloaded(source, (*_DESCRIPTION, *_WEIGHTS))


def processor_words(folder: Path) -> dict[str, object]:
    """What ``processor_config.json`` of a checkpoint says; empty where there is none.

    Raises:
        ConfigurationError: it is no JSON object.
    """
    file = folder / "processor_config.json"
    return _json_object(file) if file.is_file() else {}


def _files(folder: Path, patterns: Sequence[str]) -> list[Path]:
    return sorted(file for pattern in patterns for file in folder.glob(pattern))


def _check_type(source: Source, folder: Path, model_type: str) -> None:
    found = _json_object(folder / "config.json").get("model_type")
    if found != model_type:
        raise ConfigurationError(
            f"{source.repository or folder} is a checkpoint of type {found}; the pocket-tts engine needs {model_type}"
        )


def _json_object(file: Path) -> dict[str, object]:
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the pocket-tts engine cannot read {file}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"the pocket-tts engine cannot read {file}: it is no JSON object")
    return content


def _downloaded(source: Source, patterns: Sequence[str]) -> Path:
    """The pinned commit from the hub, or from its cache on this machine."""
    from huggingface_hub import snapshot_download  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - only

    # a server that was given a repository ever imports what can download.
    try:
        return Path(snapshot_download(source.repository, revision=source.commit, allow_patterns=list(patterns)))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the pocket-tts engine cannot get {source.repository} at {source.commit} from the hub"
        ) from error
