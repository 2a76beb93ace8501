"""A link holds until its end, for nothing but what it was made for, and tells nobody what that is."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.domain.speech import AudioFormat
from timbre_server.errors import LinkExpired, LinkRefused
from timbre_server.ports import ResultName, VoiceIdentity
from timbre_server.resultcache.link_sealing import LinkKeys
from timbre_server.service.cached_speech import LinkedSpeech, Recall, mark_of
from timbre_server.service.links import SpeechLinks

NOW = 1_800_000_000
NAME = ResultName("ab" * 32, "cd" * 32)
ADA = VoiceIdentity(digest="cd" * 32, generation=3)
RECALL = Recall("tenant", "voice_ada-lovelace", mark_of(ADA), NAME)
CIPHER, STRANGER = LinkKeys([b"k" * 32]), LinkKeys([b"s" * 32])


def links(cipher: LinkKeys = CIPHER, now: float = NOW) -> SpeechLinks:
    return SpeechLinks(cipher, 60, lambda: now)


def read(link: str, by: SpeechLinks) -> LinkedSpeech:
    parts = urlsplit(link)
    query = parse_qs(parts.query)
    return by.read(parts.path, expires=query["expires"][0], signature=query["signature"][0])


def a_link(by: SpeechLinks | None = None, recall: Recall = RECALL) -> str:
    return (by or links()).link(recall, NAME, AudioFormat.MP3)


@pytest.mark.parametrize("audio_format", list(AudioFormat))
def test_a_link_leads_to_what_it_was_made_for(audio_format: AudioFormat) -> None:
    linked = read(links().link(RECALL, NAME, audio_format), links())
    assert (linked.tenant, linked.voice, linked.name) == (RECALL.tenant, RECALL.voice, NAME)
    assert linked.audio_format is audio_format
    assert linked.mark == RECALL.mark


def test_a_built_in_voice_has_a_link_too() -> None:
    recall = Recall("tenant", None, mark_of(VoiceIdentity(preset="alloy")), NAME)
    assert read(a_link(recall=recall), links()).voice is None


def test_equal_links_are_equal_and_those_of_two_voices_share_nothing_that_shows() -> None:
    assert a_link() == a_link()
    other = Recall("tenant", "voice_bob", mark_of(ADA), NAME)
    shown = [urlsplit(a_link(recall=recall)).path.rpartition("/")[2] for recall in (RECALL, other)]
    assert sum(one == two for one, two in zip(*shown, strict=False)) < 20


@pytest.mark.parametrize("told", [b"ada", b"tenant", bytes.fromhex(NAME.key), NAME.key.encode(), NAME.digest.encode()])
def test_nothing_of_it_can_be_read_from_the_link(told: bytes) -> None:
    path = urlsplit(a_link()).path
    hidden = path.rpartition("/")[2].partition(".")[0]
    assert told not in path.encode()
    assert told not in base64.urlsafe_b64decode(hidden + "=" * (-len(hidden) % 4))


def test_it_holds_until_its_end() -> None:
    assert read(a_link(), links(now=NOW + 59.9)).voice == RECALL.voice
    with pytest.raises(LinkExpired):
        read(a_link(), links(now=NOW + 60))


@given(st.integers(0, 1000), st.sampled_from("abcXYZ019_-.&=/?"))
def test_a_changed_link_is_refused(place: int, character: str) -> None:
    link = a_link()
    at = len("/v1/audio/speech/results/") + place % (len(link) - len("/v1/audio/speech/results/"))
    changed = link[:at] + character + link[at + 1 :]
    query = parse_qs(urlsplit(changed).query)
    if changed == link or set(query) != {"expires", "signature"}:
        return
    with pytest.raises(LinkRefused):
        read(changed, links())


@pytest.mark.parametrize("expires", ["", "-1", "1e9", "9" * 13, "\u0661"])
def test_an_end_that_is_no_time_is_refused(expires: str) -> None:
    with pytest.raises(LinkRefused):
        links().read(urlsplit(a_link()).path, expires=expires, signature="0" * 64)


def test_a_signature_that_is_no_text_is_refused() -> None:
    with pytest.raises(LinkRefused):
        links().read(urlsplit(a_link()).path, expires=str(NOW + 60), signature="\u00e9" * 64)


def test_a_link_of_another_service_is_refused() -> None:
    with pytest.raises(LinkRefused):
        read(a_link(links(STRANGER)), links())


@pytest.mark.parametrize("name", ["signature", "path"])
def test_another_spelling_of_the_same_bytes_is_another_link(name: str) -> None:
    path, _, query = a_link().partition("?")
    expires, _, signature = query.partition("&signature=")
    if name == "signature":
        signature += "%"  # which the decoder of base64 passes over
    else:
        path = path.replace("results/", "results/%")
    with pytest.raises(LinkRefused):
        links().read(path, expires=expires.removeprefix("expires="), signature=signature)


def test_what_a_proxy_logs_of_the_path_tells_no_two_uses_of_one_speech_apart_or_together() -> None:
    early, late = (urlsplit(a_link(links(now=now))).path.rpartition("/")[2] for now in (NOW, NOW + 1))
    assert sum(one == two for one, two in zip(early, late, strict=True)) < 20


def test_a_link_says_beside_its_secret_when_it_ends() -> None:
    parts = urlsplit(a_link())
    assert parse_qs(parts.query)["expires"] == [str(NOW + 60)]
    assert parts.path.startswith("/v1/audio/speech/results/")
    assert parts.path.endswith(".mp3")


@pytest.mark.parametrize(
    "change", [{"digest": "ef" * 32}, {"generation": 4}, {"transcript": "b"}, {"preset": "x"}], ids=str
)
def test_a_voice_that_has_changed_has_another_mark(change: dict[str, Any]) -> None:
    assert mark_of(replace(ADA, **change)) != mark_of(ADA)
