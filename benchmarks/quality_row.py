"""How near to its reference, and how well understood, is the embedded engine's speech?  Measured, not listened to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.measuring import Bar, Result
from tests.quality import recordings
from tests.quality.judge import SpeakerJudge
from tests.quality.sentences import SENTENCES
from tests.quality.wer import transcribe, word_error_rate
from timbre_server.audio.canonical import canonical
from timbre_server.domain.pcm import Pcm
from timbre_server.domain.speech import SpeechParameters
from timbre_server.domain.voice import Features, Reference
from timbre_server.engine.embedded import EmbeddedEngine
from timbre_server.engine.embedded.analysis import analyse
from timbre_server.engine.speaker import SpeakerEncoder
from timbre_server.ports import Utterance

NAMES = ("allison-female", "librivox-male", "carlo-male-italian")
PLAIN = SpeechParameters()


def _spoken(engine: EmbeddedEngine, features: Features, parameters: SpeechParameters = PLAIN) -> list[Pcm]:
    takes = []
    for sentence in SENTENCES:
        pieces = engine.synthesize([Utterance(sentence, features, parameters)], lambda _: False)
        takes.append(Pcm(np.concatenate([piece.samples for piece in pieces]), engine.descriptor.sample_rate_hz))
    return takes


def _reference(name: str) -> Reference:
    recording = recordings.load(name)
    return Reference(canonical(recording.samples, recording.sample_rate_hz), name)


def _joined(takes: Sequence[Pcm]) -> Pcm:
    return Pcm(np.concatenate([take.samples for take in takes]), takes[0].sample_rate_hz)


def _word_errors(takes: Sequence[Pcm]) -> float:
    return float(
        np.mean([word_error_rate(sentence, transcribe(take)) for sentence, take in zip(SENTENCES, takes, strict=True)])
    )


def _median_hz(pcm: Pcm) -> float:
    return float(np.exp(analyse(pcm.samples).log_f0[0]))


def quality() -> Result:
    """Each shipped recording as a reference, judged by another take of its speaker."""
    engine, encoder = EmbeddedEngine(), SpeakerEncoder.load()
    engine.load()
    takes = {name: recordings.load(f"{name}-other-take") for name in NAMES}
    judge = SpeakerJudge.fit({name: [recordings.load(name), take] for name, take in takes.items()})
    base = _joined(_spoken(engine, engine.preset_voices()["alloy"]))
    figures: dict[str, object] = {}
    bars = []
    for name, take in takes.items():
        (features,) = engine.encode([_reference(name)])
        spoken = _spoken(engine, features)
        joined, target, errors = _joined(spoken), encoder.embed(take), _word_errors(spoken)
        figures[name] = {
            "cosine_to_another_take": float(encoder.embed(joined) @ target),
            "cosine_of_the_base_voice": float(encoder.embed(base) @ target),
            "cosine_of_the_reference": float(encoder.embed(recordings.load(name)) @ target),
            "independent_judge_hears": judge.nearest(joined),
            "word_error_rate": errors,
            "median_f0_hz": _median_hz(joined),
            "median_f0_hz_of_the_reference": float(features["f0_stats"][0]),
            "word_error_rate_by_emotion": {
                emotion: _word_errors(_spoken(engine, features, replace(PLAIN, emotion=emotion)))
                for emotion in engine.descriptor.emotions
            },
        }
        bars.append(Bar(f"word error rate, {name}", errors, "", 0.15))
    return Result("quality", "embedded engine, ten sentences a voice, recogniser: pocketsphinx", bars, figures)
