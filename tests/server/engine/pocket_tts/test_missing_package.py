"""What is said to somebody who chose the engine without its extra?"""

from __future__ import annotations

import sys

import pytest

from timbre_server.app.wiring import build_engine
from timbre_server.errors import ConfigurationError
from timbre_server.settings import EngineSettings


def test_without_torch_the_extra_is_named_and_no_package_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("timbre_server.engine.pocket_tts")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConfigurationError) as refused:
        build_engine(EngineSettings(name="pocket-tts", options={"path": "/nowhere"}))

    assert "torch" in refused.value.message
    assert "install Timbre with its extra pocket-tts" in refused.value.message
    assert "timbre[" not in refused.value.message  # nothing is published under that name by us
