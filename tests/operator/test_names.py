"""Names that charts, dashboards and users' commands rely on stay as they are."""

from __future__ import annotations

from tests.operator.desired.children import children_of
from tests.operator.manifests import a_service
from timbre_contract import labels
from timbre_operator.voiceservice.names import CHILD_SUFFIXES


def test_names_of_the_api_stay() -> None:
    assert (labels.API_VERSION, labels.KIND, labels.PLURAL) == ("timbre.dev/v1alpha1", "VoiceService", "voiceservices")
    assert (labels.QUEUE_DEPTH_SERIES, labels.WORK_SECONDS_SERIES) == ("timbre_queue_depth", "timbre_work_seconds")
    assert labels.FIELD_MANAGER == "timbre-operator"


def test_pods_are_selected_by_the_recommended_labels() -> None:
    assert labels.selector("narrator", "server") == {
        "app.kubernetes.io/name": "timbre",
        "app.kubernetes.io/instance": "narrator",
        "app.kubernetes.io/component": "server",
    }


def test_equal_names_in_two_namespaces_are_two_scopes() -> None:
    assert labels.scope("a", "narrator") == "a.narrator"
    assert labels.scope("a", "narrator") != labels.scope("b", "narrator")


def test_a_series_has_an_address() -> None:
    assert labels.series_path("a", "narrator", "timbre_queue_depth") == "/series/a/narrator/timbre_queue_depth"


def test_every_child_is_called_by_one_of_the_known_endings() -> None:
    voices = [{"name": "ann", "recording": {"path": "/ann.wav"}}]
    kinds = [a_service().with_spec(voices=voices), a_service().scaled_by("KEDA"), a_service().on_external_redis()]
    names = {child["metadata"]["name"] for service in kinds for child in children_of(service).values()}
    assert names == {f"narrator{suffix}" for suffix in CHILD_SUFFIXES}
