"""Consents: recorded, kept, renamed, erased."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.server.service.parts import HIS_VOICE, NOW, Parts, recorded, verifier
from timbre_server.audio.flac import from_flac
from timbre_server.errors import AudioUnreadable, ConsentMismatch, ConsentNotFound, InvalidValue

TENANT = "tenant"


async def test_a_consent_keeps_the_recording_and_its_speaker(parts: Parts) -> None:
    consent = await parts.consents.add(TENANT, "his", "en-US", recorded(HIS_VOICE))
    assert (consent.id, consent.name, consent.language, consent.created_at) == ("cons_0001", "his", "en-US", int(NOW))
    embedding = np.frombuffer(consent.speaker_embedding, "<f4")
    np.testing.assert_allclose(embedding, verifier().embed(from_flac(consent.recording_flac)), atol=1e-4)


@pytest.mark.parametrize("language", ["", "e", "en_US", "english!", "en-", "toolonglanguage"])
async def test_a_language_is_a_tag(parts: Parts, language: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        await parts.consents.add(TENANT, "x", language, recorded(HIS_VOICE))
    assert caught.value.param == "language"


async def test_a_recording_that_cannot_serve_is_refused_by_its_field(parts: Parts) -> None:
    with pytest.raises(AudioUnreadable) as caught:
        await parts.consents.add(TENANT, "x", "en", b"no audio")
    assert caught.value.param == "recording"


async def test_a_name_can_be_changed_and_must_stay_one(parts: Parts) -> None:
    consent = await parts.consents.add(TENANT, "his", "en", recorded(HIS_VOICE))
    assert (await parts.consents.rename(TENANT, consent.id, " other ")).name == "other"
    with pytest.raises(InvalidValue):
        await parts.consents.rename(TENANT, consent.id, "")
    assert (await parts.consents.consent(TENANT, consent.id)).name == "other"


async def test_what_is_erased_or_anothers_is_not_found(parts: Parts) -> None:
    consent = await parts.consents.add(TENANT, "his", "en", recorded(HIS_VOICE))
    with pytest.raises(ConsentNotFound):
        await parts.consents.delete("other", consent.id)
    await parts.consents.delete(TENANT, consent.id)
    with pytest.raises(ConsentNotFound):
        await parts.consents.consent(TENANT, consent.id)
    with pytest.raises(ConsentNotFound) as caught:
        await parts.consents.page(TENANT, after=consent.id, limit=10)
    assert caught.value.param == "after"


@pytest.mark.parametrize(
    "embedding", [b"", b"abc", bytes(8), np.full(256, np.nan, "<f4").tobytes()], ids=["none", "odd", "short", "nan"]
)
async def test_a_consent_of_nobody_is_like_nobody(parts: Parts, embedding: bytes) -> None:
    """As an import may restore it from a file that somebody changed."""
    consent = await parts.consents.add(TENANT, "his", "en", recorded(HIS_VOICE))
    his = from_flac(consent.recording_flac)
    await parts.consents.match(consent, his)
    with pytest.raises(ConsentMismatch):
        await parts.consents.match(replace(consent, speaker_embedding=embedding), his)
