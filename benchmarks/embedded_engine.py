"""How fast and how large is the embedded engine alone? Prints one JSON object; see ``--help``.

Run it on one core with nothing else going on: ``OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/embedded_engine.py``.
Each figure of a process's start (load, first piece, memory) is taken in a fresh process.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import av
import numpy as np

SENTENCES = (
    "The harbour was quiet when we arrived, and the boats lay still in the morning light.",
    "Please bring me a cup of coffee and two slices of bread.",
    "He walked along the river until the sun went down behind the hills.",
    "My sister bought a new car last week, but she does not like to drive it.",
    "On the 3rd of March 2024, 1,250 people paid $9.99 each to hear it read at 7:30 pm.",
)
SHORT = "Please bring me a cup of coffee."
VOICE = Path(__file__).parents[1] / "examples" / "voices" / "librivox-male.flac"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the embedded engine: load, first piece, speed, memory.")
    parser.add_argument("--threads", type=int, default=1, help="threads of one model run (1)")
    parser.add_argument("--starts", type=int, default=3, help="fresh processes to take the median of (3)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds over the sentences to take the best of (5)")
    parser.add_argument("--one-start", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one_start:
        print(json.dumps(one_start(arguments.threads)))
        return
    starts = [fresh_start(arguments.threads) for _ in range(arguments.starts)]
    figures = {name: median(start[name] for start in starts) for name in starts[0]}
    print(json.dumps({**figures, **steady_state(arguments.threads, arguments.rounds)}, indent=2))


def fresh_start(threads: int) -> dict[str, float]:
    """``one_start`` in a process of its own."""
    command = [sys.executable, __file__, "--one-start", f"--threads={threads}"]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def one_start(threads: int) -> dict[str, float]:
    """Load, first pieces and memory of this process."""
    started, cpu = time.perf_counter(), time.process_time()
    from timbre_server.engine.embedded import EmbeddedEngine  # noqa: PLC0415 - its import is part of the load

    engine = EmbeddedEngine({"threads": threads})
    engine.load()
    figures = {
        "load_wall_ms": 1e3 * (time.perf_counter() - started),
        "load_cpu_ms": 1e3 * (time.process_time() - cpu),
        "rss_loaded_mib": memory_mib("Rss"),
    }
    figures["first_piece_ms"] = 1e3 * min(first_piece_seconds(engine, SHORT) for _ in range(5))
    long = " ".join(SENTENCES)
    figures["first_piece_of_a_paragraph_ms"] = 1e3 * min(first_piece_seconds(engine, long) for _ in range(5))
    speak(engine, SENTENCES * 3)
    return {**figures, "rss_running_mib": memory_mib("Rss"), "pss_running_mib": memory_mib("Pss")}


def steady_state(threads: int, rounds: int) -> dict[str, float]:
    """Speed of speech and extraction: CPU time over all threads, the best of the rounds."""
    from timbre_server.engine.embedded import EmbeddedEngine  # noqa: PLC0415 - as above

    engine = EmbeddedEngine({"threads": threads})
    engine.load()
    spoken, took = 0.0, []
    for _ in range(rounds):
        cpu = time.process_time()
        spoken = speak(engine, SENTENCES)
        took.append(time.process_time() - cpu)
    extraction = min(extraction_seconds(engine) for _ in range(3))
    return {
        "x_real_time_one_core": spoken / min(took),
        "audio_seconds": spoken,
        "extraction_cpu_seconds_per_10_s": extraction,
        "split_ms_per_1000_characters": split_ms(engine),
    }


def speak(engine, sentences: Sequence[str]) -> float:  # noqa: ANN001 - its class is imported late
    """Seconds of audio made of the sentences in a preset voice with a converted timbre."""
    from timbre_server.ports import Utterance  # noqa: PLC0415 - as above

    voice = engine.preset_voices()["onyx"]
    jobs = [Utterance(item, voice) for sentence in sentences for item in engine.split(sentence)]
    return sum(len(piece.samples) for job in jobs for piece in engine.synthesize([job], lambda _: False)) / 24_000


def first_piece_seconds(engine, text: str) -> float:  # noqa: ANN001 - as above
    from timbre_server.ports import Utterance  # noqa: PLC0415 - as above

    started = time.perf_counter()
    first = engine.split(text)[0]
    next(engine.synthesize([Utterance(first, engine.preset_voices()["onyx"])], lambda _: False))
    return time.perf_counter() - started


def extraction_seconds(engine) -> float:  # noqa: ANN001 - as above
    from timbre_server.domain.pcm import Pcm  # noqa: PLC0415 - as above
    from timbre_server.domain.voice import Reference  # noqa: PLC0415 - as above

    with av.open(VOICE) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=24_000)
        frames = [*container.decode(audio=0), None]
        samples = np.concatenate([block.to_ndarray()[0] for frame in frames for block in resampler.resample(frame)])
    reference = Reference(Pcm(samples[:240_000].astype(np.float32), 24_000), "benchmark")
    cpu = time.process_time()
    engine.encode([reference])
    return time.process_time() - cpu


def split_ms(engine) -> float:  # noqa: ANN001 - as above
    text = " ".join(SENTENCES * 10)

    def once() -> float:
        started = time.perf_counter()
        engine.split(text)
        return time.perf_counter() - started

    return min(once() for _ in range(20)) * 1e6 / len(text)


def memory_mib(kind: str) -> float:
    """Resident (Rss) or proportional (Pss) memory of this process, MiB (Linux)."""
    rollup = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    found = re.search(rf"^{kind}:\s+(\d+) kB", rollup, re.MULTILINE)
    assert found, "the kernel writes every kind"
    return int(found[1]) / 1024


if __name__ == "__main__":
    main()
