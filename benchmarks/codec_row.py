"""What does it cost to write features down and to read them?  Beside ours: safetensors' own, which checks nothing, and pickle
in base64, which runs whatever code it is given."""

from __future__ import annotations

import base64
import pickle  # noqa: TID251 - the named peer of this row, on bytes that it made itself
import time
from collections.abc import Callable

import numpy as np
import safetensors.numpy

from benchmarks.measuring import Bar, Chart, Result, median, quantile
from timbre_server.domain.voice import Features
from timbre_server.ports import TensorSpec
from timbre_server.voicecache.codec import decode, encode

ROUNDS = 25
BLOCK = 8
"""Calls in a row before the next codec has its turn: all see the same machine, each with its memory warm."""

SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "130 KiB": {"speech_conditioning_latent": (1, 32, 1024), "speaker_embedding": (1, 512, 1)},
    "1 MiB": {"speech_conditioning_latent": (1, 240, 1024), "speaker_embedding": (1, 15_872, 1)},
    "4 MiB": {"speech_conditioning_latent": (1, 1008, 1024), "speaker_embedding": (1, 16_896, 1)},
}
KEY = "0" * 64


def _features(size: str) -> Features:
    random = np.random.default_rng(1)
    return {name: random.standard_normal(shape, dtype=np.float32) for name, shape in SHAPES[size].items()}


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


Codec = tuple[Callable[[Features], bytes], Callable[[bytes], Features]]


def _codecs(size: str) -> dict[str, Codec]:
    spec = {name: TensorSpec("float32", shape) for name, shape in SHAPES[size].items()}
    return {
        "timbre, with checksum": (
            lambda features: encode(features, key=KEY),
            lambda blob: decode(blob, key=KEY, spec=spec),
        ),
        "timbre float16": (
            lambda features: encode(features, key=KEY, float16=True),
            lambda blob: decode(blob, key=KEY, spec=spec),
        ),
        "safetensors, no checksum": (lambda features: safetensors.numpy.save(dict(features)), safetensors.numpy.load),
        "pickle and base64": (
            lambda features: base64.b64encode(pickle.dumps(features)),
            lambda blob: pickle.loads(base64.b64decode(blob)),
        ),
    }


def _measure(size: str) -> dict[str, dict[str, float]]:
    features, codecs = _features(size), _codecs(size)
    blobs = {name: write(features) for name, (write, _) in codecs.items()}
    for name, (_, read) in codecs.items():
        for array, original in zip(map(read(blobs[name]).get, features), features.values(), strict=True):
            assert array is not None
            assert np.allclose(array, original, atol=1e-2 if "float16" in name else 0)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in codecs}
    for _ in range(ROUNDS):
        for name, (write, read) in codecs.items():
            times[name] += [
                (_seconds(lambda: write(features)), _seconds(lambda: read(blobs[name])))  # noqa: B023 - called at once
                for _ in range(BLOCK)
            ]
    return {
        name: {
            "encode_us": 1e6 * median([write for write, _ in pairs]),
            "decode_us": 1e6 * median([read for _, read in pairs]),
            "both_us": 1e6 * median([write + read for write, read in pairs]),
            "both_p99_us": 1e6 * quantile([write + read for write, read in pairs], 0.99),
            "bytes": len(blobs[name]),
        }
        for name, pairs in times.items()
    }


def codec() -> Result:
    """Medians over blocks in turn; the bars are for 1 MiB."""
    found = {size: _measure(size) for size in SHAPES}
    both = {name: values["both_us"] for name, values in found["1 MiB"].items()}
    ours = both["timbre, with checksum"]
    bars = [
        Bar("1 MiB: safetensors' own beside ours", both["safetensors, no checksum"] / ours, "x", 1.0, at_most=False),
        Bar("1 MiB: pickle and base64 beside ours", both["pickle and base64"] / ours, "x", 15.0, at_most=False),
    ]
    charts = [
        Chart(f"Encode and decode {size}, median", "us", {name: values["both_us"] for name, values in sizes.items()})
        for size, sizes in found.items()
    ]
    workload = "features of float32 to bytes and back"
    return Result("codec", workload, bars, {"by_size": found}, charts)
