"""Who speaks: presets, enrolled voices, one-off references."""

from __future__ import annotations

import pytest

from tests.server.service.parts import HER_VOICE, HIS_VOICE, Parts, recorded
from timbre_server.audio.decoding import RecordingDecoder
from timbre_server.domain.voice import Reference
from timbre_server.errors import ConsentRequired, MissingField, VoiceNotFound
from timbre_server.ports import FeatureName
from timbre_server.service.admission import Admission
from timbre_server.service.casting import Casting, OneOffReference
from timbre_server.service.recordings import RecordingIntake
from timbre_server.service.voices import VoiceUpload


def casting(parts: Parts, *, require_consent: bool = False) -> Casting:
    intake = RecordingIntake(RecordingDecoder(), min_voiced_seconds=3.0)
    return Casting(
        engine=parts.engine,
        store=parts.store,
        features=parts.features,
        intake=intake,
        require_consent=require_consent,
    )


async def test_a_preset_is_one_object_for_all_requests_so_that_they_may_share_a_batch(parts: Parts) -> None:
    admission = Admission(parts.dispatcher, 1.0)
    cast = casting(parts)
    first, second = [await (await cast.role("t", "alloy", None))(admission) for _ in range(2)]
    assert first.features is second.features
    assert first.source == "host"
    admission.release()


async def test_a_one_off_reference_goes_before_the_named_voice(parts: Parts) -> None:
    admission = Admission(parts.dispatcher, 1.0)
    role = await casting(parts).role("t", "nobody", OneOffReference(recorded(HIS_VOICE)))
    assert (await role(admission)).source == "extracted"
    admission.release()


async def test_a_one_off_reference_is_never_stored(parts: Parts) -> None:
    admission = Admission(parts.dispatcher, 1.0)
    await (await casting(parts).role("t", None, OneOffReference(recorded(HIS_VOICE))))(admission)
    assert parts.store.stored_bytes == 0
    admission.release()


@pytest.mark.parametrize("voice", ["", "Alloy", "nobody", "voice_", "voice_nobody", "../alloy"])
async def test_an_unknown_voice_is_refused_with_those_that_exist(parts: Parts, voice: str) -> None:
    with pytest.raises(VoiceNotFound, match="alloy, ash") as caught:
        await casting(parts).role("t", voice, None)
    assert caught.value.param == "voice"


async def test_no_voice_at_all_is_refused(parts: Parts) -> None:
    with pytest.raises(MissingField) as caught:
        await casting(parts).role("t", None, None)
    assert caught.value.param == "voice"


async def test_where_consent_is_required_nobody_is_cloned_without(parts: Parts) -> None:
    with pytest.raises(ConsentRequired):
        await casting(parts, require_consent=True).role("t", "alloy", OneOffReference(recorded(HIS_VOICE)))


async def test_a_voice_that_is_replaced_while_it_is_cast_speaks_with_its_new_recording(parts: Parts) -> None:
    voice = await parts.voices.enrol("t", "x", VoiceUpload(recorded(HIS_VOICE)))
    parts.features.forget(voice.digest)  # as if another pod had extracted it
    admission = Admission(parts.dispatcher, 1.0)
    role = await casting(parts).role("t", voice.id, None)
    after = await parts.voices.replace("t", voice.id, VoiceUpload(recorded(HER_VOICE)))
    found = await role(admission)
    assert (await parts.features.features(FeatureName(after.digest), _no_load)).features is found.features
    admission.release()


async def test_a_voice_that_is_deleted_while_it_is_cast_is_not_found(parts: Parts) -> None:
    voice = await parts.voices.enrol("t", "x", VoiceUpload(recorded(HIS_VOICE)))
    admission = Admission(parts.dispatcher, 1.0)
    role = await casting(parts).role("t", voice.id, None)
    await parts.voices.delete("t", voice.id)
    with pytest.raises(VoiceNotFound):
        await role(admission)
    admission.release()


async def _no_load() -> Reference:
    raise AssertionError("it was extracted when it was enrolled")
