"""The example of a gateway fits the server that stands behind it: sizes, times, routes and the shape of errors."""

from __future__ import annotations

import json
import re
from typing import Final

from tests.cluster.control_plane import ROOT
from timbre_contract import api
from timbre_server.api.application import ApiOptions
from timbre_server.app.listeners import KEEP_ALIVE_SECONDS
from timbre_server.settings import Settings

EXAMPLE: Final = (ROOT / "examples" / "gateway-nginx.conf").read_text("utf-8")
PAGE: Final = (ROOT / "docs" / "gateway.md").read_text("utf-8")
_MiB: Final = 1 << 20


def _value(directive: str) -> str:
    """What the one line of this directive says."""
    said = re.findall(rf"^ *{directive} +(.+);$", EXAMPLE, re.MULTILINE)
    assert len(said) == 1, directive
    return str(said[0])


def _seconds(directive: str) -> int:
    return int(_value(directive).removesuffix("s"))


def _locations() -> dict[str, str]:
    """The lines of each location, by what stands in its head."""
    return dict(re.findall(r"^    location ([^{]+) \{\n((?:        .+\n)+)    \}$", EXAMPLE, re.MULTILINE))


def _largest_body() -> int:
    return ApiOptions(max_upload_bytes=Settings().voices.max_upload_bytes).max_body_bytes


def test_the_largest_body_that_we_take_comes_through() -> None:
    assert _largest_body() <= int(_value("client_max_body_size").removesuffix("m")) * _MiB
    assert f"{_largest_body():,} bytes" in PAGE


def test_nginx_gives_an_idle_connection_up_before_we_do() -> None:
    assert _seconds("keepalive_timeout") < KEEP_ALIVE_SECONDS


def test_nginx_waits_for_longer_than_work_may() -> None:
    assert _seconds("proxy_read_timeout") > Settings().batching.max_pending_seconds


def test_speech_models_and_links_have_places_and_the_rest_is_for_one_client() -> None:
    locations = _locations()
    assert 'if ($speech_client = "")' in locations[f"= {api.SPEECH_PATH}"]
    assert 'if ($speech_client = "")' in locations[api.MODELS_PATH]
    assert "if" not in locations[f"{api.RESULTS_PATH}/"].split()
    assert "if ($speech_client != backend)" in locations["/v1/audio/"]
    assert all(path.startswith("/v1/audio/") for path in (api.VOICES_PATH, api.CONSENTS_PATH))
    assert {place for place, lines in locations.items() if "proxy_pass" in lines} == {
        f"= {api.SPEECH_PATH}",
        f"{api.RESULTS_PATH}/",
        api.MODELS_PATH,
        "/v1/audio/",
    }


def test_only_speech_is_asked_for_again() -> None:
    again = [place for place, lines in _locations().items() if "non_idempotent" in lines]
    assert again == [f"= {api.SPEECH_PATH}"]


def test_what_nginx_answers_itself_has_the_shape_of_our_errors() -> None:
    answers = re.findall(r"return (\d+) '(.+)';", EXAMPLE)
    assert [status for status, _ in answers] == ["404", "401", "413", "429", "503"]
    for _, body in answers:
        assert json.loads(body)["error"].keys() == {"message", "type", "param", "code"}
