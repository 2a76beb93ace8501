"""Which speech is in this process, in which forms, and what goes when there is no room or its time is up?"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from timbre_server.domain.speech import AudioFormat
from timbre_server.ports import Blob, ResultName
from timbre_server.resultcache.takes import KeptTake, Label
from timbre_server.sieve import MAX_MARKS, Queued, SieveQueue

ENTRY_BYTES: Final = 1024
"""What an entry and its form take beside the speech: 0.9 KiB on CPython 3.11, so that many short ones are no surprise.  A
likeness takes 0.2 KiB more, the text of a key twice."""


class Form(Queued):
    """One take in one form: as samples, or as a file."""

    __slots__ = ("audio_seconds", "content", "entry", "format")

    def __init__(self, audio_format: AudioFormat | None, content: Blob, audio_seconds: float) -> None:
        super().__init__(len(content) + ENTRY_BYTES)
        self.entry: Entry
        self.format = audio_format
        """None = the WAV file that all others are made from."""
        self.content = content
        self.audio_seconds = audio_seconds

    @property
    def label(self) -> Label:
        """Of its take."""
        return self.entry.label


def samples_of(take: KeptTake) -> Form:
    """The form that all others are made from."""
    return Form(None, take.wav, take.duration_seconds)


@dataclass(eq=False, slots=True)
class Entry:
    """One take and the forms of it that are here; each goes when nobody asks for it."""

    name: ResultName
    label: Label
    forms: dict[AudioFormat | None, Form]


class ResultMemory:
    """Speech by key, bounded in bytes and in time; lives on one event loop.

    Eviction is SIEVE by bytes, over forms: of a text that everybody wants as MP3 the samples go and the MP3 stays.
    """

    def __init__(self, *, capacity_bytes: int, ttl_seconds: float, clock: Callable[[], float]) -> None:
        """``clock`` gives Unix time in seconds; a take lives ``ttl_seconds`` from when it was made, here or anywhere."""
        self.capacity_bytes = capacity_bytes
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._keys_by_digest: dict[str, set[str]] = {}
        self._alike: dict[str, ResultName] = {}
        """The latest entry of each likeness."""
        self._queue: SieveQueue[Form] = SieveQueue()
        self._ends: list[tuple[float, str]] = []
        """A heap of when entries end, with keys; those of entries that went before are passed over."""

    @property
    def held_bytes(self) -> int:
        """Bytes of all forms, and of what keeps them."""
        return self._queue.size_bytes

    @property
    def entries(self) -> int:
        """How many takes are here, in whatever form."""
        return len(self._entries)

    def get(self, key: str, audio_format: AudioFormat | None = None) -> Form | None:
        """The take in that form."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        form = entry.forms.get(audio_format)
        if form is None:
            return None
        if self._clock() >= entry.label.created_at + self._ttl_seconds:
            self._drop(entry)
            return None
        if form.marks < MAX_MARKS:
            form.marks += 1
        return form

    def alike(self, likeness: str) -> ResultName | None:
        """The name of a take that is here, in whatever form, of a text with that likeness."""
        return self._alike.get(likeness)

    def put(self, name: ResultName, take: KeptTake) -> bool:
        """Keeps a take, in the place of an older one of this key; whether it is here now."""
        return self._put(name, take.label, samples_of(take))

    def put_encoded(
        self, name: ResultName, label: Label, audio_format: AudioFormat, file: Blob, *, audio_seconds: float
    ) -> bool:
        """Keeps a file of a take, which itself may have gone."""
        return self._put(name, label, Form(audio_format, file, audio_seconds))

    def drop(self, key: str) -> None:
        """Removes one take."""
        if entry := self._entries.get(key):
            self._drop(entry)

    def clear(self) -> None:
        """Removes everything."""
        for entry in list(self._entries.values()):
            self._drop(entry)

    def forget(self, digest: str) -> int:
        """Removes all speech of a recording; how many takes."""
        keys = list(self._keys_by_digest.get(digest, ()))
        for key in keys:
            self._drop(self._entries[key])
        return len(keys)

    def shrink(self, capacity_bytes: int) -> None:
        """Has room for no more than that from now on."""
        self.capacity_bytes = capacity_bytes
        self._make_room(0)

    def sweep(self) -> None:
        """Removes what has outlived its time, though nobody asks for it."""
        now = self._clock()
        while self._ends and self._ends[0][0] <= now:
            _, key = heapq.heappop(self._ends)
            entry = self._entries.get(key)
            if entry is not None and entry.label.created_at + self._ttl_seconds <= now:
                self._drop(entry)

    def check_integrity(self) -> None:
        """Asserts that every count is that of the entries, and that the budget is kept."""
        forms = [form for entry in self._entries.values() for form in entry.forms.values()]
        assert set(forms) == set(self._queue)
        assert len(forms) == len(self._queue)
        assert self.held_bytes == sum(len(form.content) + ENTRY_BYTES for form in forms) <= self.capacity_bytes
        assert all(entry.forms and entry.name.key == key for key, entry in self._entries.items())
        by_digest: dict[str, set[str]] = {}
        for entry in self._entries.values():
            by_digest.setdefault(entry.name.digest, set()).add(entry.name.key)
        assert by_digest == self._keys_by_digest
        assert all(self._entries[name.key].name == name for name in self._alike.values())

    def _put(self, name: ResultName, label: Label, form: Form) -> bool:
        if form.size_bytes > self.capacity_bytes or self._clock() >= label.created_at + self._ttl_seconds:
            return False
        entry = self._entries.get(name.key)
        if entry is not None and entry.label != label:
            if entry.label.created_at > label.created_at:
                return False
            self._drop(entry)
            entry = None
        if entry is not None and form.format in entry.forms:
            return True
        self._make_room(form.size_bytes)
        form.entry = self._entry(name, label)  # again: it may have made the room itself
        form.entry.forms[form.format] = form
        self._queue.add(form)
        return True

    def _entry(self, name: ResultName, label: Label) -> Entry:
        entry = self._entries.get(name.key)
        if entry is None:
            entry = self._entries[name.key] = Entry(name, label, {})
            self._keys_by_digest.setdefault(name.digest, set()).add(name.key)
            if name.likeness:
                self._alike[name.likeness] = name
            heapq.heappush(self._ends, (label.created_at + self._ttl_seconds, name.key))
            if len(self._ends) > 2 * len(self._entries) + 64:  # most of them went before their time
                self._ends = [(entry.label.created_at + self._ttl_seconds, key) for key, entry in self._entries.items()]
                heapq.heapify(self._ends)
        return entry

    def _make_room(self, size_bytes: int) -> None:
        while self._queue.size_bytes + size_bytes > self.capacity_bytes:
            victim = self._queue.victim()
            assert victim is not None, "nothing here is ever in use, and there is room for one entry"
            self._queue.remove(victim)
            del victim.entry.forms[victim.format]
            if not victim.entry.forms:
                self._unlist(victim.entry)

    def _drop(self, entry: Entry) -> None:
        for form in entry.forms.values():
            self._queue.remove(form)
        self._unlist(entry)

    def _unlist(self, entry: Entry) -> None:
        del self._entries[entry.name.key]
        if self._alike.get(entry.name.likeness) == entry.name:
            del self._alike[entry.name.likeness]
        keys = self._keys_by_digest[entry.name.digest]
        keys.remove(entry.name.key)
        if not keys:
            del self._keys_by_digest[entry.name.digest]
