"""The main job on one server: enrol two recordings, speak with both through the ``openai`` client, measure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr
from openai import OpenAI, omit

from examples.local_server import LocalServer
from timbre_server.domain.pcm import Pcm
from timbre_server.engine.speaker import SpeakerEncoder

ROOT = Path(__file__).resolve().parents[1]
RECORDINGS = [ROOT / "examples" / "voices" / name for name in ("allison-female.flac", "librivox-male.flac")]
OUT = ROOT / "demo-out"
PRESETS = ("alloy",)
SENTENCE = "The north wind and the sun were arguing which of them was stronger, when a traveller came along."
EMOTIONAL = "I can hardly believe it. We won the first prize!"
LONG = " ".join(
    [
        "Voice cloning on a cluster has one cost that matters: listening to a recording takes seconds.",
        "A voice that was heard before is ready in microseconds, if somebody kept what was learnt from it.",
        "So Timbre keeps it, in memory, close to the engine, and lets every request share the engine in batches.",
        "The first sentence of each request goes first, because somebody is waiting to hear it.",
    ]
    * 4
)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    file: str
    first_audio_ms: float
    audio_seconds: float
    real_time_factor: float
    likeness: tuple[float, ...]
    """Cosine of the speaker embedding to each reference."""


def decoded(path: Path) -> Pcm:
    """The file as mono PCM; headerless ``.pcm`` is 24 kHz, 16 bits."""
    if path.suffix == ".pcm":
        return Pcm(np.frombuffer(path.read_bytes(), "<i2").astype(np.float32) / 32768, 24_000)
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("flt", "mono", stream.rate)
        frames = [out for frame in container.decode(stream) for out in resampler.resample(frame)]
        samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
        return Pcm(soxr.resample(samples, stream.rate, 24_000), 24_000)


def speak(client: OpenAI, voice: str, text: str, file: str, **extra: Any) -> tuple[float, float]:
    """Saves the speech as ``file`` and returns milliseconds to the first audio and seconds in all."""
    began = time.perf_counter()
    first = 0.0
    with (
        (OUT / file).open("wb") as target,
        client.audio.speech.with_streaming_response.create(
            model="tts-1",
            voice=voice if voice in PRESETS else {"id": voice},
            input=text,
            response_format=file.rpartition(".")[2],
            extra_body=extra,
        ) as response,
    ):
        for chunk in response.iter_bytes():
            first = first or (time.perf_counter() - began) * 1000
            target.write(chunk)
    return first, time.perf_counter() - began


def tasks(voices: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """(voice id, file, text, extra fields) of everything that the demo says."""
    yield "alloy", "base-voice.mp3", SENTENCE, {}
    for name, voice in voices:
        for suffix in ("mp3", "opus", "aac", "flac", "wav", "pcm"):
            yield voice, f"{name}.{suffix}", SENTENCE, {}
        yield voice, f"{name}-happy.mp3", EMOTIONAL, {"emotion": "happy"}
        yield voice, f"{name}-long.mp3", LONG, {}


def enrol(client: OpenAI, recording: Path) -> tuple[str, str]:
    """Enrols a recording and returns the name and the id of the voice."""
    began = time.perf_counter()
    # The client's types demand a consent; this server asks for one only if TIMBRE_VOICES__REQUIRE_CONSENT says so.
    voice = client.audio.voices.create(name=recording.stem, audio_sample=recording, consent=omit)
    print(f"  enrolled {recording.name} as {voice.id} in {(time.perf_counter() - began) * 1000:.0f} ms")
    return recording.stem, voice.id


def measure(client: OpenAI, voices: Sequence[tuple[str, str]]) -> Iterator[Row]:
    """Speaks everything and looks at what came back."""
    encoder = SpeakerEncoder.load()
    references = [encoder.embed(decoded(path)) for path in RECORDINGS]
    for voice, file, text, extra in tasks(voices):
        first_audio_ms, seconds = speak(client, voice, text, file, **extra)
        pcm = decoded(OUT / file)
        spoken = encoder.embed(pcm)
        likeness = tuple(float(spoken @ reference) for reference in references)
        yield Row(file, first_audio_ms, pcm.duration_seconds, seconds / pcm.duration_seconds, likeness)


def print_table(rows: Sequence[Row]) -> None:
    """The measurements, with a note on how to read them."""
    width = max(len(row.file) for row in rows)
    names = [path.stem for path in RECORDINGS]
    print(f"\n  {'file':<{width}}  first audio  audio    real-time factor  likeness to " + " / ".join(names))
    for row in rows:
        likeness = " / ".join(f"{value:.2f}" for value in row.likeness)
        print(
            f"  {row.file:<{width}}  {row.first_audio_ms:8.0f} ms  {row.audio_seconds:5.1f} s"
            f"  {row.real_time_factor:9.3f} ({1 / row.real_time_factor:3.0f}x)  {likeness}"
        )
    print("\n  First audio: until the client had the first bytes (WAV is sent whole, so that players know its length).")
    print(
        "  Likeness: cosine of speaker embeddings: 0.92 is typical of two takes of one speaker, 0.60 of two strangers"
    )
    print(
        "  (docs/decisions/0002-speaker-match.md). Compare a voice with base-voice.mp3, which was moved to nobody: the"
    )
    print("  embedded engine follows a voice in a measurable way; it is not a studio clone (README).")


def main() -> None:
    """Runs the demo."""
    OUT.mkdir(exist_ok=True)
    print("Starting timbre-server with the embedded engine (no GPU, no download) ...")
    with LocalServer() as server:
        print(f"  ready after {server.seconds_to_ready:.1f} s at {server.url}")
        with OpenAI(base_url=f"{server.url}/v1", api_key="unused") as client:
            print("Enrolling the recordings of examples/voices ...")
            voices = [enrol(client, recording) for recording in RECORDINGS]
            print("Speaking with both, in six formats, with an emotion, and a long text ...")
            rows = list(measure(client, voices))
        print_table(rows)
    print(f"\nThe files are in {OUT.relative_to(ROOT)}/. `make serve` keeps a server running for you.")


if __name__ == "__main__":
    main()
