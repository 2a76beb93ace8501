"""Is a service that changes always there?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from e2e.installation import VoiceService
from e2e.kubectl import Kubectl, condition, eventually
from e2e.load import SPEECH, Load, under_load
from e2e.local_cluster import LocalCluster
from e2e.services import NEW_TEXTS, STUB

Images = Mapping[str, str]
pytestmark = pytest.mark.usefixtures("timbre")


@pytest.mark.short
@pytest.mark.parametrize("connections", ["new", "kept"])
def test_restart_of_every_pod_fails_no_request(
    namespace: Kubectl, images: Images, connections: str, measured: Callable[[str, float, str], None]
) -> None:
    service = VoiceService(namespace, "narrator", STUB).apply().ready()

    with under_load(
        namespace, images, Load(service.url + SPEECH, NEW_TEXTS, rate=20, kept=connections == "kept")
    ) as answers:
        namespace("rollout", "restart", "deployment/narrator")
        namespace.rolled_out("deployment/narrator")
        eventually(lambda: len(namespace.items("pods", "-l", "app.kubernetes.io/component=server")) == 2, seconds=60)

    measured(f"restart under load, {connections} connections: requests", len(answers.records), "")
    measured(f"restart under load, {connections} connections: failed", len(answers.failures), "")
    answers.assert_all_good()
    assert len(answers.records) > 100


def test_change_of_a_setting_fails_no_request_and_status_names_the_field(namespace: Kubectl, images: Images) -> None:
    service = VoiceService(namespace, "narrator", STUB).apply().ready()

    with under_load(namespace, images, Load(service.url + SPEECH, NEW_TEXTS, rate=20)) as answers:
        changed = service.apply(batching={"maxBatchSize": 8})
        progress = changed.until_condition("Progressing", "True", says="TIMBRE_BATCHING__MAX_BATCH_SIZE", seconds=30)
        changed.ready()

    assert "8" in progress["message"]
    assert condition(changed.manifest(), "Progressing")["status"] == "False"
    answers.assert_all_good()


def test_change_of_the_image_fails_no_request_and_status_names_the_field(
    namespace: Kubectl, images: Images, cluster: LocalCluster, measured: Callable[[str, float, str], None]
) -> None:
    if cluster.lent:
        pytest.skip("only this machine's node can be told another name of an image")
    newer = cluster.renamed_image(images["server"])
    service = VoiceService(namespace, "narrator", STUB).apply().ready()

    with under_load(namespace, images, Load(service.url + SPEECH, NEW_TEXTS, rate=20)) as answers:
        changed = service.apply(image=newer)
        progress = changed.until_condition("Progressing", "True", says="containers[server].image", seconds=30)
        changed.ready()

    assert newer in progress["message"]
    assert {pod["spec"]["containers"][0]["image"] for pod in changed.ready_pods()} == {newer}
    measured("another image under load: requests", len(answers.records), "")
    answers.assert_all_good()
