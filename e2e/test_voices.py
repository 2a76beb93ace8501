"""Is a voice the same at every pod: enrolled, replaced and deleted, also while pods are being replaced?"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from e2e.installation import VoiceService
from e2e.kubectl import Kubectl, eventually
from e2e.pods import HER, HIM, Client, address
from e2e.services import STUB

Images = Mapping[str, str]
pytestmark = pytest.mark.usefixtures("timbre")


@pytest.mark.short
def test_voice_enrolled_at_one_pod_speaks_at_every_pod_without_a_second_extraction(
    namespace: Kubectl, images: Images
) -> None:
    spec = {**STUB, "engine": {"name": "embedded"}, "resources": {"requests": {"cpu": "100m"}}}
    service = VoiceService(namespace, "narrator", spec).apply().ready()
    client = Client.start(namespace, images)
    first, second = map(address, service.ready_pods())

    voice = client.enrol(first, HER)
    there = client.speak(first, {"id": voice})
    elsewhere = client.speak(second, {"id": voice})

    assert (there["status"], elsewhere["status"]) == (200, 200)
    assert elsewhere["headers"]["x-voice-cache"] in {"redis", "host"}
    assert elsewhere["digest"] == there["digest"]


def test_voice_is_replaced_and_deleted_while_pods_are_replaced(namespace: Kubectl, images: Images) -> None:
    service = VoiceService(namespace, "narrator", STUB).apply().ready()
    client = Client.start(namespace, images)
    voice = client.enrol(service.url, HER)
    hers = client.speak(service.url, {"id": voice})["digest"]

    namespace("rollout", "restart", "deployment/narrator")
    assert client.replace(service.url, voice, HIM)["json"]["generation"] == 2
    # A request through the Service may meet any pod, old or new, and has met the new voice ever since it was promised.
    his = {
        eventually(lambda: client.speak(service.url, {"id": voice})["digest"], lambda digest: digest != hers, seconds=2)
    }
    namespace.rolled_out("deployment/narrator")
    his |= {client.speak(address(pod), {"id": voice})["digest"] for pod in service.ready_pods()}
    assert len(his) == 1

    namespace("rollout", "restart", "deployment/narrator")
    receipt = client.ask("DELETE", f"{service.url}/v1/audio/voices/{voice}")
    assert receipt["json"]["deleted"] is True
    eventually(lambda: client.speak(service.url, {"id": voice})["status"], lambda status: status == 404, seconds=2)
    namespace.rolled_out("deployment/narrator")
    assert [client.speak(address(pod), {"id": voice})["status"] for pod in service.ready_pods()] == [404, 404]
