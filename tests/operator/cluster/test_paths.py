"""Addresses of objects on the API server."""

from __future__ import annotations

from timbre_operator.cluster.paths import path_of, selector, with_query
from timbre_operator.kinds import DEPLOYMENT, SECRET, VOICE_SERVICE


def test_kinds_of_the_core_lie_below_api_and_the_others_below_apis() -> None:
    assert path_of(SECRET, "studio", "a") == "/api/v1/namespaces/studio/secrets/a"
    assert path_of(DEPLOYMENT, "studio", "a") == "/apis/apps/v1/namespaces/studio/deployments/a"


def test_without_a_namespace_all_are_meant() -> None:
    assert path_of(VOICE_SERVICE) == "/apis/timbre.dev/v1alpha1/voiceservices"


def test_status_is_a_resource_of_its_own() -> None:
    assert path_of(VOICE_SERVICE, "studio", "a", "status").endswith("/voiceservices/a/status")


def test_a_name_leads_nowhere_else() -> None:
    assert path_of(SECRET, "studio", "../x?y").endswith("/secrets/..%2Fx%3Fy")


def test_a_query_has_what_has_a_value() -> None:
    assert with_query("/a", {"x": "1,2", "y": ""}) == "/a?x=1%2C2"
    assert with_query("/a", {"x": ""}) == "/a"


def test_a_selector_names_every_pair() -> None:
    assert selector({"b": "2", "a": "1"}) == "a=1,b=2"
    assert selector(None) == ""
