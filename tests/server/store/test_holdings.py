"""Is nothing kept that a change has overtaken?"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from tests.server.store.pods import ADA, GRACE, a_voice
from timbre_server.domain.voice import VoiceRecord
from timbre_server.ports import VoiceName
from timbre_server.store.holdings import Flight, Holdings, version_of
from timbre_server.store.redis_voices import GONE, Gone, VoiceVersion


def holding(*names: VoiceName, max_recording_bytes: int = 100, max_records: int = 10) -> Holdings:
    holdings = Holdings(max_recording_bytes, max_records)
    for name in names:
        with holdings.flight(name) as flight:
            assert holdings.keep(flight, a_voice(name))
    return holdings


def test_a_fetched_record_is_held() -> None:
    assert holding(ADA).use(ADA) == a_voice()


def test_a_change_drops_another_version_and_keeps_the_same() -> None:
    holdings = holding(ADA)
    assert holdings.changed(ADA, VoiceVersion(1, "first")) is None
    assert holdings.use(ADA) is not None
    assert holdings.changed(ADA, VoiceVersion(2, "second")) == a_voice()
    assert holdings.use(ADA) is None


def test_a_lower_generation_in_the_log_is_cause_for_doubt_until_the_registry_confirms() -> None:
    holdings = Holdings(100)
    with holdings.flight(ADA) as flight:
        holdings.keep(flight, replace(a_voice(digest="second"), generation=2))
    holdings.changed(ADA, VoiceVersion(1, "first"))
    assert holdings.look(ADA) is not None
    assert holdings.doubted(ADA)
    holdings.confirm(ADA)
    assert not holdings.doubted(ADA)


def test_answers_that_overtake_each_other_leave_the_highest_generation() -> None:
    holdings = Holdings(100)
    with holdings.flight(ADA) as first, holdings.flight(ADA) as second:
        assert holdings.keep(second, replace(a_voice(digest="second"), generation=2))
        assert not holdings.keep(first, a_voice())
    held = holdings.look(ADA)
    assert held is not None
    assert held.generation == 2
    assert holdings.doubted(ADA)


def test_an_equal_generation_with_another_digest_is_another_version() -> None:
    holdings = holding(ADA)
    holdings.changed(ADA, VoiceVersion(1, "other"))
    assert holdings.use(ADA) is None


def test_a_deletion_drops_record_and_recording() -> None:
    holdings = holding(ADA)
    holdings.keep_recording(ADA, "first", b"flac")
    holdings.changed(ADA, GONE)
    assert holdings.use(ADA) is None
    assert holdings.recording(ADA, "first") is None
    assert holdings.recording_bytes == 0


def test_a_record_fetched_while_its_voice_changed_is_not_kept() -> None:
    holdings = Holdings(100)
    with holdings.flight(ADA) as flight:
        holdings.changed(ADA, VoiceVersion(2, "second"))
        assert not holdings.keep(flight, a_voice())
    assert holdings.use(ADA) is None


def test_a_record_fetched_while_its_voice_was_deleted_is_not_kept() -> None:
    holdings = Holdings(100)
    with holdings.flight(ADA) as flight:
        holdings.changed(ADA, GONE)
        assert not holdings.keep(flight, a_voice())


def test_a_record_that_the_log_confirms_while_it_is_fetched_is_kept() -> None:
    holdings = Holdings(100)
    with holdings.flight(ADA) as flight:
        holdings.changed(ADA, VoiceVersion(1, "first"))
        assert holdings.keep(flight, a_voice())


def test_a_change_of_another_voice_disturbs_nothing() -> None:
    holdings = Holdings(100)
    with holdings.flight(ADA) as flight:
        holdings.changed(GRACE, GONE)
        assert holdings.keep(flight, a_voice())


def test_nothing_is_kept_that_was_asked_before_the_log_had_a_gap() -> None:
    holdings = Holdings(100)
    with holdings.flight(ADA) as flight:
        holdings.distrust_flights()
        assert not holdings.keep(flight, a_voice())


def test_a_look_that_was_on_its_way_when_this_pod_deleted_the_voice_does_not_bring_it_back() -> None:
    holdings = holding(ADA)
    with holdings.flight(ADA) as look, holdings.flight(ADA) as deletion:
        holdings.written(deletion)
        holdings.drop_unless(ADA, GONE)
        assert not holdings.keep(look, a_voice()), "before the log has told of it"
    assert holdings.look(ADA) is None


def test_the_least_recently_used_record_makes_room() -> None:
    holdings = holding(ADA, GRACE, max_records=2)
    holdings.use(ADA)
    with holdings.flight(VoiceName("default", "voice_3")) as flight:
        holdings.keep(flight, a_voice(flight.name))
    assert holdings.look(GRACE) is None
    assert holdings.look(ADA) is not None


def test_recordings_stay_within_their_bytes_and_their_records_stay() -> None:
    holdings = holding(ADA, GRACE, max_recording_bytes=10)
    holdings.keep_recording(ADA, "first", b"sixsix")
    holdings.keep_recording(GRACE, "first", b"sixsix")
    assert holdings.recording(ADA, "first") is None
    assert holdings.recording(GRACE, "first") == b"sixsix"
    assert holdings.recording_bytes == 6
    assert holdings.look(ADA) is not None


def test_a_recording_larger_than_all_room_is_not_held() -> None:
    holdings = holding(ADA, max_recording_bytes=3)
    holdings.keep_recording(ADA, "first", b"four")
    assert holdings.recording(ADA, "first") is None


def test_a_recording_of_another_version_is_neither_held_nor_found() -> None:
    holdings = holding(ADA)
    holdings.keep_recording(ADA, "second", b"flac")
    assert holdings.recording_bytes == 0
    holdings.keep_recording(ADA, "first", b"flac")
    assert holdings.recording(ADA, "second") is None


def test_a_recording_is_wanted_once_and_again_after_a_failure() -> None:
    holdings = holding(ADA)
    assert holdings.want_recording(ADA)
    assert not holdings.want_recording(ADA)
    holdings.recording_missed(ADA)
    assert holdings.want_recording(ADA)
    assert not holdings.want_recording(GRACE)


@dataclass
class Race:
    """A registry, its log, and looks at it that are on their way, in any order that the outside world may bring."""

    holdings: Holdings = field(default_factory=lambda: Holdings(100))
    registry: VoiceRecord | None = None
    generation: int = 0
    log: list[VoiceVersion | Gone] = field(default_factory=list)
    flights: list[tuple[Flight, list[VoiceRecord | None]]] = field(default_factory=list)
    open: ExitStack = field(default_factory=ExitStack)

    def write(self) -> None:
        self.generation += 1
        self.registry = replace(a_voice(digest=f"digest-{self.generation}"), generation=self.generation)
        self.log.append(version_of(self.registry))

    def write_here(self) -> None:
        """This pod writes: its answer is on its way like that of any other look."""
        flight = self.open.enter_context(self.holdings.flight(ADA))
        self.write()
        self.flights.append((flight, [self.registry]))
        self.own.add(flight)

    own: set[Flight] = field(default_factory=set)

    def delete(self) -> None:
        if self.registry is not None:
            self.registry = None
            self.log.append(GONE)

    def ask(self) -> None:
        self.flights.append((self.open.enter_context(self.holdings.flight(ADA)), []))

    def answer(self) -> None:
        for _, answers in self.flights:
            if not answers:
                answers.append(self.registry)
                return

    def land(self, place: int) -> None:
        landing = [flight for flight in self.flights if flight[1]]
        if landing:
            flight, answers = landing[place % len(landing)]
            self.flights.remove((flight, answers))
            if flight in self.own:
                self.holdings.written(flight)
            if answers[0] is not None:
                self.holdings.keep(flight, answers[0])

    def follow(self) -> None:
        if self.log:
            self.holdings.changed(ADA, self.log.pop(0))


@given(st.lists(st.sampled_from(["write", "write_here", "delete", "ask", "answer", "land", "land_last", "follow"])))
def test_once_the_log_is_read_nothing_is_held_but_what_the_registry_has(steps: list[str]) -> None:
    race = Race()
    with race.open:
        for step in steps:
            if step.startswith("land"):
                race.land(-1 if step == "land_last" else 0)
            else:
                getattr(race, step)()
        while race.log:
            race.follow()
        for _ in range(len(race.flights)):
            race.answer()
        while race.flights:
            race.land(0)
    held = race.holdings.look(ADA)
    assert held is None or held == race.registry or race.holdings.doubted(ADA)
