"""A tier that many threads use at once never shows a foreign voice and never miscounts."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread

import numpy as np
import pytest

from tests.server.voicecache.tiers import CopyingStorage, Watcher, a_tier, features, put, used
from timbre_server.voicecache.tier import Lease, Tier

THREADS, STEPS, VOICES = 4, 3_000, 12


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns every 10 us instead of every 5 ms, so that they meet in the middle of things."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
def test_threads_never_see_a_foreign_or_freed_voice_and_counts_stay_exact() -> None:
    storage, watcher = CopyingStorage(), Watcher()
    tier = Tier("device", storage, capacity_bytes=60, observer=watcher)
    start = Barrier(THREADS)
    looked_up: Counter[str] = Counter()

    def hammer(seed: int) -> Counter[str]:
        choose, counts = random.Random(seed), Counter[str]()
        held: list[tuple[int, Lease]] = []
        start.wait()
        for _ in range(STEPS):
            voice = choose.randrange(1, VOICES)
            step = choose.random()
            if step < 0.6:
                lease = tier.get(str(voice))
                counts["hit" if lease else "miss"] += 1
                lease = lease or tier.put(str(voice), str(voice), features(5 + voice, voice), one_off=step < 0.1)
                if lease:
                    held.append((voice, lease))
            elif step < 0.63:
                tier.forget(str(voice))
            elif step < 0.66:
                tier.resize(choose.randrange(30, 100), "pressure")
            elif held:
                owner, lease = held.pop(choose.randrange(len(held)))
                vector = lease.features["vector"]
                assert len(vector) == 5 + owner
                assert (vector == owner).all()
                lease.release()
        for _, lease in held:
            lease.release()
        return counts

    with ThreadPoolExecutor(THREADS) as pool:
        for counts in pool.map(hammer, range(THREADS)):
            looked_up += counts
    tier.check_integrity()
    assert (tier.hits, tier.misses) == (looked_up["hit"], looked_up["miss"])
    assert watcher.evicted == tier.evictions
    assert storage.reserved_bytes == tier.held_bytes
    tier.resize(0, "pressure")
    assert tier.held_bytes == tier.entries == storage.reserved_bytes == 0


@pytest.mark.usefixtures("hasty_threads")
def test_many_threads_release_one_lease_once() -> None:
    for _ in range(50):
        tier, storage, _ = a_tier()
        put(tier, "a")
        kept, shared = used(tier, "a"), used(tier, "a")
        tier.forget("a")
        start = Barrier(3)

        def release(start: Barrier = start, lease: Lease = shared) -> None:
            start.wait()
            lease.release()

        threads = [Thread(target=release) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert storage.reserved_bytes == 10
        assert np.array_equal(kept.features["vector"], np.zeros(10, np.uint8))
        kept.release()
        assert storage.reserved_bytes == 0
