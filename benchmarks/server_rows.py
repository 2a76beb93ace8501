"""The server's own figures: start, memory, speed, first audio."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Thread

from benchmarks.measuring import Bar, Client, Result, median, pin_to_core, pss_mib, quantile
from examples.local_server import LocalServer

VOICE = min((Path(__file__).resolve().parents[1] / "examples" / "voices").glob("*.flac"))
SENTENCES = (
    "The birch canoe slid on the smooth planks.",
    "Glue the sheet to the dark blue background.",
    "It is easy to tell the depth of a well.",
    "These days a chicken leg is a rare dish.",
    "Rice is often served in round bowls.",
    "The juice of lemons makes fine punch.",
    "The box was thrown beside the parked truck.",
    "The hogs were fed chopped corn and garbage.",
    "Four hours of steady work faced us.",
    "A large size in stockings is hard to sell.",
)
"""Harvard sentences, list 1 (IEEE Recommended Practice for Speech Quality Measurements, 1969)."""
SERVER_CORE, CLIENT_CORE = 0, 1
WAV_HEADER_BYTES = 44
BYTES_PER_SECOND = 48_000


def _audio_seconds(wav: bytes) -> float:
    return (len(wav) - WAV_HEADER_BYTES) / BYTES_PER_SECOND


def start() -> Result:
    """From the start of the process to its `ready`, page cache warm."""
    seconds = []
    for _ in range(6):
        began = time.perf_counter()
        with LocalServer():
            seconds.append(time.perf_counter() - began)
    bar = Bar("start to ready, median of 5", median(seconds[1:]), "s", 3.0)
    return Result("start", "embedded engine, both ports listening, engine loaded", [bar], {"seconds": seconds[1:]})


def memory() -> Result:
    """Proportional set size of the idle server with its children."""
    with LocalServer() as server:
        fresh = pss_mib(server.process.pid)
        client = Client(server.url)
        voice = client.enrol(VOICE)
        for sentence in SENTENCES:
            client.speak(sentence, "mp3", voice)
        used = pss_mib(server.process.pid)
    bars = [
        Bar("idle after start (PSS with children)", fresh, "MiB", 400.0),
        Bar("idle after an enrolment and ten requests", used, "MiB", 400.0),
    ]
    return Result("memory", "embedded engine", bars)


def speed() -> Result:
    """Seconds of WAV per second through HTTP, the whole server on one core."""
    pin_to_core(CLIENT_CORE)
    with LocalServer(core=SERVER_CORE) as server:
        client = Client(server.url)
        voice = client.enrol(VOICE)
        client.speak(SENTENCES[0], "wav", voice)
        factors = []
        for _ in range(5):
            reply = client.speak(" ".join(SENTENCES), "wav", voice)
            factors.append(_audio_seconds(reply.body) / reply.seconds)
        at_once = _at_once(server.url, voice)
    bar = Bar("one request of ten sentences, median of 5", median(factors), "x real time", 40.0, at_most=False)
    figures = {"one_client": factors, "four_clients_at_once": at_once}
    return Result("speed", "enrolled voice, WAV over HTTP, server pinned to one core", [bar], figures)


def _at_once(url: str, voice: str) -> float:
    audio: list[float] = []

    def load() -> None:
        client = Client(url)
        audio.extend(_audio_seconds(client.speak(sentence, "wav", voice).body) for sentence in SENTENCES)

    began = time.perf_counter()
    threads = [Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(audio) / (time.perf_counter() - began)


def first_audio() -> Result:
    """Time to the first bytes of audio for a warm voice, one client."""
    figures = {}
    with LocalServer() as server:
        client = Client(server.url)
        voice = client.enrol(VOICE)
        for response_format in ("mp3", "opus", "aac", "flac", "pcm"):
            client.speak(SENTENCES[0], response_format, voice)
            times = [client.speak(text, response_format, voice).first_byte_seconds * 1000 for text in SENTENCES * 3]
            figures[response_format] = {"median_ms": median(times), "p95_ms": quantile(times, 0.95)}
    bars = [
        Bar(f"first audio, {name}, median of 30", values["median_ms"], "ms", 150.0) for name, values in figures.items()
    ]
    return Result("first-audio", "warm enrolled voice, one client, one sentence", bars, figures)
