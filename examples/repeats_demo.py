"""What was said once is not made again: a miss, hits here and on another pod, and forty equal requests at once."""

from __future__ import annotations

import json
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from examples.local_server import LocalServer

SENTENCE = "Most of what is said aloud was said before."
CROWD = 40


@dataclass(frozen=True)
class Answer:
    """One request, from its first byte sent to its last one received."""

    cache: str
    """``X-Cache``."""
    total_ms: float
    digest: int
    """Of the audio: equal digests are equal speech."""


def ask(pod: LocalServer, voice: str, text: str, response_format: str = "wav") -> Answer:
    """Speaks, or hears what was spoken before."""
    body = {"model": "tts-1", "input": text, "voice": voice, "response_format": response_format}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{pod.url}/v1/audio/speech", json.dumps(body).encode(), headers)
    began = time.perf_counter()
    with urllib.request.urlopen(request) as answer:
        audio = answer.read()
        return Answer(answer.headers["X-Cache"], (time.perf_counter() - began) * 1000, hash(audio))


def _spoken(pods: Sequence[LocalServer]) -> int:
    """Sentences that all engines have taken."""
    total = 0.0
    for pod in pods:
        with urllib.request.urlopen(f"{pod.admin_url}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        total += sum(float(line.split()[1]) for line in lines if line.startswith("timbre_batch_size_sum "))
    return round(total)


def _until_shared(pod: LocalServer, voice: str) -> Answer:
    """The first answer of another pod that did not make it: what is shared is published while nobody waits for it."""
    while (answer := ask(pod, voice, SENTENCE)).cache == "miss":
        pass
    return answer


def _line(what: str, pod: str, answer: Answer) -> None:
    print(f"  {what:<44}{pod:<6}{answer.cache:<12}{answer.total_ms:>9.1f} ms")


def show_repeats(pods: Sequence[LocalServer], voice: str) -> None:
    """The table."""
    a, b = pods[:2]
    print(f"\nSaid before?\n  {'a sentence':<44}{'pod':<6}{'X-Cache':<12}{'whole answer':>12}")
    first = ask(a, voice, SENTENCE)
    _line("that nobody has said", "a", first)
    _line("again", "a", ask(a, voice, SENTENCE))
    elsewhere = _until_shared(b, voice)
    _line("on another pod", "b", elsewhere)
    _line("there again, as MP3 (encoded as it leaves)", "b", ask(b, voice, SENTENCE, "mp3"))
    _line("and once more", "b", ask(b, voice, SENTENCE, "mp3"))
    assert first.digest == elsewhere.digest, "two pods, one sentence, and not the same speech"
    before = _spoken(pods)
    text = "A new sentence that everybody wants at once."
    with ThreadPoolExecutor(CROWD) as crowd:
        futures = [crowd.submit(ask, (a, b)[number % 2], voice, text) for number in range(CROWD)]
        answers = [future.result() for future in futures]
    made = _spoken(pods) - before
    assert made == 1, f"forty equal requests were spoken {made} times"
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in Counter(one.cache for one in answers).most_common())
    slowest = max(one.total_ms for one in answers)
    print(
        f"  {CROWD} equal requests at once at a and b: {outcomes}; spoken {made} time, the last answer after {slowest:.0f} ms"
    )
