"""A reader who types what the pages say gets what they promise: every command is run, or says why not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.control_plane import ROOT, ControlPlane
from tests.docs.commands import NOT_RUN, Command, commands, looks
from tests.docs.terminal import Terminal

README, STARTED, OPERATED, TROUBLED = (
    ROOT / name for name in ("README.md", "docs/getting-started.md", "docs/operations.md", "docs/troubleshooting.md")
)


def test_every_reason_not_to_run_a_command_is_needed() -> None:
    told = [command for page in (README, STARTED, OPERATED, TROUBLED) for command in (*commands(page), *looks(page))]
    used = {command.reason_not_to_run for command in told}
    assert [reason for reason in NOT_RUN.values() if reason not in used] == []


@pytest.mark.slow
async def test_the_first_hour_ends_where_it_says(cluster_terminal: Terminal, new_cluster: ControlPlane) -> None:
    said = await cluster_terminal.run(commands(STARTED))
    made = {
        name: (cluster_terminal.checkout / name).read_bytes() for name in ("morning.mp3", "reader.wav", "replaced.wav")
    }
    assert made["reader.wav"][:4] == made["replaced.wav"][:4] == b"RIFF"
    assert made["reader.wav"] != made["replaced.wav"]
    assert "x-voice-cache: host" in said
    assert '"complete":true' in said
    assert "refused, as it should be" in said
    left = json.loads(new_cluster.kubectl("get", "pvc,crd", "--all-namespaces", "--output=json"))["items"]
    assert [item["metadata"]["name"] for item in left] == []


@pytest.mark.slow
async def test_the_readme_does_what_it_says(readme_terminal: Terminal) -> None:
    """Its API is that of a server with the default engine, as `make serve` starts it."""
    said = await readme_terminal.run(
        [*commands(README), *commands(TROUBLED), *map(_about_the_service, looks(TROUBLED))]
    )
    for name in ("hello.mp3", "reader.mp3", "guest.mp3"):
        made = (readme_terminal.checkout / name).read_bytes()
        assert made[:3] == b"ID3" or made[0] == 0xFF, name
    assert "nvidia.com/gpu" in said


@pytest.mark.slow
async def test_a_service_is_upgraded_restored_and_removed_as_the_page_says(cluster_terminal: Terminal) -> None:
    """With what the first hour made, and an image that is another one after the upgrade."""
    before = [command for command in commands(STARTED) if command.line < _line_of(STARTED, "## 6. ")]
    image = "kubectl wait deployment/narrator --timeout=1m --for=jsonpath='{.spec.template.spec.containers[0].image}'"
    meanwhile = {
        "make images": "echo localhost/timbre-server:2 >$TIMBRE_CLUSTER/images/server.name",
        "helm upgrade": f"{image}=localhost/timbre-server:2",
        "helm rollback": f"{image}=localhost/timbre-server:1",
        "kubectl delete voiceservice narrator": "kubectl wait --for=delete statefulset/narrator-redis --timeout=1m",
    }
    said = await cluster_terminal.run([*before, *_with(commands(OPERATED), meanwhile)])
    assert "1 exported, 0 refused" in said
    assert "0 imported, 1 there already, 0 refused" in said
    assert len(re.findall(r"^voice_[0-9a-f]{32}\t1\t.*\treader$", said, re.MULTILINE)) == 2
    assert "persistentvolumeclaim/data-narrator-redis-0" in said
    assert "customresourcedefinition.apiextensions.k8s.io/voiceservices.timbre.dev" in said


def _about_the_service(look: Command) -> Command:
    """A command of a table, with what it is about in the place of the words in capitals."""
    pod = "$(kubectl get pods -l app.kubernetes.io/component=server -o jsonpath='{.items[0].metadata.name}')"
    names = {"NAME": "narrator", "POD": pod, "SECRET": "narrator-redis"}
    text = (
        look.text
        if look.reason_not_to_run
        else re.sub(r"(?<![\w:])(NAME|POD|SECRET)\b(?!:)", lambda word: names[word[1]], look.text)
    )
    return replace(look, text=text)


def _line_of(page: Path, beginning: str) -> int:
    return next(
        number for number, line in enumerate(page.read_text("utf-8").splitlines(), 1) if line.startswith(beginning)
    )


def _with(page: Iterable[Command], meanwhile: Mapping[str, str]) -> Iterator[Command]:
    """The page, with what the test does behind commands that begin so."""
    used = set()
    for command in page:
        yield command
        for beginning in meanwhile:
            if command.text.startswith(beginning):
                used.add(beginning)
                yield replace(command, text=meanwhile[beginning])
    assert used == set(meanwhile)
