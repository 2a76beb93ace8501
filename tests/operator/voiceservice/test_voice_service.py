"""What a manifest means, and what is said about one that cannot be."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.operator.manifests import a_service, merged
from tests.operator.refusals import ACCEPTED, REFUSALS, TRANSITIONS
from timbre_operator.errors import InvalidManifest
from timbre_operator.voiceservice import from_manifest
from timbre_operator.voiceservice.redis import Storage
from timbre_operator.voiceservice.voice_service import Spec


def _said(manifest: dict[str, Any]) -> str:
    with pytest.raises(InvalidManifest) as refused:
        from_manifest(manifest)
    return "\n".join(refused.value.sentences)


@pytest.mark.parametrize("mistake", REFUSALS)
def test_a_mistake_is_answered_by_what_to_write(mistake: str) -> None:
    assert REFUSALS[mistake].said in _said(REFUSALS[mistake].manifest)


@pytest.mark.parametrize("border", ACCEPTED)
def test_what_is_just_right_is_accepted(border: str) -> None:
    from_manifest(merged(a_service().manifest, ACCEPTED[border]))


def test_what_a_volume_must_not_do_is_said_by_the_api_server() -> None:
    """Here is no old object; the rules that need it stand in the CRD."""
    rules = [rule for rule in (*Storage.rules, *Spec.rules) if "oldSelf" in rule.cel]
    said = {transition.said for transition in TRANSITIONS.values() if transition.said}
    assert len(said) == len(rules) == 2
    assert all(any(words in rule.message for rule in rules) for words in said)
    assert all(rule.holds is None for rule in rules)


def test_every_mistake_gets_a_sentence_of_its_own() -> None:
    manifest = a_service().with_spec(replicas=-1, batching={"maxPending": "x"}, autoscaling={"minReplicas": 9})
    assert len(_said(manifest.manifest).splitlines()) == 3


def test_a_spec_is_not_needed() -> None:
    manifest = a_service().manifest
    del manifest["spec"]
    service = from_manifest(manifest)
    assert service.spec.engine.name == "embedded"
    assert service.spec.autoscaling.class_ == "HPA"


def test_an_unknown_field_is_named_beside_those_that_exist() -> None:
    said = _said(a_service().with_spec(batching={"maxSize": 3}).manifest)
    assert said == (
        "spec.batching.maxSize: there is no such field; there are maxBatchSize, maxBatchCost, maxQueueDelay, maxPending"
    )


def test_a_choice_is_listed() -> None:
    said = _said(a_service().with_spec(engine={"name": "xtts"}).manifest)
    assert said == "spec.engine.name: write one of embedded, pocket-tts, stub"


def test_another_kind_is_refused() -> None:
    assert _said(merged(a_service().manifest, {"kind": "Deployment"})) == (
        "write apiVersion: timbre.dev/v1alpha1 and kind: VoiceService"
    )


def test_null_is_the_same_as_nothing() -> None:
    assert a_service().with_spec(image=None, batching=None).built() == a_service().built()


def test_null_in_a_part_that_passes_through_stays() -> None:
    service = a_service().with_spec(podTemplate={"spec": {"tolerations": None}}).built()
    assert service.spec.pod_template is not None
    assert service.spec.pod_template.spec == {"tolerations": None}


def test_measures_are_read_exactly() -> None:
    service = (
        a_service().with_spec(batching={"maxBatchCost": "1.5s"}, voiceCache={"host": {"maxBytes": "0.5Gi"}}).built()
    )
    assert service.spec.batching.max_batch_cost.seconds == Decimal("1.5")
    assert service.spec.voice_cache.host.max_bytes.bytes == 1 << 29


def test_redis_is_managed_unless_external_is_written() -> None:
    assert a_service().built().managed_redis is not None
    assert a_service().with_spec(redis={"managed": {}}).built().managed_redis is not None
    assert a_service().on_external_redis().built().managed_redis is None


def test_a_volume_is_four_times_the_memory_where_it_is_not_written() -> None:
    managed = a_service().with_spec(redis={"managed": {"maxMemory": "3Gi"}}).built().managed_redis
    assert managed is not None
    assert managed.volume_bytes == 12 << 30


def test_what_is_written_comes_back() -> None:
    spec = {"autoscaling": {"class": "None"}, "redis": {"external": {"address": "[::1]:6379,b", "mode": "Cluster"}}}
    written = a_service().with_spec(**spec).built().model_dump(by_alias=True, exclude_unset=True)["spec"]
    assert written == spec


def test_fields_of_a_newer_crd_do_not_stop_an_older_operator() -> None:
    newer = merged(
        a_service().with_spec(routing={"affinity": "Voice"}, batching={"maxBatchSize": 8, "fair": True}).manifest,
        {"status": {"replicas": 2, "mood": "good"}, "metadata": {"managedFields": []}},
    )
    service = from_manifest(newer, unknown="ignore")
    assert service.spec.batching.max_batch_size == 8
    assert service.status is not None
    assert service.status.replicas == 2


def test_what_cannot_be_is_refused_even_where_unknown_fields_are_not() -> None:
    with pytest.raises(InvalidManifest, match="minReplicas that is not larger"):
        from_manifest(a_service().scaled_by("HPA", minReplicas=9, x=1).manifest, unknown="ignore")


def test_a_voice_that_is_declared_twice_is_refused_as_the_api_server_does_it() -> None:
    voice = {"name": "ann", "recording": {"path": "/a.wav"}}
    assert "spec.voices: write each voice once" in _said(a_service().with_spec(voices=[voice, voice]).manifest)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"batching": {"maxPending": 30}}, "spec.batching.maxPending: write a duration such as"),
        ({"redis": {"managed": {"maxMemory": 4096}}}, "spec.redis.managed.maxMemory: write a size such as"),
        ({"voiceCache": {"device": {"keepFree": 0.2}}}, "spec.voiceCache.device.keepFree: write a share from"),
    ],
)
def test_a_number_without_a_unit_is_answered_by_a_measure(spec: dict[str, Any], said: str) -> None:
    assert said in _said(a_service().with_spec(**spec).manifest)


def test_an_item_of_a_list_is_named_as_the_api_server_names_it() -> None:
    voices = [{"name": "ann", "recording": {"path": "/a.wav"}}, {"name": "bob", "recording": {}}]
    with pytest.raises(InvalidManifest) as refused:
        a_service().with_spec(voices=voices).built()
    assert refused.value.sentences == ("spec.voices[1].recording: write one of secretRef, configMapRef and path",)
