"""A use ends once, and the last one frees."""

from threading import Semaphore, Thread
from typing import Any

from tests.server.voicecache.tiers import a_tier, put, used
from timbre_server.voicecache.leases import Entry, Leavers


def test_a_lease_ends_once_however_often_it_is_released() -> None:
    tier, storage, _ = a_tier()
    put(tier, "a")
    first, second = used(tier, "a"), used(tier, "a")
    tier.forget("a")
    first.release()
    first.release()
    assert storage.reserved_bytes == 10
    assert bytes(second.features["vector"]) == bytes(10)
    second.release()
    assert storage.reserved_bytes == 0
    tier.check_integrity()


class AnnouncingLock:
    """A lock that tells when somebody wants it."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self.wanted = Semaphore(0)
        self.release = lock.release

    def acquire(self) -> None:
        self.wanted.release()
        self._lock.acquire()


def test_of_two_threads_that_end_one_use_at_once_only_one_counts() -> None:
    tier, storage, _ = a_tier()
    put(tier, "a")
    kept, shared = used(tier, "a"), used(tier, "a")
    tier.forget("a")
    assert shared.entry is not None
    lock = AnnouncingLock(shared.entry.lock)
    shared.entry.lock = lock  # type: ignore[assignment]
    threads = [Thread(target=shared.release) for _ in range(2)]
    with tier._lock:
        for thread in threads:
            thread.start()
        for _ in threads:
            assert lock.wanted.acquire(timeout=10)
    for thread in threads:
        thread.join()
    assert storage.reserved_bytes == 10
    kept.release()
    assert storage.reserved_bytes == 0


def test_a_released_lease_of_an_entry_that_stays_frees_nothing() -> None:
    tier, storage, _ = a_tier()
    put(tier, "a")
    used(tier, "a").release()
    assert storage.reserved_bytes == 10
    assert tier.holds("a")


def test_leavers_tell_when_the_last_of_a_recording_is_gone() -> None:
    leavers = Leavers()
    entries = [Entry(str(number), "digest", 1, one_off=False) for number in range(2)]
    told: list[str] = []
    for entry in entries:
        leavers.add(entry)
    assert "digest" in leavers
    assert entries[0] in leavers
    assert leavers.when_gone("digest", lambda: told.append("gone"))
    assert not leavers.when_gone("other", lambda: told.append("never"))
    assert leavers.remove(entries[0]) == ()
    assert entries[0] not in leavers
    for callback in leavers.remove(entries[1]):
        callback()
    assert told == ["gone"]
    assert list(leavers) == []
    assert leavers.remove(entries[1]) == ()
