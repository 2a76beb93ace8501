"""What does this pod hold of the registry, and may it keep what it has just fetched?

Pure and synchronous.  Nothing in here knows whether it is fresh; it only never keeps what a change has overtaken.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from timbre_server.domain.voice import VoiceRecord
from timbre_server.ports import VoiceName
from timbre_server.store.redis_voices import Gone, VoiceVersion

MAX_RECORDS: Final = 20_000
"""Records that a pod holds, about 1 KiB each: more than the voices whose features fit its memory (16,384 of 130 KiB in the
device tier's default 2 GiB)."""


class _Seen(Enum):
    NOTHING = "nothing"
    CONFLICT = "conflict"


@dataclass(eq=False)
class Flight:
    """A look at the registry that is on its way."""

    name: VoiceName
    latest: VoiceVersion | Gone | _Seen = _Seen.NOTHING
    """What the log said of the voice meanwhile."""


@dataclass
class _Holding:
    record: VoiceRecord
    recording: bytes | None = None
    wanted: bool = False
    """Whether the recording was asked for; once is enough."""
    doubted: bool = False
    """Whether the registry must be asked before the next use."""


def version_of(record: VoiceRecord) -> VoiceVersion:
    """Which recording a record speaks of."""
    return VoiceVersion(record.generation, record.digest)


@dataclass
class Holdings:
    """Records that were used here, and their recordings, least recently used first."""

    max_recording_bytes: int
    max_records: int = MAX_RECORDS
    recording_bytes: int = field(default=0, init=False)
    """Bytes of all recordings held."""
    _held: OrderedDict[VoiceName, _Holding] = field(default_factory=OrderedDict, init=False)
    _recorded: OrderedDict[VoiceName, None] = field(default_factory=OrderedDict, init=False)
    _flights: dict[VoiceName, set[Flight]] = field(default_factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._held)

    def names(self) -> Sequence[VoiceName]:
        """Of everything held."""
        return list(self._held)

    def use(self, name: VoiceName) -> VoiceRecord | None:
        """The record, which moves to the end of the queue for eviction."""
        holding = self._held.get(name)
        if holding is None:
            return None
        self._held.move_to_end(name)
        return holding.record

    def look(self, name: VoiceName) -> VoiceRecord | None:
        """The record; nothing moves."""
        holding = self._held.get(name)
        return None if holding is None else holding.record

    @contextmanager
    def flight(self, name: VoiceName) -> Iterator[Flight]:
        """While the registry is asked about a voice, the log may tell of a change of it."""
        flight = Flight(name)
        self._flights.setdefault(name, set()).add(flight)
        try:
            yield flight
        finally:
            flights = self._flights[name]
            flights.remove(flight)
            if not flights:
                del self._flights[name]

    def keep(self, flight: Flight, record: VoiceRecord) -> bool:
        """Holds what a flight brought, unless the log has told otherwise meanwhile; a higher generation stays, in doubt."""
        if flight.latest not in (_Seen.NOTHING, version_of(record)):
            return False
        held = self._held.get(flight.name)
        if held is not None and held.record.generation > record.generation:
            held.doubted = True
            return False
        if held is None or version_of(held.record) != version_of(record):
            self._drop(flight.name)
            held = self._held[flight.name] = _Holding(record)
        held.record = record
        self._held.move_to_end(flight.name)
        while len(self._held) > self.max_records:
            self._drop(next(iter(self._held)))
        return True

    def changed(self, name: VoiceName, version: VoiceVersion | Gone) -> VoiceRecord | None:
        """The log says that a voice is this now; what was held of another version is dropped, and returned.

        A higher generation than the log's is not dropped but doubted.  The entry may be older than this pod's own write; or
        Redis was emptied, and a pod has published again what it had, which was less than what is held here.
        """
        for flight in self._flights.get(name, ()):
            flight.latest = version
        holding = self._held.get(name)
        if holding is not None and isinstance(version, VoiceVersion) and version.generation < holding.record.generation:
            holding.doubted = True
            return None
        return self.drop_unless(name, version)

    def doubt(self, name: VoiceName) -> None:
        """The registry is to be asked before the next use."""
        if (holding := self._held.get(name)) is not None:
            holding.doubted = True

    def doubted(self, name: VoiceName) -> bool:
        """Whether the registry must be asked before the next use."""
        holding = self._held.get(name)
        return holding is not None and holding.doubted

    def confirm(self, name: VoiceName) -> None:
        """The registry has what is held."""
        if (holding := self._held.get(name)) is not None:
            holding.doubted = False

    def drop_unless(self, name: VoiceName, version: VoiceVersion | Gone) -> VoiceRecord | None:
        """Drops what is held of a voice if it is another version than this; what was dropped."""
        holding = self._held.get(name)
        if holding is None or version_of(holding.record) == version:
            return None
        self._drop(name)
        return holding.record

    def written(self, own: Flight) -> None:
        """This pod wrote the voice: other looks at it may have come before or after, so none of them is kept."""
        for flight in self._flights.get(own.name, set()) - {own}:
            flight.latest = _Seen.CONFLICT

    def distrust_flights(self) -> None:
        """Entries of the log may be missing: what was asked before now is not kept."""
        for flights in self._flights.values():
            for flight in flights:
                flight.latest = _Seen.CONFLICT

    def recording(self, name: VoiceName, digest: str) -> bytes | None:
        """The recording in FLAC, if it is held and is the one with that digest."""
        holding = self._held.get(name)
        if holding is None or holding.record.digest != digest or holding.recording is None:
            return None
        self._recorded.move_to_end(name)
        return holding.recording

    def want_recording(self, name: VoiceName) -> bool:
        """Whether the recording should be fetched; True once per holding."""
        holding = self._held.get(name)
        if holding is None or holding.wanted:
            return False
        holding.wanted = True
        return True

    def recording_missed(self, name: VoiceName) -> None:
        """It could not be fetched just now; the next use may ask again."""
        if (holding := self._held.get(name)) is not None and holding.recording is None:
            holding.wanted = False

    def keep_recording(self, name: VoiceName, digest: str, flac: bytes) -> None:
        """Holds a recording if its record is held; the least recently used ones make room."""
        holding = self._held.get(name)
        if holding is None or holding.record.digest != digest or len(flac) > self.max_recording_bytes:
            return
        holding.wanted = True
        self._forget_recording(name)
        holding.recording = flac
        self._recorded[name] = None
        self.recording_bytes += len(flac)
        while self.recording_bytes > self.max_recording_bytes:
            self._forget_recording(next(iter(self._recorded)))

    def _drop(self, name: VoiceName) -> None:
        self._forget_recording(name)
        self._held.pop(name, None)

    def _forget_recording(self, name: VoiceName) -> None:
        holding = self._held.get(name)
        if holding is not None and holding.recording is not None:
            self.recording_bytes -= len(holding.recording)
            holding.recording = None
            del self._recorded[name]
