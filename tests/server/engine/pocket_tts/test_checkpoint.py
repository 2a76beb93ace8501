"""Are the weights those that the settings named, and does their revision tell them apart?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from timbre_server.engine.pocket_tts.checkpoint import described, fetched, processor_words
from timbre_server.engine.pocket_tts.options import Source
from timbre_server.errors import ConfigurationError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pocket"
    made.mkdir()
    (made / "config.json").write_text('{"model_type": "pocket_tts", "hidden_size": 32}')
    (made / "model.safetensors").write_bytes(b"weights")
    return made


def revision(folder: Path) -> str:
    return described(Source(folder=folder), "pocket_tts").revision


def test_a_folder_is_named_and_taken_as_it_is(folder: Path) -> None:
    found = described(Source(folder=folder), "pocket_tts")

    assert (found.name, found.folder) == ("pocket", folder)
    assert fetched(Source(folder=folder)) == folder


def test_equal_content_has_an_equal_revision_wherever_it_lies(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())

    assert revision(copy) == revision(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "generation_config.json", "chat_template.jinja"])
def test_the_revision_changes_with_every_file_that_can_change_the_speech(folder: Path, name: str) -> None:
    before = revision(folder)
    old = (folder / name).read_bytes() if (folder / name).exists() else b""
    (folder / name).write_bytes(old + b" ")

    assert revision(folder) != before


def test_weights_of_equal_size_are_told_apart(folder: Path) -> None:
    before = revision(folder)
    (folder / "model.safetensors").write_bytes(b"Weights")

    assert revision(folder) != before


def test_a_file_beside_the_model_changes_nothing(folder: Path) -> None:
    before = revision(folder)
    (folder / "README.md").write_text("read me")

    assert revision(folder) == before


def test_weights_that_are_no_safetensors_are_not_seen(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ConfigurationError, match="safetensors"):
        revision(folder)


@pytest.mark.parametrize("content", [None, "no json", "[]", '{"model_type": "llama"}'])
def test_what_is_no_such_model_is_refused(folder: Path, content: str | None) -> None:
    (folder / "config.json").unlink()
    if content is not None:
        (folder / "config.json").write_text(content)
    with pytest.raises(ConfigurationError):
        revision(folder)


def test_the_processors_words_may_be_absent(folder: Path) -> None:
    assert processor_words(folder) == {}
    (folder / "processor_config.json").write_text(json.dumps({"frames_after_eos": 3}))
    assert processor_words(folder) == {"frames_after_eos": 3}


class TestHub:
    """A repository that lies in the hub's cache already, and a hub that cannot be reached."""

    @pytest.fixture(autouse=True)
    def hub_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        constants = pytest.importorskip("huggingface_hub.constants", reason="needs the hub: make test-torch")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        return tmp_path / "hub"

    def test_the_pinned_commit_is_taken_and_is_the_revision(self, hub_cache: Path) -> None:
        snapshot = hub_cache / "models--someone--pocket" / "snapshots" / COMMIT
        snapshot.mkdir(parents=True)
        (snapshot / "config.json").write_text('{"model_type": "pocket_tts"}')
        source = Source(repository="someone/pocket", commit=COMMIT)
        found = described(source, "pocket_tts")

        assert (found.name, found.folder, found.revision) == ("someone/pocket", snapshot, COMMIT[:16])
        assert fetched(source) == snapshot

    def test_a_repository_out_of_reach_is_refused_by_name(self) -> None:
        with pytest.raises(ConfigurationError, match=f"someone/pocket at {COMMIT}"):
            described(Source(repository="someone/pocket", commit=COMMIT), "pocket_tts")
