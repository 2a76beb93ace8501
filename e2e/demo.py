"""What is Timbre, in five minutes?  A cluster, a VoiceService, two voices, speech on every pod, and an HPA that moves."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import statistics
import subprocess
import sys
import time
import wave
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import yaml
from openai import OpenAI, OpenAIError, omit

from e2e.conftest import RESTRICTED
from e2e.installation import HOME, Installation, VoiceService
from e2e.kubectl import Kubectl, KubectlError, eventually
from e2e.load import SPEECH, Load, speech_wav, under_load
from e2e.local_cluster import LocalCluster
from e2e.narration import Narration
from e2e.pods import HER, HIM, RECORDINGS
from e2e.reaching import reached
from examples.fleet_demo import voice_ms

ROOT: Final = Path(__file__).resolve().parents[1]
OUT: Final = ROOT / "demo-out" / "cluster"
NAMESPACE: Final = "timbre-demo"
VOICES: Final = {"allison": HER, "reader": HIM}
SENTENCE: Final = "The same voice speaks from every pod, and none of them had to learn it twice."
LONGER: Final = (
    "Request {n} is read by a voice that was enrolled a moment ago. Each pod finds it in memory, or in Redis."
)
SAID_BY_ALL: Final = "A new sentence that everybody wants at once."
CROWD: Final = 16
WANTED_WORK: Final = 1.4
"""Engine seconds a second: at half a second for each pod (utilizationPercent: 50) it wants three of them."""
CALIBRATION_SECONDS: Final = 4.0
LAST_WARNINGS: Final = 5
MOST_RATE: Final = 40.0
"""Requests a second that the load's pod sends comfortably."""


def main() -> None:
    """Runs the demo; it may be run again."""
    narration = Narration()
    try:
        cluster, images = prepared(narration)
    except RuntimeError as error:
        sys.exit(f"demo: {error}")
    kubectl = Kubectl(cluster.folder)
    try:
        shown(narration, cluster, kubectl, images)
    except (AssertionError, OpenAIError) as error:
        sys.exit(f"{last_warnings(kubectl)}\ndemo: {error}")
    print(summary(narration, cluster))


def shown(narration: Narration, cluster: LocalCluster, kubectl: Kubectl, images: Mapping[str, str]) -> None:
    installed(narration, kubectl, images)
    inside = kubectl.within(NAMESPACE)
    manifest = yaml.safe_load((ROOT / "examples/demo.yaml").read_text("utf-8"))
    service = VoiceService(inside, manifest["metadata"]["name"], manifest["spec"])
    narration.say(
        f"kubectl apply -f examples/demo.yaml; from now on `kubectl get vs --watch` of namespace {NAMESPACE}:"
    )
    began = time.monotonic()
    service.apply()
    watching = narration.watch(inside, "voiceservices")
    try:
        service.ready(180)
        narration.note("apply until ready", f"{time.monotonic() - began:.1f} s")
        voices = enrolled(narration, cluster, service)
        spoken(narration, cluster, service, voices)
        repeated(narration, cluster, service, next(iter(voices.values())))
        scaled(narration, cluster, service, images, voices)
    finally:
        watching.terminate()


def last_warnings(kubectl: Kubectl) -> str:
    """What Kubernetes itself said lately of pods that do not come."""
    said = []
    for name in (HOME, NAMESPACE):
        with contextlib.suppress(KubectlError):
            words = ("get", "events", "--field-selector=type=Warning", "--sort-by=.lastTimestamp", "--no-headers")
            said += [f"{name}: {line}" for line in kubectl.within(name)(*words).splitlines()[-LAST_WARNINGS:]]
    return "\n".join(said)


def prepared(narration: Narration) -> tuple[LocalCluster, Mapping[str, str]]:
    """A cluster and images in it; what is missing is built, the one beside the other."""
    print(
        "A Kubernetes, Timbre's images, its chart, and a VoiceService that speaks, scales and is watched.\n"
        "On a new machine Kubernetes is built from Go modules (about 8 minutes on two cores) while the images are\n"
        "(about 4 minutes); both stay, and the next run takes less than five minutes in all.\n"
    )
    narration.follow("cluster", [ROOT / "scripts/cluster.sh", "check"])  # before minutes of building
    narration.follow_together({"images": [ROOT / "scripts/images.sh"], "cluster": [ROOT / "scripts/cluster.sh", "up"]})
    narration.follow("cluster", [ROOT / "scripts/cluster.sh", "images"])
    listed = subprocess.run([ROOT / "scripts/images.sh", "--names"], capture_output=True, text=True, check=True).stdout
    return LocalCluster.found(ROOT), dict(line.split() for line in listed.splitlines())


def installed(narration: Narration, kubectl: Kubectl, images: Mapping[str, str]) -> None:
    narration.say(f"helm install timbre charts/timbre, in namespace {HOME}")
    for name in (HOME, NAMESPACE):
        kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})
    began = time.monotonic()
    Installation(kubectl.within(HOME), ROOT / "charts" / "timbre", images).install()
    narration.note("helm install until the operator is ready", f"{time.monotonic() - began:.1f} s")


@contextlib.contextmanager
def talking_to(cluster: LocalCluster, kubectl: Kubectl, what: str) -> Iterator[OpenAI]:
    """The unchanged client of OpenAI's API, at a Service or at a pod."""
    with (
        reached(cluster, kubectl, what) as url,
        OpenAI(base_url=f"{url}/v1", api_key="unused") as client,
    ):
        yield client


def enrolled(narration: Narration, cluster: LocalCluster, service: VoiceService) -> dict[str, str]:
    """Ids of the two voices; those of an earlier run are taken."""
    with talking_to(cluster, service.kubectl, f"service/{service.name}") as client:
        there = client.get("/audio/voices", cast_to=dict[str, Any])["data"]
        voices = {voice["name"]: voice["id"] for voice in there}
        for name, recording in VOICES.items():
            if name not in voices:
                began = time.monotonic()
                voice = client.audio.voices.create(name=name, audio_sample=RECORDINGS / recording, consent=omit)
                voices[name] = voice.id
                narration.note(f"voice {name} enrolled (10 s recording)", f"{time.monotonic() - began:.2f} s")
    return {name: voices[name] for name in VOICES}


def spoken(narration: Narration, cluster: LocalCluster, service: VoiceService, voices: Mapping[str, str]) -> None:
    """A file for each voice, through the Service, by the unchanged openai client."""
    OUT.mkdir(parents=True, exist_ok=True)
    with talking_to(cluster, service.kubectl, f"service/{service.name}") as client:
        for name, voice in voices.items():
            began = time.monotonic()
            answer = client.audio.speech.create(
                model="tts-1", voice={"id": voice}, input=SENTENCE, response_format="mp3"
            )
            answer.write_to_file(OUT / f"{name}.mp3")
            narration.note(f"{name} speaks {len(SENTENCE)} characters", f"{time.monotonic() - began:.2f} s")


def repeated(narration: Narration, cluster: LocalCluster, service: VoiceService, voice: str) -> None:
    """What was said once is not made again: said twice, and by many at once."""
    with talking_to(cluster, service.kubectl, f"service/{service.name}") as client:

        def say(text: str) -> tuple[str, float]:
            began = time.monotonic()
            answer = client.audio.speech.with_raw_response.create(
                model="tts-1", voice={"id": voice}, input=text, response_format="wav"
            )
            return answer.headers["X-Cache"], time.monotonic() - began

        sentence = f"It is {time.strftime('%H:%M:%S')}, and nobody has said this before."
        for what in ("a sentence that nobody has said", "the same again"):
            outcome, seconds = say(sentence)
            narration.note(what, f"{outcome}, {1000 * seconds:.0f} ms")
        text = f"{SAID_BY_ALL} It is {time.strftime('%H:%M:%S')}."  # more digits would be taken for a private number
        with ThreadPoolExecutor(CROWD) as crowd:
            answers = list(crowd.map(say, [text] * CROWD))
    counted = ", ".join(
        f"{count} {outcome}" for outcome, count in Counter(outcome for outcome, _ in answers).most_common()
    )
    slowest = max(seconds for _, seconds in answers)
    narration.note(f"{CROWD} equal requests at once", f"{counted}; the last answer after {1000 * slowest:.0f} ms")


def scaled(
    narration: Narration,
    cluster: LocalCluster,
    service: VoiceService,
    images: Mapping[str, str],
    voices: Mapping[str, str],
) -> None:
    """Load until there are three pods, the same voice at each, then none until there is one."""
    eventually(service.ready_pods, lambda pods: len(pods) == 1, seconds=180, what="one pod")  # of an earlier run
    rate = rate_for(cluster, service, next(iter(voices.values())))
    bodies = [
        {"model": "tts-1", "voice": {"id": voice}, "input": LONGER, "response_format": "pcm"}
        for voice in voices.values()
    ]
    narration.say(f"{rate:.1f} requests a second, each with another text: {WANTED_WORK} engine seconds a second")
    began = time.monotonic()
    with under_load(service.kubectl, images, Load(service.url + SPEECH, bodies, rate, retries=2)) as answers:
        eventually(service.ready_pods, lambda pods: len(pods) == 3, seconds=180, what="three pods")
        narration.note("HPA 1 -> 3 pods", f"{time.monotonic() - began:.0f} s after the load began")
        at_each_pod(narration, cluster, service, next(iter(voices.values())))
    began = time.monotonic()
    narration.note("requests meanwhile", f"{len(answers.records)}, of which {len(answers.failures)} failed")
    narration.note(
        "answered within", f"{answers.seconds_at(50):.2f} s half of them, {answers.seconds_at(95):.2f} s 95 %"
    )
    narration.note("voices found without extraction", f"{100 * answers.hit_rate():.0f} %")
    tiers(narration, cluster, service)
    eventually(service.ready_pods, lambda pods: len(pods) == 1, seconds=180, what="one pod")
    narration.note("HPA 3 -> 1 pod", f"{time.monotonic() - began:.0f} s after the load ended")


def tiers(narration: Narration, cluster: LocalCluster, service: VoiceService) -> None:
    """Where a voice comes from, and what that takes: a recording that no pod has heard, then at another pod, then once more."""
    first, second = (f"pod/{pod['metadata']['name']}" for pod in service.ready_pods()[:2])
    recording = ("unheard.wav", unheard())
    aloud = {"reference_audio": base64.b64encode(recording[1]).decode()}
    with talking_to(cluster, service.kubectl, first) as client:
        show_tier(narration, "voice from a recording that no pod has heard", client, "alloy", aloud)
        voice = client.audio.voices.create(name="unheard", audio_sample=recording, consent=omit)
    with talking_to(cluster, service.kubectl, second) as client:
        show_tier(narration, "the same voice, at another pod", client, {"id": voice.id})
        show_tier(narration, "the same voice, there once more", client, {"id": voice.id})
        client.delete(f"/audio/voices/{voice.id}", cast_to=dict[str, Any])


def unheard() -> bytes:
    """A recording as WAV, shorter by some samples that no other run leaves out: to a cache another recording."""
    written = io.BytesIO()
    with wave.open(io.BytesIO(speech_wav())) as whole, wave.open(written, "wb") as cut:
        cut.setparams(whole.getparams())
        left_out = 1 + time.time_ns() // 1000 % whole.getframerate()
        cut.writeframes(whole.readframes(whole.getnframes() - left_out))
    return written.getvalue()


def show_tier(
    narration: Narration, what: str, client: OpenAI, voice: Any, extra: Mapping[str, str] | None = None
) -> None:
    """A row: which tier had the features, and how long they took."""
    answer = client.audio.speech.with_raw_response.create(
        model="tts-1",
        voice=voice,
        input=SENTENCE,
        response_format="wav",
        extra_body=extra,
        extra_headers={"Cache-Control": "no-store"},
    )
    took = voice_ms(answer.headers["Server-Timing"])
    narration.note(what, f"{answer.headers['X-Voice-Cache']}, {took:.2f} ms")


def rate_for(cluster: LocalCluster, service: VoiceService, voice: str) -> float:
    """Requests a second that want three pods, from what one costs a pod that is kept busy."""
    seconds = []
    began = time.monotonic()
    with talking_to(cluster, service.kubectl, f"service/{service.name}") as client:
        # Long enough that a pod has used up what its CPU limit allows at once.
        while time.monotonic() - began < CALIBRATION_SECONDS:
            text = LONGER.replace("{n}", f"number {len(seconds)}")
            sent = time.monotonic()
            client.audio.speech.create(model="tts-1", voice={"id": voice}, input=text, response_format="pcm")
            seconds.append(time.monotonic() - sent)
    return min(MOST_RATE, WANTED_WORK / statistics.fmean(seconds[len(seconds) // 2 :]))


def at_each_pod(narration: Narration, cluster: LocalCluster, service: VoiceService, voice: str) -> None:
    """The same voice at every pod, past the Service."""
    tell: Callable[[str], None] = narration.say
    for pod in service.ready_pods():
        name = pod["metadata"]["name"]
        with talking_to(cluster, service.kubectl, f"pod/{name}") as client:
            answer = client.audio.speech.with_raw_response.create(
                model="tts-1", voice={"id": voice}, input=f"Here is {name}.", response_format="wav"
            )
        (OUT / f"{name}.wav").write_bytes(answer.content)
        tell(f"{name} speaks in the voice, which it found in: {answer.headers['X-Voice-Cache']}")


def summary(narration: Narration, cluster: LocalCluster) -> str:
    """What was measured, where things are, and how to go on."""
    width = max(len(what) for what, _ in narration.measured)
    table = "\n".join(f"  {what:<{width}}  {value}" for what, value in narration.measured)
    kubeconfig = f"KUBECONFIG={cluster.folder / 'kubeconfig'} PATH={cluster.folder / 'bin'}:$PATH"
    removal = "make cluster-down"
    if cluster.lent:
        # In this order: without Helm the APIService would stay, and no namespace of the cluster could be deleted any more.
        steps = (
            f"kubectl delete namespace {NAMESPACE}",
            f"helm -n {HOME} uninstall timbre",
            f"kubectl delete namespace {HOME}",
        )
        removal = " && ".join((f"export {kubeconfig}", *steps))
    return f"""
{table}

  Listen      {OUT}
  Look        {kubeconfig} kubectl -n {NAMESPACE} get vs,hpa,pods
              {kubeconfig} kubectl -n {NAMESPACE} describe vs narrator
  Remove      {removal}
"""


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
