"""Speech in this process: what is asked for stays, what is erased or old is gone, and the budget is never passed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from timbre_server.domain.speech import AudioFormat
from timbre_server.ports import Blob, ResultName
from timbre_server.resultcache.memory import ENTRY_BYTES, ResultMemory
from timbre_server.resultcache.takes import KeptTake, Label

TTL_SECONDS = 100.0
WAV = bytes(1000)
ROOM = len(WAV) + ENTRY_BYTES
"""What one take of these tests needs."""


class Clock:
    """Unix time as the test sets it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def a_memory(entries: float = 4, clock: Clock | None = None) -> ResultMemory:
    return ResultMemory(capacity_bytes=int(entries * ROOM), ttl_seconds=TTL_SECONDS, clock=clock or Clock())


def name(key: str, digest: str = "voice") -> ResultName:
    return ResultName(key, digest)


def take(number: int = 1, created_at: float = 1000.0, wav: bytes = WAV) -> KeptTake:
    return KeptTake(Label(f"{number:016x}", created_at, 24_000), wav)


LABEL = take().label


def put_file(memory: ResultMemory, file: bytes = b"file", *, digest: str = "voice") -> bool:
    return memory.put_encoded(name("a", digest), LABEL, AudioFormat.MP3, file, audio_seconds=1.5)


def found(memory: ResultMemory, audio_format: AudioFormat | None = None) -> tuple[Label, Blob] | None:
    form = memory.get("a", audio_format)
    return form and (form.label, form.content)


def test_what_was_put_is_found_in_that_form_only() -> None:
    memory = a_memory()
    assert memory.put(name("a"), take())
    assert found(memory) == (LABEL, WAV)
    assert memory.get("a", AudioFormat.MP3) is None
    assert memory.get("b") is None


def test_a_file_stands_beside_the_samples() -> None:
    memory = a_memory()
    memory.put(name("a"), take())
    assert put_file(memory)
    assert found(memory, AudioFormat.MP3) == (LABEL, b"file")
    assert found(memory) == (LABEL, WAV)
    assert memory.entries == 1
    memory.check_integrity()


def test_the_form_that_nobody_asks_for_goes_and_the_other_stays() -> None:
    memory = a_memory(2)
    memory.put(name("a"), take())
    put_file(memory)
    memory.get("a", AudioFormat.MP3)
    memory.put(name("b"), take(2))
    assert memory.get("a") is None
    assert found(memory, AudioFormat.MP3) == (LABEL, b"file")
    memory.check_integrity()


def test_what_is_asked_for_again_outlives_a_scan() -> None:
    memory = a_memory(4)
    memory.put(name("wanted"), take())
    for number in range(50):
        memory.get("wanted")
        memory.put(name(f"once {number}"), take(number))
    assert memory.get("wanted") is not None


def test_a_newer_take_replaces_the_older_one_with_all_its_forms() -> None:
    memory = a_memory()
    memory.put(name("a"), take(1))
    put_file(memory, b"old")
    assert memory.put(name("a"), take(2, created_at=1001.0))
    assert memory.get("a", AudioFormat.MP3) is None
    form = memory.get("a")
    assert form is not None
    assert form.label.id == take(2).label.id
    memory.check_integrity()


def test_an_older_take_that_comes_late_replaces_nothing() -> None:
    memory = a_memory()
    memory.put(name("a"), take(2, created_at=1001.0))
    assert not memory.put(name("a"), take(1))
    assert not put_file(memory, b"old")
    assert memory.get("a", AudioFormat.MP3) is None


def test_a_take_ends_a_fixed_time_after_it_was_made_however_often_it_is_heard() -> None:
    clock = Clock()
    memory = a_memory(clock=clock)
    memory.put(name("a"), take())
    clock.now += TTL_SECONDS - 1
    assert memory.get("a") is not None
    clock.now += 1
    assert memory.get("a") is None
    assert memory.held_bytes == 0


def test_what_is_old_is_not_kept_at_all() -> None:
    assert not a_memory().put(name("a"), take(created_at=1000.0 - TTL_SECONDS))


def test_what_nobody_asks_for_is_swept_when_its_time_is_up() -> None:
    clock = Clock()
    memory = a_memory(clock=clock)
    memory.put(name("old"), take(1))
    memory.put(name("young"), take(2, created_at=1010.0))
    memory.put(name("replaced"), take(3))
    memory.put(name("replaced"), take(4, created_at=1010.0))
    clock.now += TTL_SECONDS
    memory.sweep()
    assert memory.entries == 2
    memory.check_integrity()


def test_the_list_of_ends_does_not_grow_with_what_went_before_its_time() -> None:
    memory = a_memory(2)
    for number in range(1000):
        memory.put(name(f"{number}"), take(number))
    assert len(memory._ends) < 100


def test_erasing_a_recording_takes_all_its_speech_and_nobody_elses() -> None:
    memory = a_memory(8)
    memory.put(name("a", "one"), take(1))
    put_file(memory, digest="one")
    memory.put(name("b", "one"), take(2))
    memory.put(name("c", "two"), take(3))
    assert memory.forget("one") == 2
    assert memory.get("a") is None
    assert memory.get("a", AudioFormat.MP3) is None
    assert memory.get("c") is not None
    assert memory.forget("one") == 0
    memory.check_integrity()


def test_what_has_no_room_at_all_is_not_kept_and_pushes_nobody_out() -> None:
    memory = a_memory(2)
    memory.put(name("a"), take(1))
    assert not memory.put(name("b"), take(2, wav=bytes(2 * ROOM)))
    assert memory.get("a") is not None


def test_without_room_nothing_is_kept() -> None:
    memory = a_memory(0)
    assert not memory.put(name("a"), take())
    memory.check_integrity()


@given(st.integers(1, 20))
def test_no_more_is_held_than_there_is_room_for(entries: int) -> None:
    memory = a_memory(entries)
    for number in range(30):
        memory.put(name(f"{number}"), take(number))
    assert memory.entries == min(30, entries)
    memory.check_integrity()


class Whatever(RuleBasedStateMachine):
    """Any order of calls: what is found is what was put last and not erased, and the counts are those of the entries."""

    KEYS = st.sampled_from("abcde")
    FORMATS = st.sampled_from([None, AudioFormat.MP3, AudioFormat.OPUS])

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.memory = a_memory(3, self.clock)
        self.newest: dict[str, Label] = {}

    @rule(key=KEYS, size=st.integers(1, 3000), older=st.floats(0, 150))
    def put(self, key: str, size: int, older: float) -> None:
        made = take(size, created_at=self.clock.now - older, wav=bytes(size))
        if self.memory.put(name(key, "one" if key < "c" else "two"), made):
            self.newest[key] = made.label

    @rule(key=KEYS, audio_format=FORMATS)
    def put_encoded(self, key: str, audio_format: AudioFormat | None) -> None:
        if audio_format is not None and key in self.newest:
            label = self.newest[key]
            voice = name(key, "one" if key < "c" else "two")
            self.memory.put_encoded(voice, label, audio_format, label.id.encode(), audio_seconds=1.5)

    @rule(key=KEYS, audio_format=FORMATS)
    def get(self, key: str, audio_format: AudioFormat | None) -> None:
        form = self.memory.get(key, audio_format)
        if form is not None:
            assert form.label == self.newest[key]
            assert self.clock.now < form.label.created_at + TTL_SECONDS
            assert audio_format is None or form.content == form.label.id.encode()

    @rule(digest=st.sampled_from(["one", "two"]))
    def forget(self, digest: str) -> None:
        self.memory.forget(digest)
        for key in [key for key in self.newest if (key < "c") == (digest == "one")]:
            del self.newest[key]

    @rule(seconds=st.floats(0, 60))
    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.memory.sweep()

    @invariant()
    def counts_are_right(self) -> None:
        self.memory.check_integrity()


TestWhatever = Whatever.TestCase


def test_the_latest_take_of_a_likeness_is_known_until_it_goes() -> None:
    memory = a_memory()
    one, other = ResultName("a", "voice", "like"), ResultName("b", "voice", "like")
    memory.put(one, take(1))
    memory.put(other, take(2))
    assert memory.alike("like") == other
    assert memory.alike("") is None
    memory.drop("b")
    assert memory.alike("like") is None
    memory.put(one, take(3, created_at=1001.0))
    assert memory.alike("like") == one
    memory.forget("voice")
    assert memory.alike("like") is None
    memory.check_integrity()
