"""What a pod asks for follows from its caches, unless it is written."""

from __future__ import annotations

from tests.operator.desired.children import container_of, server_pod
from tests.operator.manifests import AService, a_service


def _resources(service: AService) -> dict[str, object]:
    resources: dict[str, object] = container_of(server_pod(service))["resources"]
    return resources


def test_memory_is_the_engine_the_uploads_and_the_caches() -> None:
    service = a_service().with_spec(voiceCache={"host": {"maxBytes": "3Gi"}})
    assert _resources(service) == {"requests": {"cpu": "500m", "memory": f"{512 + 128 + 3072 + 64}Mi"}}


def test_finished_speech_that_is_not_kept_takes_no_memory() -> None:
    service = a_service().with_spec(resultCache={"enabled": False}, voiceCache={"host": {"maxBytes": "3Gi"}})
    assert _resources(service) == {"requests": {"cpu": "500m", "memory": f"{512 + 128 + 3072}Mi"}}


def test_a_byte_more_is_a_mebibyte_more() -> None:
    service = a_service().with_spec(engine={"name": "stub"}, voiceCache={"host": {"maxBytes": "1"}})
    assert _resources(service) == {"requests": {"cpu": "500m", "memory": "321Mi"}}


def test_what_is_written_wins() -> None:
    service = a_service().with_spec(resources={"requests": {"memory": "9Gi", "ephemeral-storage": "1Gi"}})
    assert _resources(service) == {"requests": {"cpu": "500m", "memory": "9Gi", "ephemeral-storage": "1Gi"}}


def test_a_limit_is_a_request_too() -> None:
    """Kubernetes takes it so; a derived request above the limit would be refused."""
    service = a_service().with_spec(resources={"limits": {"memory": "700Mi", "nvidia.com/gpu": 1}})
    assert _resources(service) == {
        "limits": {"memory": "700Mi", "nvidia.com/gpu": "1"},
        "requests": {"cpu": "500m"},
    }


def test_claims_are_passed_on() -> None:
    service = a_service().with_spec(resources={"claims": [{"name": "gpu"}]})
    assert _resources(service)["claims"] == [{"name": "gpu"}]
