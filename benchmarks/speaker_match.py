"""How often does the speaker match err? Genuine and impostor cosines over a folder of human recordings.

    python benchmarks/speaker_match.py DIR [--output FILE]

``DIR`` has one folder per speaker, with audio files of any kind directly in it or, where a speaker was recorded
on several occasions, in one subfolder per occasion.  Each occasion is cut into takes of 5 to 10 s without shared
content, and every take is compared with every other: the first side as recorded, the second as recorded or
degraded.  Written as JSON: per condition the distribution of the cosines, the equal error rate and, per threshold,
the share of impostors accepted (FAR) and of genuine pairs refused (FRR).

A folder ``A.B`` is speaker B of collection A.  Impostor pairs with equal B are left out: collections of the same
kind may have asked the same volunteer for the same language.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from tests.quality.recordings import read
from timbre_server.domain.pcm import Pcm, Samples
from timbre_server.engine.speaker import SpeakerEncoder

RATE_HZ: Final = 16_000
SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 10.0
"""From OpenAI's shortest useful consent phrases to a usual reference."""
TAKES: Final = 8
"""Takes per occasion at most, so that no talkative speaker rules the rates."""
THRESHOLDS: Final = tuple(round(0.60 + 0.01 * step, 2) for step in range(31))
FILES: Final = frozenset({".wav", ".flac", ".ogg", ".oga", ".mp3", ".g722", ".gsm"})


@dataclass(frozen=True)
class Take:
    """Some seconds of one speaker, from one occasion."""

    speaker: str
    occasion: str
    samples: Samples


def telephone(samples: Samples) -> Samples:
    """What 8 kHz sampling leaves."""
    return np.asarray(soxr.resample(soxr.resample(samples, RATE_HZ, 8_000), 8_000, RATE_HZ), np.float32)


def noisy(samples: Samples) -> Samples:
    """White noise at a signal to noise ratio of 20 dB."""
    noise = np.random.default_rng(0).standard_normal(len(samples))
    return np.asarray(samples + 0.1 * np.sqrt(np.mean(samples**2)) * noise, np.float32)


def mp3(samples: Samples) -> Samples:
    """MP3 at 32 kbit/s and back."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=RATE_HZ, layout="mono")
        stream.bit_rate = 32_000
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = RATE_HZ
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


CONDITIONS: Final[Mapping[str, Callable[[Samples], Samples]]] = {
    "as recorded": lambda samples: samples,
    "8 kHz band": telephone,
    "mp3 32 kbit/s": mp3,
    "noise 20 dB": noisy,
    "20 dB quieter": lambda samples: samples * np.float32(0.1),
    "6 dB louder": lambda samples: np.clip(samples * np.float32(2.0), -1, 1),
}


def takes(speaker: Path) -> Iterator[Take]:
    """The takes of one speaker's folder, the same on every run."""
    files = sorted(file for file in speaker.rglob("*") if file.suffix.lower() in FILES)
    for occasion, members in itertools.groupby(files, key=lambda file: file.parent.name):
        for samples in itertools.islice(joined(list(members)), TAKES):
            yield Take(speaker.name, occasion, samples)


def joined(files: Sequence[Path]) -> Iterator[Samples]:
    """Files in random order joined to takes of random length; what is too short at the end is left out."""
    dice = random.Random(0)
    shuffled = dice.sample(files, len(files))
    wanted = dice.uniform(SHORTEST_SECONDS, LONGEST_SECONDS)
    gathered: list[Samples] = []
    for file in shuffled:
        gathered.append(resampled(read(file)))
        while sum(map(len, gathered)) >= wanted * RATE_HZ:
            take, rest = np.split(np.concatenate(gathered), [int(wanted * RATE_HZ)])
            yield take
            gathered, wanted = [rest], dice.uniform(SHORTEST_SECONDS, LONGEST_SECONDS)
    if sum(map(len, gathered)) >= SHORTEST_SECONDS * RATE_HZ:
        yield np.concatenate(gathered)


def resampled(pcm: Pcm) -> Samples:
    return np.asarray(soxr.resample(pcm.samples, pcm.sample_rate_hz, RATE_HZ), np.float32)


@dataclass(frozen=True)
class Pairs:
    """Which cells of the square of all takes are what."""

    genuine: NDArray[np.bool_]
    occasions: NDArray[np.bool_]
    """Genuine, but recorded on two occasions."""
    impostor: NDArray[np.bool_]


def pairs(all_takes: Sequence[Take]) -> Pairs:
    """The comparisons that count: each unordered pair once, no take with itself."""
    speakers = np.array([take.speaker for take in all_takes])
    people = np.array([take.speaker.rpartition(".")[2] for take in all_takes])
    occasions = np.array([take.occasion for take in all_takes])
    once = np.triu(np.ones((len(speakers), len(speakers)), bool), 1)
    same = speakers[:, None] == speakers
    return Pairs(
        genuine=once & same,
        occasions=once & same & (occasions[:, None] != occasions),
        impostor=once & (people[:, None] != people),
    )


def rates(genuine: NDArray[np.float64], impostor: NDArray[np.float64]) -> dict[str, object]:
    """Distribution and error rates of one condition."""
    steps = np.linspace(0, 1, 1001)
    far = np.array([np.mean(impostor >= step) for step in steps])
    frr = np.array([np.mean(genuine < step) for step in steps])
    at = int(np.argmin(np.abs(far - frr)))
    return {
        "genuine": spread(genuine),
        "impostor": spread(impostor),
        "equal_error_rate": round(float(far[at] + frr[at]) / 2, 4),
        "equal_error_threshold": round(float(steps[at]), 3),
        "table": {
            f"{level:.2f}": {
                "far": round(float(np.mean(impostor >= level)), 4),
                "frr": round(float(np.mean(genuine < level)), 4),
            }
            for level in THRESHOLDS
        },
    }


def spread(cosines: NDArray[np.float64]) -> dict[str, float]:
    """Count and percentiles."""
    if not len(cosines):
        return {"pairs": 0}
    low, one, middle, ninety_nine, high = np.percentile(cosines, [0, 1, 50, 99, 100])
    named = {"min": low, "p1": one, "median": middle, "p99": ninety_nine, "max": high}
    return {"pairs": len(cosines), **{name: round(float(value), 3) for name, value in named.items()}}


def measure(all_takes: Sequence[Take], encoder: SpeakerEncoder) -> dict[str, object]:
    """The whole result as JSON values."""
    which = pairs(all_takes)
    clean = np.stack([encoder.embed(Pcm(take.samples, RATE_HZ)) for take in all_takes])
    conditions = {}
    for name, degrade in CONDITIONS.items():
        other = np.stack([encoder.embed(Pcm(degrade(take.samples), RATE_HZ)) for take in all_takes])
        cosines = (clean @ other.T).astype(np.float64)
        conditions[name] = rates(cosines[which.genuine], cosines[which.impostor])
        conditions[name]["genuine_other_occasion"] = spread(cosines[which.occasions])
    speakers = sorted({take.speaker for take in all_takes})
    return {
        "config_hash": encoder.config_hash,
        "speakers": speakers,
        "takes": len(all_takes),
        "conditions": conditions,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="one folder per speaker")
    parser.add_argument("--only", default="", help="only speakers whose name begins so")
    parser.add_argument("--output", type=Path, help="JSON file (default: print)")
    arguments = parser.parse_args()
    folders = sorted(path for path in arguments.folder.iterdir() if path.is_dir())
    chosen = [path for path in folders if path.name.startswith(arguments.only)]
    found = [take for folder in chosen for take in takes(folder)]
    text = json.dumps(measure(found, SpeakerEncoder.load()), indent=1)
    if arguments.output:
        arguments.output.write_text(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
