"""No two different extractions share a key."""

import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.audio.sounds import RATE_HZ, voice
from tests.server.voicecache.descriptors import DESCRIPTOR
from timbre_contract.keys import ServiceKeys
from timbre_server.audio.decoding import RecordingDecoder
from timbre_server.audio.encoding import encode
from timbre_server.domain.speech import AudioFormat
from timbre_server.domain.voice import VoiceRecord
from timbre_server.ports import EngineDescriptor, TensorSpec
from timbre_server.telemetry.metrics import Metrics
from timbre_server.voicecache import FeatureKeys
from timbre_server.voicecache.codec import CorruptFeatures
from timbre_server.voicecache.codec import decode as decode_features
from timbre_server.voicecache.codec import encode as encode_features
from timbre_server.voicecache.storage import HostStorage
from timbre_server.voicecache.tier import Tier


def feature_key(descriptor: EngineDescriptor, digest: str, transcript: str = "") -> str:
    """A key by itself."""
    return FeatureKeys(descriptor)(digest, transcript)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"model_id": "other"},
        {"revision": "2"},
        {"encoder_id": "other"},
        {"encoder_config_hash": "beef"},
        {"feature_spec": {"embedding": TensorSpec("float16", (256,))}},
        {"feature_spec": {"embedding": TensorSpec("float32", (None,))}},
        {"feature_spec": {"vector": TensorSpec("float32", (256,))}},
    ],
    ids=str,
)
def test_whatever_changes_an_extraction_changes_the_key(change: dict[str, Any]) -> None:
    assert feature_key(replace(DESCRIPTOR, **change), "d1") != feature_key(DESCRIPTOR, "d1")


def test_another_recording_has_another_key() -> None:
    assert feature_key(DESCRIPTOR, "d1") != feature_key(DESCRIPTOR, "d2")


def test_parts_cannot_run_into_each_other() -> None:
    one = replace(DESCRIPTOR, model_id="ab", revision="c")
    other = replace(DESCRIPTOR, model_id="a", revision="bc")
    assert feature_key(one, "d1") != feature_key(other, "d1")


def test_the_transcript_counts_only_where_the_encoder_uses_it() -> None:
    assert feature_key(DESCRIPTOR, "d1", "hello") == feature_key(DESCRIPTOR, "d1")
    reading = replace(DESCRIPTOR, uses_transcript=True)
    assert feature_key(reading, "d1", "hello") != feature_key(reading, "d1", "world")
    assert feature_key(reading, "d1", " hello\n world") == feature_key(reading, "d1", "hello world")


def test_the_key_is_golden() -> None:
    """Changes only together with ``SCHEMA_VERSION``: every cached voice of every user hangs on it."""
    assert feature_key(DESCRIPTOR, "d1") == "d3b8a0ddf717b426d2902f2985b569b6eb95b75a9e1c95feb018a96792ca0177"


def test_transcripts_are_compared_as_they_read() -> None:
    reading = replace(DESCRIPTOR, uses_transcript=True)
    composed, decomposed = "caf\u00e9 au lait", "cafe\u0301 au\u00a0\u2003lait\n"
    assert composed != decomposed
    assert feature_key(reading, "d1", composed) == feature_key(reading, "d1", decomposed)
    assert feature_key(reading, "d1", composed) != feature_key(reading, "d1", composed.upper())
    assert feature_key(reading, "d1", "a b") != feature_key(reading, "d1", "ab")
    assert feature_key(reading, "d1", "\ufb01n") != feature_key(reading, "d1", "fin")


def test_where_features_lie_does_not_change_them() -> None:
    assert feature_key(replace(DESCRIPTOR, device="cuda:0"), "d1") == feature_key(DESCRIPTOR, "d1")


WORDS = st.text(st.characters(codec=None), max_size=4)
SPECS = st.dictionaries(
    WORDS,
    st.builds(
        TensorSpec,
        st.sampled_from(["float32", "float16"]),
        st.lists(st.none() | st.integers(0, 11), max_size=2).map(tuple),
    ),
    max_size=2,
)
PARTS = st.fixed_dictionaries(
    {
        "name": WORDS,
        "model_id": WORDS,
        "revision": WORDS,
        "encoder_id": WORDS,
        "encoder_config_hash": WORDS,
        "feature_spec": SPECS,
        "uses_transcript": st.booleans(),
    }
)


def read(transcript: str) -> str:
    """What two transcripts have in common that count as equal."""
    return " ".join(unicodedata.normalize("NFC", transcript).split())


INPUTS = st.tuples(PARTS, WORDS, WORDS)
"""An encoder, the digest of a recording, and what is said in it."""


@given(INPUTS, INPUTS)
def test_different_parts_never_share_a_key(one: tuple[Any, str, str], other: tuple[Any, str, str]) -> None:
    def parts(values: dict[str, Any], digest: str, transcript: str) -> list[Any]:
        kept = {name: value for name, value in values.items() if name != "uses_transcript"}
        return [kept, digest, read(transcript) if values["uses_transcript"] else ""]

    def key(values: dict[str, Any], digest: str, transcript: str) -> str:
        return feature_key(replace(DESCRIPTOR, **values), digest, transcript)

    assert (key(*one) == key(*other)) == (parts(*one) == parts(*other))


@given(PARTS, WORDS, st.sampled_from(["name", "model_id", "revision", "encoder_id", "encoder_config_hash"]), WORDS)
def test_one_part_more_or_less_is_another_key(values: dict[str, Any], digest: str, part: str, word: str) -> None:
    changed = {**values, part: values[part] + word}
    equal = feature_key(replace(DESCRIPTOR, **values), digest) == feature_key(replace(DESCRIPTOR, **changed), digest)
    assert equal == (word == "")


def test_halves_of_a_character_are_not_the_character() -> None:
    assert feature_key(DESCRIPTOR, "\ud83d\ude00") != feature_key(DESCRIPTOR, "\U0001f600")


class TestAdversarial:
    """What made other servers speak with a stranger's voice."""

    TAKE: ClassVar = voice(1.0)

    async def digest(self, recording: bytes) -> str:
        return (await RecordingDecoder().decode(recording)).digest

    async def test_wav_and_flac_of_one_take_share_one_entry(self) -> None:
        tier = Tier("host", HostStorage(10_000), capacity_bytes=10_000, observer=Metrics())
        digests = [await self.digest(encode(self.TAKE, RATE_HZ, form)) for form in (AudioFormat.WAV, AudioFormat.FLAC)]
        lease = tier.put(feature_key(DESCRIPTOR, digests[0]), digests[0], {"embedding": np.zeros(256, np.float32)})
        assert lease
        again = tier.get(feature_key(DESCRIPTOR, digests[1]))
        assert again
        assert again.features is lease.features
        assert tier.entries == 1

    async def test_equal_heads_tails_and_lengths_are_not_equal_takes(self) -> None:
        recording = encode(self.TAKE, RATE_HZ, AudioFormat.WAV)
        middle = len(recording) // 4 * 2
        other = recording[:middle] + bytes([recording[middle] ^ 1]) + recording[middle + 1 :]
        assert len(other) == len(recording)
        keys = {feature_key(DESCRIPTOR, await self.digest(take), "Equal words.") for take in (recording, other)}
        assert len(keys) == 2

    async def test_a_file_that_was_replaced_under_its_path_is_another_take(self, tmp_path: Path) -> None:
        path, keys = tmp_path / "narrator.wav", set()
        for take in (self.TAKE, self.TAKE * 0.5):
            path.write_bytes(encode(take, RATE_HZ, AudioFormat.WAV))
            keys.add(feature_key(DESCRIPTOR, await self.digest(path.read_bytes())))
        assert len(keys) == 2

    def test_voices_of_one_name_with_other_recordings_do_not_meet(self) -> None:
        records = [
            VoiceRecord(f"voice_{number}", "tenant", "Narrator", 1, digest, 0, 0, "Equal words.")
            for number, digest in enumerate(("d1", "d2"))
        ]
        assert len({feature_key(DESCRIPTOR, record.digest, record.transcript) for record in records}) == 2

    @pytest.mark.parametrize(
        "upgrade", [{"revision": "2"}, {"encoder_config_hash": "beef"}, {"model_id": "other"}], ids=str
    )
    def test_an_upgraded_model_never_gets_an_old_tensor(self, upgrade: dict[str, Any]) -> None:
        features = {"embedding": np.zeros(256, np.float32)}
        upgraded = replace(DESCRIPTOR, **upgrade)
        old_key, new_key = feature_key(DESCRIPTOR, "d1"), feature_key(upgraded, "d1")
        tier = Tier("host", HostStorage(10_000), capacity_bytes=10_000, observer=Metrics())
        assert tier.put(old_key, "d1", features)
        assert tier.get(new_key) is None
        # Even if the old blob lay under the new key in Redis.
        blob = encode_features(features, key=old_key)
        with pytest.raises(CorruptFeatures):
            decode_features(blob, key=new_key, spec=upgraded.feature_spec)

    def test_equal_names_in_two_scopes_never_meet(self) -> None:
        one, other = ServiceKeys("team-a.narrator"), ServiceKeys("team-b.narrator")
        assert one.features("d1") != other.features("d1")
        assert one.lease("d1") != other.lease("d1")
        assert one.voice("tenant", "voice_1") != other.voice("tenant", "voice_1")
