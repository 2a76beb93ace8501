"""A link holds until its end, for nothing but what it was made for, and tells nobody what that is."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.domain.speech import AudioFormat
from timbre_server.errors import ConfigurationError, LinkExpired, LinkRefused
from timbre_server.ports import ResultName, VoiceIdentity
from timbre_server.service.cached_speech import LinkedSpeech, Recall
from timbre_server.service.links import LinkKey, SpeechLinks, keys_from_file

NOW = 1_800_000_000
NAME = ResultName("ab" * 32, "cd" * 32)
ADA = VoiceIdentity(digest="cd" * 32, generation=3)
RECALL = Recall("tenant", "voice_ada-lovelace", ADA, NAME)
OLD, NEW = LinkKey(b"o" * 32), LinkKey(b"n" * 32)


def links(*keys: LinkKey, now: float = NOW) -> SpeechLinks:
    return SpeechLinks(list(keys or (NEW,)), 60, lambda: now)


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
    assert linked.is_of(ADA)
    assert not linked.is_of(VoiceIdentity(digest=ADA.digest, generation=4))
    assert not linked.is_of(VoiceIdentity(digest="ef" * 32, generation=3))


def test_a_built_in_voice_has_a_link_too() -> None:
    recall = Recall("tenant", None, VoiceIdentity(preset="alloy"), NAME)
    assert read(a_link(recall=recall), links()).voice is None


def test_equal_links_are_equal_and_those_of_two_voices_share_nothing_that_shows() -> None:
    assert a_link() == a_link()
    other = Recall("tenant", "voice_bob", ADA, NAME)
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


def test_the_first_key_signs_and_all_are_good() -> None:
    assert read(a_link(links(OLD)), links(NEW, OLD)).voice == RECALL.voice
    assert a_link(links(NEW, OLD)) == a_link(links(NEW))
    with pytest.raises(LinkRefused):
        read(a_link(links(OLD)), links(NEW))


def test_keys_come_from_a_file_one_in_a_line(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(b"\n".join(base64.b64encode(key * 32) for key in (b"n", b"o")) + b"\n\n")
    keys = keys_from_file(file)
    assert a_link(links(*keys)) == a_link(links(NEW))
    assert read(a_link(links(OLD)), links(*keys)).name == NAME


@pytest.mark.parametrize("content", [b"", b"\n", b"not base64!", base64.b64encode(bytes(31)), None], ids=repr)
def test_a_file_without_proper_keys_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="LINK_KEYS_FILE"):
        keys_from_file(file)
