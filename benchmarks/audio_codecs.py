"""What do encoding, stretching and decoding cost? Prints one JSON object; see ``--help``.

Run it on one core with nothing else going on: ``OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/audio_codecs.py``.
The speech is a recording of a person, repeated to ten seconds; every figure is the best of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from timbre_server.audio.canonical import canonical
from timbre_server.audio.decoding import RecordingDecoder
from timbre_server.audio.encoding import encode, open_encoder
from timbre_server.audio.flac import from_flac, to_flac
from timbre_server.audio.stretch import Stretch
from timbre_server.domain.pcm import Pcm, Samples
from timbre_server.domain.speech import AudioFormat

VOICE: Final = Path(__file__).parents[1] / "examples" / "voices" / "librivox-male.flac"
SECONDS: Final = 10.0
PIECE_SECONDS: Final = 0.2
"""How much speech an encoder gets at a time, as from an engine that streams."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Measure the audio codecs: processor time, bytes, first bytes, uploads."
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds to take the best of (5)")
    rounds = parser.parse_args().rounds
    speech = ten_seconds()
    figures = {
        "audio_seconds": SECONDS,
        "encode": {audio_format.value: encoding(speech, audio_format, rounds) for audio_format in AudioFormat},
        "stretch_cpu_ms": {str(tempo): stretching(speech, tempo, rounds) for tempo in (0.25, 0.8, 1.25, 2.0, 4.0)},
        "stored_flac": storing(speech, rounds),
        "upload": asyncio.run(uploads(speech, rounds)),
    }
    print(json.dumps(figures, indent=2))


def ten_seconds() -> Pcm:
    spoken = from_flac(VOICE.read_bytes())
    whole = canonical(spoken.samples, spoken.sample_rate_hz)
    length = round(SECONDS * whole.sample_rate_hz)
    return Pcm(np.resize(whole.samples, length), whole.sample_rate_hz)


def encoding(speech: Pcm, audio_format: AudioFormat, rounds: int) -> dict[str, float]:
    """Processor time of a streamed answer, its size, and when and how large its first bytes are."""
    streamed = pieces(speech)
    first = b""

    def stream() -> None:
        encoder = open_encoder(audio_format, speech.sample_rate_hz)
        for piece in streamed:
            encoder.write(piece)
        encoder.finish()

    def begin() -> None:
        nonlocal first
        first = open_encoder(audio_format, speech.sample_rate_hz).write(streamed[0])

    return {
        "streamed_cpu_ms": best_ms(stream, rounds),
        "first_bytes_cpu_ms": best_ms(begin, rounds),
        "first_bytes": len(first),
        "bytes": len(encode(speech.samples, speech.sample_rate_hz, audio_format)),
    }


def stretching(speech: Pcm, tempo: float, rounds: int) -> float:
    def stream() -> None:
        stretch = Stretch(speech.sample_rate_hz, tempo)
        for piece in pieces(speech):
            stretch.push(piece)
        stretch.finish()

    return best_ms(stream, rounds)


def storing(speech: Pcm, rounds: int) -> dict[str, float]:
    data = to_flac(speech)
    return {
        "write_cpu_ms": best_ms(lambda: to_flac(speech), rounds),
        "read_cpu_ms": best_ms(lambda: from_flac(data), rounds),
        "share_of_pcm": round(len(data) / (2 * len(speech.samples)), 3),
    }


async def uploads(speech: Pcm, rounds: int) -> dict[str, Any]:
    """Time by the clock from an upload's bytes to the checked recording, a child process included."""
    decoder = RecordingDecoder()
    await decoder.decode(encode(speech.samples, speech.sample_rate_hz, AudioFormat.WAV))  # reads libraries from disk
    figures: dict[str, Any] = {}
    for audio_format in AudioFormat:
        if audio_format is AudioFormat.PCM:
            continue
        data = encode(speech.samples, speech.sample_rate_hz, audio_format)
        figures[f"{audio_format.value}_wall_ms"] = min([await _upload_ms(decoder, data) for _ in range(rounds)])
    return figures


async def _upload_ms(decoder: RecordingDecoder, data: bytes) -> float:
    start = time.perf_counter()
    await decoder.decode(data)
    return round(1_000 * (time.perf_counter() - start), 1)


def pieces(speech: Pcm) -> list[Samples]:
    step = round(PIECE_SECONDS * speech.sample_rate_hz)
    return [speech.samples[at : at + step] for at in range(0, len(speech.samples), step)]


def best_ms(work: Callable[[], object], rounds: int) -> float:
    """The least processor time of the rounds, all threads counted."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return round(1_000 * min(times), 2)


if __name__ == "__main__":
    main()
