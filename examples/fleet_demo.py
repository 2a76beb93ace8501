"""One voice on every pod: three servers share a Redis; what does a voice cost on each, replaced, deleted, restarted?"""

from __future__ import annotations

import base64
import json
import statistics
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from openai import NotFoundError, OpenAI, omit

from examples.local_redis import RedisServer
from examples.local_server import LocalServer
from examples.repeats_demo import SENTENCE as SAID
from examples.repeats_demo import ask, show_repeats

ROOT = Path(__file__).resolve().parents[1]
HER, HIM = (ROOT / "examples" / "voices" / name for name in ("allison-female.flac", "librivox-male.flac"))
PODS = ("a", "b", "c")
SENTENCE = "The same voice, on another machine."
_NUMBERS = count(1)


@dataclass(frozen=True)
class Spoken:
    """One answer, and where its voice came from."""

    tier: str
    """``X-Voice-Cache``."""
    voice_ms: float
    """Time until the voice's features were there, from ``Server-Timing``."""
    total_ms: float
    digest: int
    """Of the audio: equal digests are equal speech."""


def voice_ms(server_timing: str) -> float:
    """Until the voice's features were there, from that header."""
    timing = dict(part.strip().split(";dur=") for part in server_timing.split(","))
    return float(timing["voice"])


def speak(pod: LocalServer, voice: str, **extra: str) -> Spoken:
    """Speaks once, though it may have been said before, and reads the headers."""
    body = {"model": "tts-1", "input": SENTENCE, "voice": voice, "response_format": "wav", **extra}
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    request = urllib.request.Request(f"{pod.url}/v1/audio/speech", json.dumps(body).encode(), headers, method="POST")
    began = time.perf_counter()
    with urllib.request.urlopen(request) as answer:
        audio = answer.read()
        seconds = time.perf_counter() - began
        return Spoken(
            answer.headers["X-Voice-Cache"], voice_ms(answer.headers["Server-Timing"]), seconds * 1000, hash(audio)
        )


def client(pod: LocalServer) -> OpenAI:
    """The unchanged client; close it."""
    return OpenAI(base_url=f"{pod.url}/v1", api_key="unused", max_retries=0)


def enrol(pod: LocalServer, recording: Path) -> str:
    """A new voice's id."""
    with client(pod) as openai:
        return openai.audio.voices.create(name=recording.stem, audio_sample=recording, consent=omit).id


def upload(pod: LocalServer, method: str, voice: str, recording: Path | None = None) -> dict[str, Any]:
    """PUT of a recording, or DELETE."""
    if recording is None:
        request = urllib.request.Request(f"{pod.url}/v1/audio/voices/{voice}", method=method)
    else:
        boundary = f"timbre{next(_NUMBERS)}"
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="audio_sample"; filename="{recording.name}"\r\n\r\n'
        )
        body = head.encode() + recording.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        request = urllib.request.Request(f"{pod.url}/v1/audio/voices/{voice}", body, kind, method=method)
    with urllib.request.urlopen(request) as answer:
        body_json: dict[str, Any] = json.loads(answer.read())
        return body_json


def until_heard(pod: LocalServer, voice: str, before: Spoken) -> float:
    """Seconds until the pod speaks otherwise than before."""
    began = time.perf_counter()
    while speak(pod, voice).digest == before.digest:
        if time.perf_counter() - began > 10:
            raise RuntimeError("the old voice is still heard after 10 s")
    return time.perf_counter() - began


def until_gone(pod: LocalServer, voice: str) -> float:
    """Seconds until the pod knows the voice no more."""
    began = time.perf_counter()
    with client(pod) as openai:
        while True:
            try:
                openai.audio.speech.create(model="tts-1", voice={"id": voice}, input=SENTENCE)
            except NotFoundError:
                return time.perf_counter() - began
            if time.perf_counter() - began > 10:
                raise RuntimeError("the deleted voice is still heard after 10 s")


def settings(redis: RedisServer, name: str) -> dict[str, str]:
    """Of a pod of the fleet."""
    return {"REDIS__URL": redis.url, "SCOPE": "demo.narrator", "POD": f"pod-{name}"}


def show(pod: str, one: Spoken) -> None:
    """A line of the table."""
    print(f"  {pod:<6}{one.tier:<18}{one.voice_ms:>15.2f} ms{one.total_ms:>12.0f} ms")


def main() -> None:
    """Runs the demo."""
    with ExitStack() as stack:
        print("Starting a redis-server and three timbre-servers that share it ...")
        redis = RedisServer("--maxmemory", "256mb", "--maxmemory-policy", "volatile-lru")
        stack.callback(redis.close)
        pods = [stack.enter_context(LocalServer(settings(redis, name))) for name in PODS]
        print(f"  ready after {', '.join(f'{pod.seconds_to_ready:.1f} s' for pod in pods)}")
        print(f"\n  {'pod':<6}{'voice came from':<18}{'its features took':>18}{'whole answer':>15}")
        unheard = base64.b64encode(HIM.read_bytes()).decode()
        show("a", speak(pods[0], "alloy", reference_audio=unheard))
        voice = enrol(pods[0], HER)
        for name, pod in zip(PODS, pods, strict=True):
            for _ in range(2):
                show(name, speak(pod, voice))
        before = [speak(pod, voice) for pod in pods]
        assert len({one.digest for one in before}) == 1, "three pods, one voice, and not the same speech"
        show_repeats(pods, voice)
        generation = upload(pods[1], "PUT", voice, HIM)["generation"]
        print(f"\nReplaced it at pod b (generation {generation}). The new voice is heard, after the acknowledgement:")
        for name, pod, old in zip(PODS, pods, before, strict=True):
            print(f"  at pod {name} with the first request that is done: {until_heard(pod, voice, old) * 1000:.0f} ms")
        print(f"  what was said with the old one is said anew: X-Cache {ask(pods[0], voice, SAID).cache}")
        receipt = upload(pods[2], "DELETE", voice)["erasure"]
        print(f"\nDeleted it at pod c. The receipt: {json.dumps(receipt)}")
        gone = [until_gone(pod, voice) for pod in pods]
        print(f"  unknown at all pods after {statistics.fmean(gone) * 1000:.0f} ms (one request each)")


if __name__ == "__main__":
    main()
