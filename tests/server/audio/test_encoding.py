from __future__ import annotations

import gc
import io
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np
import pytest
import soxr
from av.container import OutputContainer
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.audio.sounds import RATE_HZ, heard, lag_samples, pieces, snr_db, tone, voice
from timbre_server.audio.encoding import CONTENT_TYPES, encode, open_encoder
from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import AudioFormat
from timbre_server.errors import EncodingError

FILES = [audio_format for audio_format in AudioFormat if audio_format is not AudioFormat.PCM]
SPEECH = voice(3.1)

# Samples at 24 kHz: silence before the speech, one frame of the codec.  The module's table.
LEAD = {AudioFormat.MP3: 529, AudioFormat.AAC: 1024}
FRAME = {AudioFormat.MP3: 576, AudioFormat.AAC: 1024}

# How far a decoder's error lies below the speech: measured (20.9, 26.0, 19.7) less 3 dB.
LEAST_SNR_DB = {AudioFormat.OPUS: 17.9, AudioFormat.MP3: 23.0, AudioFormat.AAC: 16.7}


def stream(audio_format: AudioFormat, samples: Samples, rate_hz: int = RATE_HZ, sizes: tuple[int, ...] = ()) -> bytes:
    encoder = open_encoder(audio_format, rate_hz)
    return b"".join([encoder.write(piece) for piece in pieces(samples, sizes)] + [encoder.finish()])


def as_played(data: bytes) -> Samples:
    played = heard(data)
    resampled: Samples = soxr.resample(played.samples, played.rate_hz, RATE_HZ)
    return resampled


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("audio_format", [f for f in FILES if f is not AudioFormat.WAV])
def test_a_dropped_encoder_leaves_nothing_to_the_garbage_collector(audio_format: AudioFormat) -> None:
    encoder = open_encoder(audio_format, RATE_HZ)
    encoder.write(SPEECH)
    del encoder
    assert not [found for found in gc.get_objects() if isinstance(found, OutputContainer)]


def test_every_format_has_a_content_type() -> None:
    assert set(CONTENT_TYPES) == set(AudioFormat)
    assert CONTENT_TYPES[AudioFormat.OPUS] == "audio/ogg"


@pytest.mark.parametrize("audio_format", FILES)
def test_streamed_file_lasts_as_long_as_the_speech_and_starts_with_it(audio_format: AudioFormat) -> None:
    played = as_played(stream(audio_format, SPEECH, sizes=(4_800,) * 20))
    lead, frame = LEAD.get(audio_format, 0), FRAME.get(audio_format, 1)
    assert lag_samples(played, SPEECH) == lead
    assert 0 <= len(played) - len(SPEECH) - lead < frame


@pytest.mark.parametrize("audio_format", [f for f in FILES if f is not AudioFormat.AAC])
def test_whole_file_has_neither_lead_nor_tail(audio_format: AudioFormat) -> None:
    played = as_played(encode(SPEECH, RATE_HZ, audio_format))
    assert len(played) == len(SPEECH)
    assert lag_samples(played, SPEECH) == 0


def test_whole_aac_has_the_lead_that_its_container_cannot_tell() -> None:
    played = as_played(encode(SPEECH, RATE_HZ, AudioFormat.AAC))
    assert lag_samples(played, SPEECH) == LEAD[AudioFormat.AAC]


@pytest.mark.parametrize("audio_format", FILES)
@pytest.mark.parametrize("whole", [True, False])
def test_speech_is_heard_as_it_was(audio_format: AudioFormat, *, whole: bool) -> None:
    played = as_played(encode(SPEECH, RATE_HZ, audio_format) if whole else stream(audio_format, SPEECH))
    start = lag_samples(played, SPEECH)
    decoded = played[start : start + len(SPEECH)]
    assert snr_db(decoded, SPEECH) > LEAST_SNR_DB.get(audio_format, 70.0)
    assert np.std(decoded) == pytest.approx(np.std(SPEECH), rel=0.06)  # 0.5 dB: LAME scales by 0.95 against clipping


@pytest.mark.parametrize("audio_format", FILES)
def test_the_last_and_the_first_sound_are_whole(audio_format: AudioFormat) -> None:
    # Loud from the first sample to the last one: whatever is cut off or damped at an edge is heard.
    loud = tone(440, 1.0)
    played = as_played(stream(audio_format, loud, sizes=(1_000,) * 5))
    start = LEAD.get(audio_format, 0)
    edge = RATE_HZ // 20
    for where in (slice(0, edge), slice(len(loud) - edge, len(loud))):
        decoded = played[start : start + len(loud)][where]
        assert snr_db(decoded, loud[where]) > 10


@pytest.mark.parametrize("audio_format", FILES)
def test_first_200_ms_of_speech_give_audible_bytes(audio_format: AudioFormat) -> None:
    first = open_encoder(audio_format, RATE_HZ).write(SPEECH[: RATE_HZ // 5])
    assert heard(first).seconds > 0.09


@pytest.mark.parametrize("audio_format", AudioFormat)
@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.integers(0, 9_000), max_size=12))
def test_the_size_of_the_pieces_changes_no_byte(audio_format: AudioFormat, sizes: list[int]) -> None:
    assert stream(audio_format, SPEECH[:20_000], sizes=tuple(sizes)) == stream(audio_format, SPEECH[:20_000])


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("audio_format", FILES)
def test_every_engine_rate_gives_the_right_length_and_pitch(audio_format: AudioFormat, rate_hz: int) -> None:
    played = as_played(stream(audio_format, tone(440, 1.5, rate_hz), rate_hz))
    # Lead and tail together, at most two AAC frames of 64 ms at 16 kHz.
    assert 1.499 <= len(played) / RATE_HZ <= 1.63
    spectrum = np.abs(np.fft.rfft(played[6_000:30_000]))
    assert np.argmax(spectrum) == 440


@pytest.mark.parametrize("rate_hz", [22_050, 24_000, 44_100])
def test_pcm_is_24_khz_whatever_the_engine_speaks(rate_hz: int) -> None:
    values = np.frombuffer(stream(AudioFormat.PCM, tone(440, 1.0, rate_hz), rate_hz, (3_000,) * 4), dtype="<i2")
    assert abs(len(values) - 24_000) <= 1
    assert np.argmax(np.abs(np.fft.rfft(values.astype(float), 24_000))) == 440


def test_whole_wav_has_true_lengths() -> None:
    data = encode(SPEECH, RATE_HZ, AudioFormat.WAV)
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnframes(), file.getframerate(), file.getnchannels()) == (len(SPEECH), RATE_HZ, 1)


def test_streamed_wav_says_that_its_length_is_unknown() -> None:
    data = stream(AudioFormat.WAV, SPEECH)
    assert data[4:8] == data[40:44] == b"\xff\xff\xff\xff"
    assert data[44:] == stream(AudioFormat.PCM, SPEECH)


def test_whole_flac_tells_its_length_and_a_streamed_one_does_not() -> None:
    def told(data: bytes) -> int | None:
        with av.open(io.BytesIO(data)) as container:
            return container.streams.audio[0].duration

    assert told(encode(SPEECH, RATE_HZ, AudioFormat.FLAC)) == len(SPEECH)
    assert told(stream(AudioFormat.FLAC, SPEECH)) is None


def test_streamed_mp3_is_of_equal_frames_without_a_header_that_lies() -> None:
    data = stream(AudioFormat.MP3, SPEECH)
    # 576 samples at 64 kbit/s and 24 kHz are 192 bytes; each frame begins with the sync word of MPEG-2 layer III.
    assert len(data) % 192 == 0
    assert {data[at : at + 2] for at in range(0, len(data), 192)} == {b"\xff\xf3"}
    assert b"Xing" not in data
    assert b"Info" not in data


@pytest.mark.parametrize("audio_format", AudioFormat)
def test_too_loud_samples_stay_at_full_scale_and_never_wrap(audio_format: AudioFormat) -> None:
    data = encode(2.0 * tone(100, 0.5, level=1.0), RATE_HZ, audio_format)
    if audio_format is AudioFormat.PCM:
        played = np.frombuffer(data, dtype="<i2") / 32768.0
    else:
        played = as_played(data)[LEAD[audio_format] if audio_format is AudioFormat.AAC else 0 :]
    # A wrapped sample would jump by two full scales within the flat top of a half wave, 30 to 90 of 120 samples.
    assert played[30:90].min() > 0.8
    assert np.std(played) < 1.0  # 0.9 for a sine cut off at half its height, 1.4 for the whole one


@pytest.mark.parametrize("audio_format", AudioFormat)
@pytest.mark.parametrize(
    "broken",
    [
        np.array([0.1, np.nan], dtype=np.float32),
        np.array([np.inf], dtype=np.float32),
        np.zeros((2, 5), dtype=np.float32),
    ],
    ids=["nan", "inf", "two-dimensional"],
)
def test_what_is_no_row_of_numbers_is_an_encoding_error(audio_format: AudioFormat, broken: Samples) -> None:
    with pytest.raises(EncodingError):
        open_encoder(audio_format, RATE_HZ).write(broken)


def test_a_rate_that_no_file_can_have_is_an_encoding_error() -> None:
    with pytest.raises(EncodingError):
        open_encoder(AudioFormat.FLAC, 10_000_000)


@pytest.mark.parametrize("audio_format", AudioFormat)
def test_no_speech_at_all_is_no_error(audio_format: AudioFormat) -> None:
    assert len(stream(audio_format, SPEECH[:0])) < 200
    assert len(encode(SPEECH[:0], RATE_HZ, audio_format)) < 200


@pytest.mark.parametrize("audio_format", AudioFormat)
def test_encoders_in_many_threads_do_not_know_of_each_other(audio_format: AudioFormat) -> None:
    expected = stream(audio_format, SPEECH[:12_000])
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: stream(audio_format, SPEECH[:12_000], sizes=(1_700,) * 5), range(8)))
    assert made == [expected] * 8
