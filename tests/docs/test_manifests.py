"""A VoiceService that a page shows is one that an API server takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.control_plane import ControlPlane
from tests.docs.pages import blocks, page_name, pages
from timbre_contract.labels import API_VERSION, KIND


def _voice_services(page: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Whole ones, and parts that begin with ``spec``."""
    for block in blocks(page):
        for document in yaml.safe_load_all(block.text) if block.language == "yaml" else ():
            metadata = document.get("metadata", {"name": "part"})
            if document.get("kind", KIND) == KIND and "spec" in document:
                where = f"{page_name(page)}:{block.line}"
                yield where, {"apiVersion": API_VERSION, "kind": KIND, **document, "metadata": metadata}


@pytest.mark.slow
def test_every_voice_service_of_the_pages_applies(new_cluster: ControlPlane) -> None:
    shown = {where: manifest for page in pages() for where, manifest in _voice_services(page)}
    assert any(where.startswith("README.md") for where in shown)
    for where, manifest in shown.items():
        said = new_cluster.kubectl(
            "create", "--dry-run=server", "--validate=strict", "--filename=-", stdin=json.dumps(manifest)
        )
        assert "created" in said, where
