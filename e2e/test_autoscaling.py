"""Does the HPA follow what a service is asked to do, and does nobody notice?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from e2e.installation import Installation, VoiceService
from e2e.kubectl import Kubectl, condition, eventually, throughout
from e2e.load import SPEECH, Load, under_load
from e2e.pods import HER, HIM, Client
from e2e.services import NEW_TEXTS, STUB

Images = Mapping[str, str]
Measured = Callable[[str, float, str], None]
JOB_SECONDS: Final = 0.2
"""Engine time of a sentence: five a second fill a pod, whatever the machine's processors do."""
EXTRACTION_SECONDS: Final = 0.5
QUICK: Final[dict[str, Any]] = {
    "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 2, "periodSeconds": 10}]},
    "scaleDown": {"stabilizationWindowSeconds": 5, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]},
}
SCALED: Final[dict[str, Any]] = {
    **{name: value for name, value in STUB.items() if name != "replicas"},
    "engine": {
        "name": "stub",
        "options": {
            "fixed_seconds": 0.0,
            "per_job_seconds": JOB_SECONDS,
            "encode_fixed_seconds": 0.0,
            "encode_per_reference_seconds": EXTRACTION_SECONDS,
            "min_voiced_seconds": 0.0,
        },
    },
    "autoscaling": {"class": "HPA", "minReplicas": 1, "maxReplicas": 3, "behavior": QUICK},
}
pytestmark = pytest.mark.usefixtures("timbre")


def has_ready(pods: int) -> Callable[[list[dict[str, Any]]], bool]:
    return lambda found: len(found) == pods


def bodies(voices: list[str]) -> list[dict[str, Any]]:
    return [
        {"model": "tts-1", "voice": {"id": voice}, "input": "Request {n}.", "response_format": "pcm"}
        for voice in voices
    ]


@pytest.mark.short
def test_pods_follow_the_load_and_no_request_and_no_voice_is_lost(
    namespace: Kubectl, images: Images, measured: Measured
) -> None:
    service = VoiceService(namespace, "narrator", SCALED).apply().ready()
    client = Client.start(namespace, images)
    voices = [client.enrol(service.url, HER if number % 2 else HIM, f"voice {number}") for number in range(6)]
    url = service.url + SPEECH

    with under_load(namespace, images, Load(url, bodies(voices), rate=1), "base") as base:
        with under_load(namespace, images, Load(url, bodies(voices), rate=8), "rush") as rush:
            began = time.monotonic()
            eventually(service.ready_pods, has_ready(3), seconds=90, what="three pods")
            measured("HPA 1 -> 3 under 9 requests/s", time.monotonic() - began, "s")
            decisions = service.until(lambda manifest: manifest["status"]["autoscaling"].get("decisions"))
            assert decisions["status"]["autoscaling"]["decisions"][0]["to"] > 1
            settled = time.monotonic() - began
            seen = [
                eventually(
                    service.deletion_costs, lambda costs: len(set(costs.values())) > 1, seconds=60, what="an order"
                )
            ]
        began = time.monotonic()

        def look() -> int:
            seen.append(service.deletion_costs())
            return len(seen[-1])

        eventually(look, lambda pods: pods < 3, seconds=120, what="fewer than three pods")
        eventually(service.ready_pods, has_ready(1), seconds=120, what="one pod")
        measured("HPA 3 -> 1 after the rush", time.monotonic() - began, "s")

    costs, left = seen[-2:]
    stayed = {costs[name] for name in left}
    assert all(costs[name] <= min(stayed) for name in costs.keys() - left.keys()), (costs, left)
    base.assert_all_good()
    rush.assert_all_good()
    measured("requests while the HPA moved, of which 0 failed", len(base.records) + len(rush.records), "")
    before, after = rush.hit_rate(until=10), rush.hit_rate(since=settled)
    measured("hit rate after scale-up / before", after / before, "")
    assert after >= 0.95 * before


def test_falling_hit_rate_raises_the_pods_at_a_constant_rate(
    namespace: Kubectl, images: Images, measured: Measured
) -> None:
    service = VoiceService(namespace, "narrator", SCALED).apply().ready()
    client = Client.start(namespace, images)
    regular = bodies([client.enrol(service.url, HER)])
    one_offs = [
        {
            "model": "tts-1",
            "voice": "alloy",
            "input": "Request {n}.",
            "response_format": "pcm",
            "reference_audio": "one-off",
        }
    ]
    url = service.url + SPEECH

    with under_load(namespace, images, Load(url, regular, rate=2), "regulars") as regulars:
        # 0.4 engine seconds a second: below 0.7 for one pod.
        service.until(lambda manifest: (manifest["status"].get("hitRatePercent") or 0) > 90, seconds=60)
        assert len(service.ready_pods()) == 1
    with under_load(namespace, images, Load(url, one_offs, rate=2), "one-offs") as strangers:
        began = time.monotonic()
        eventually(service.ready_pods, has_ready(2), seconds=120, what="two pods for 1.4 engine seconds a second")
        measured("HPA 1 -> 2 because of one-off voices, 2 requests/s as before", time.monotonic() - began, "s")
        service.until(lambda manifest: (manifest["status"].get("hitRatePercent") or 100) < 80, seconds=60)

    regulars.assert_all_good()
    strangers.assert_all_good()


def test_hpa_holds_while_nobody_serves_the_metrics(namespace: Kubectl, images: Images, timbre: Installation) -> None:
    service = VoiceService(namespace, "narrator", SCALED).apply().ready()

    def wanted() -> int:
        return int(namespace.json("get", "deployment", "narrator")["spec"]["replicas"])

    try:
        with under_load(namespace, images, Load(service.url + SPEECH, NEW_TEXTS, rate=6)):
            eventually(service.ready_pods, has_ready(2), seconds=90, what="two pods for 1.2 engine seconds a second")
            timbre.scale(0)
            eventually(
                lambda: condition(namespace.json("get", "hpa", "narrator"), "ScalingActive").get("status"),
                lambda status: status == "False",
                seconds=60,
                what="an HPA that is not answered",
            )
            held = wanted()
        # The load is gone, and by its own rules the HPA would take a pod away after five seconds.
        assert held >= 2
        throughout(
            wanted, lambda replicas: replicas == held, seconds=3 * QUICK["scaleDown"]["stabilizationWindowSeconds"]
        )
    finally:
        timbre.scale(1)
    eventually(service.ready_pods, has_ready(1), seconds=120, what="one pod again")
