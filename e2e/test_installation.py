"""What does the chart leave behind, and does an upgrade disturb anybody?"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.installation import HOME, Installation, VoiceService
from e2e.kubectl import Kubectl, eventually
from e2e.load import SPEECH, Load, under_load
from e2e.objects import objects_of
from e2e.pods import HER, Client
from e2e.services import NEW_TEXTS, STUB

Images = Mapping[str, str]
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def previous(timbre: Installation, tmp_path: Path) -> Installation:
    """The chart of the last release, or of the commit before this one where nothing was released."""
    described = subprocess.run(
        ["git", "-C", ROOT, "describe", "--tags", "--abbrev=0", "HEAD~1"], capture_output=True, text=True, check=False
    )
    commit = described.stdout.strip() or "HEAD~1"
    archive = subprocess.run(["git", "-C", ROOT, "archive", commit, "charts/timbre"], capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", tmp_path], input=archive.stdout, check=True)
    return replace(timbre, chart=tmp_path / "charts" / "timbre")


@pytest.fixture
def uninstalled(timbre: Installation) -> Iterator[None]:
    """No release; there is one again after the test."""
    timbre.uninstall()
    yield
    timbre.install()


@pytest.mark.usefixtures("uninstalled")
def test_upgrade_uninstall_and_reinstall_disturb_no_service(
    namespace: Kubectl, images: Images, timbre: Installation, previous: Installation
) -> None:
    previous.install()
    service = VoiceService(namespace, "narrator", STUB).apply().ready()
    before = {pod["metadata"]["uid"] for pod in service.pods()}

    with under_load(namespace, images, Load(service.url + SPEECH, NEW_TEXTS, rate=10)) as answers:
        timbre.install()
        service.ready()
        timbre.uninstall()
        assert {pod["metadata"]["uid"] for pod in service.ready_pods()} == before
        timbre.install()
        service.apply(batching={"maxBatchSize": 8}).ready(90)

    answers.assert_all_good()


@pytest.mark.usefixtures("uninstalled")
def test_uninstalled_release_leaves_the_crd_only(kubectl: Kubectl, timbre: Installation) -> None:
    before = objects_of(kubectl)

    timbre.install()
    timbre.uninstall()

    def left() -> set[str]:
        return {line for line in objects_of(kubectl) - before if not line.startswith("CustomResourceDefinition ")}

    eventually(left, lambda found: found == set(), seconds=60, what="the end of everything else")
    assert "CustomResourceDefinition <none> voiceservices.timbre.dev" in objects_of(kubectl)
    assert f"Namespace <none> {HOME}" in objects_of(kubectl)


@pytest.mark.short
def test_deleted_service_leaves_its_volume_only_and_a_new_one_finds_its_voices(
    namespace: Kubectl,
    images: Images,
    timbre: Installation,  # noqa: ARG001 - somebody must make it true
) -> None:
    client = Client.start(namespace, images)

    def ours() -> set[str]:
        return {line for line in objects_of(namespace) if f" {namespace.namespace} " in line}

    before = ours()
    service = VoiceService(namespace, "narrator", STUB).apply().ready()
    voice = client.enrol(service.url, HER)

    namespace("delete", "voiceservice", "narrator")

    claim = f"PersistentVolumeClaim {namespace.namespace} data-narrator-redis-0"
    eventually(lambda: ours() - before, lambda left: left == {claim}, seconds=90, what="the end of all but the volume")

    service.apply().ready().until_condition("RedisReady", "True")
    assert client.speak(service.url, {"id": voice})["status"] == 200
