"""What does the base voice say for a text? hibari's grapheme-to-phoneme stage and acoustic network.

Its parts are used one by one (pinned to ``REVISION``), because the voice is edited between network and waveform:
the network is opened here with sparing options, and the text stage is imported without the package around it,
whose import alone would load scipy (0.6 s and 33 MB for nothing that runs here).
"""

from __future__ import annotations

import gc
import importlib.metadata
import importlib.util
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from timbre_server.engine.embedded.frames import Frames
from timbre_server.engine.embedded.spikes import without_spikes
from timbre_server.errors import ConfigurationError

PACKAGE: Final = "hibari-tts"
REVISION: Final = "0.2.1"
"""The only version whose inside is known to look like this."""
MAX_PHONEMES: Final = 300
"""Attention is quadratic: 300 phonemes are 19 s of speech in 0.1 s and 20 MB; 5,000 kill the process."""
_PAD: Final = 0
_MODULE: Final = "_timbre_hibari_g2p"


@dataclass(frozen=True, eq=False)
class AcousticModel:
    """hibari's built-in American voice; ``frames`` and ``phonemes`` may be called from any thread."""

    session: Any
    vocabulary: Mapping[str, int] = field(repr=False)
    pronounce: Callable[[str], str]
    """Text to phonemes in misaki's alphabet."""

    @classmethod
    def load(cls, threads: int = 1) -> AcousticModel:
        """The model from the installed wheel; nothing is downloaded.

        Raises:
            ConfigurationError: the wheel is absent, or of another version.
        """
        home = _package_directory()
        with _paused_collector():
            pronounce = _text_stage(home, threads)
        vocabulary = json.loads((home / "assets" / "vocab.json").read_text(encoding="utf-8"))
        return cls(_session(home / "assets" / "hibari.onnx", threads), vocabulary, pronounce)

    def phonemes(self, text: str) -> list[str]:
        """The phonemes of a text, cut at spaces into strings of at most ``MAX_PHONEMES``; none if it says nothing."""
        known = "".join(symbol for symbol in self.pronounce(text) if symbol in self.vocabulary)
        return [part for part in bounded(known) if any(symbol.isalpha() for symbol in part)]

    def frames(self, phonemes: str, speed: float = 1.0) -> Frames:
        """The base voice saying the phonemes, roughly ``speed`` times as fast as usual (see ``tempo``)."""
        ids = [_PAD, *(self.vocabulary[symbol] for symbol in phonemes), _PAD]
        inputs = {"ids": np.asarray([ids], np.int64), "speed": np.asarray([speed], np.float32)}
        harmonic, phase, _noise, residual, residual_phase, f0_hz = (out[0] for out in self.session.run(None, inputs))
        return without_spikes(Frames(harmonic, phase, residual, residual_phase, f0_hz))


def bounded(phonemes: str) -> Iterator[str]:
    """Cuts a phoneme string at the last clause mark or else space before ``MAX_PHONEMES``, in a pinch anywhere."""
    rest = phonemes.strip()
    while len(rest) > MAX_PHONEMES:
        head = rest[:MAX_PHONEMES]
        marks = [match.end() for match in re.finditer(r"[,;:.!?—…]\s", head)]
        cut = marks[-1] if marks and marks[-1] > MAX_PHONEMES // 2 else head.rfind(" ")
        cut = cut if cut > 0 else MAX_PHONEMES
        yield rest[:cut].strip()
        rest = rest[cut:].strip()
    if rest:
        yield rest


def _package_directory() -> Path:
    try:
        version = importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError as error:
        raise ConfigurationError(f"The embedded engine needs the package {PACKAGE}=={REVISION}.") from error
    spec = importlib.util.find_spec("hibari")
    if version != REVISION or spec is None or spec.origin is None:
        raise ConfigurationError(f"The embedded engine needs {PACKAGE}=={REVISION}, and {version} is installed.")
    return Path(spec.origin).parent


def _text_stage(home: Path, threads: int) -> Callable[[str], str]:
    """hibari's text stage with its network for unknown words, both ready."""
    package = _sub_package(home / "g2p")
    unknown_words = importlib.import_module(f"{_MODULE}.oov").OOV(
        str(home / "assets" / "oov.onnx"), _session(home / "assets" / "oov.onnx", threads)
    )
    stage: Callable[[str], str] = package.G2P(oov=unknown_words)
    return stage


def _sub_package(directory: Path) -> ModuleType:
    """The package in that directory, imported on its own under a private name."""
    if _MODULE in sys.modules:
        return sys.modules[_MODULE]
    spec = importlib.util.spec_from_file_location(
        _MODULE, directory / "__init__.py", submodule_search_locations=[str(directory)]
    )
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"The package {PACKAGE} lacks its text stage.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module
    spec.loader.exec_module(module)
    return module


def _session(model: Path, threads: int) -> Any:
    """An idle session keeps its weights only: no arena, no plan of buffers, no thread that spins."""
    import onnxruntime  # noqa: PLC0415 - 0.1 s and 20 MB that only a loaded engine pays

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


@contextmanager
def _paused_collector() -> Iterator[None]:
    """The lexicons are a million live objects; walking them again and again while they load doubles the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
