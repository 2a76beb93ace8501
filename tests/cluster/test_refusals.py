"""A real API server refuses what cannot be, in exactly the words of the typed resource, and accepts what is just right."""

from __future__ import annotations

import pytest

from tests.cluster.api import Api, ApiError, Object
from tests.cluster.carrying_out import in_namespace
from tests.operator.manifests import AService, a_service, merged
from tests.operator.refusals import ACCEPTED, REFUSALS
from timbre_operator.errors import InvalidManifest
from timbre_operator.voiceservice import from_manifest

_WHOLE_OBJECT = "<nil>"
"""What the API server calls the field of a rule over everything."""


def _manifest(patch: Object) -> Object:
    return in_namespace(AService(merged(a_service().manifest, patch)), "default")


async def _refused(api: Api, manifest: Object) -> ApiError:
    with pytest.raises(ApiError) as refused:
        await api.create(manifest, dryRun="All", fieldValidation="Strict")
    assert (refused.value.status, refused.value.reason) == (422, "Invalid")
    return refused.value


def test_the_table_is_long_enough_to_mean_something() -> None:
    assert len(REFUSALS) >= 30


@pytest.mark.parametrize("mistake", [name for name, refusal in REFUSALS.items() if refusal.rule])
async def test_a_rule_says_what_to_write_in_the_words_of_the_typed_resource(mistake: str, api: Api) -> None:
    manifest = _manifest(REFUSALS[mistake].patch)
    said = set()
    for cause in (await _refused(api, manifest)).causes:
        field = "" if cause["field"] == _WHOLE_OBJECT else f"{cause['field']}: "
        said.add(field + cause["message"].partition("Invalid value: ")[2].rpartition('": ')[2])
    with pytest.raises(InvalidManifest) as here:
        from_manifest(manifest)
    assert said == set(here.value.sentences)


@pytest.mark.parametrize("mistake", [name for name, refusal in REFUSALS.items() if not refusal.rule])
async def test_a_type_or_a_bound_is_refused_with_the_name_of_the_field(mistake: str, api: Api) -> None:
    refused = await _refused(api, _manifest(REFUSALS[mistake].patch))
    assert REFUSALS[mistake].said in refused.message


@pytest.mark.parametrize("border", ACCEPTED)
async def test_what_is_just_right_is_accepted(border: str, api: Api) -> None:
    await api.create(_manifest(ACCEPTED[border]), dryRun="All", fieldValidation="Strict")


async def test_an_unknown_field_is_refused_by_its_path(api: Api) -> None:
    with pytest.raises(ApiError, match=r'unknown field "spec\.batching\.maxSize"'):
        await api.create(_manifest({"spec": {"batching": {"maxSize": 3}}}), dryRun="All", fieldValidation="Strict")
