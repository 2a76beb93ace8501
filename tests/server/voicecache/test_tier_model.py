"""Whatever happens in whatever order, a tier agrees with the simplest account of it."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule

from tests.server.voicecache.tiers import CopyingStorage, Watcher, features
from timbre_server.voicecache.tier import Lease, Tier

KEYS = st.sampled_from([f"{digest}{number}" for digest in "abcd" for number in range(2)])
CAPACITY_BYTES = 60


class TierModel(RuleBasedStateMachine):
    """What each lease should read, and what each key may hold; which entry goes is the tier's business."""

    leases: Bundle[tuple[Lease, int, int]] = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.storage = CopyingStorage()
        self.watcher = Watcher()
        self.tier = Tier("device", self.storage, capacity_bytes=CAPACITY_BYTES, observer=self.watcher)
        self.capacity_bytes = CAPACITY_BYTES
        self.last_put: dict[str, tuple[int, int]] = {}
        """Mark and size of what is under each key, if anything is."""
        self.in_use: list[tuple[Lease, int, int]] = []
        self.count = 0
        self.lookups = 0

    @rule(target=leases, key=KEYS, size=st.integers(1, 70), one_off=st.booleans())
    def put(self, key: str, size: int, one_off: bool) -> object:  # noqa: FBT001 - hypothesis names its arguments
        self.count = self.count % 250 + 1
        known = self.tier.holds(key)
        lease = self.tier.put(key, key[0], features(size, self.count), one_off=one_off)
        if lease is None:
            assert not known
            assert not self.tier.holds(key)
            return multiple()
        if not known:
            assert size <= self.capacity_bytes
            self.last_put[key] = self.count, size
        return self.taken(lease, key)

    @rule(target=leases, key=KEYS)
    def get(self, key: str) -> object:
        self.lookups += 1
        known = self.tier.holds(key)
        lease = self.tier.get(key)
        assert (lease is not None) == known
        return multiple() if lease is None else self.taken(lease, key)

    def taken(self, lease: Lease, key: str) -> object:
        use = (lease, *self.last_put[key])
        self.in_use.append(use)
        return use

    @rule(use=consumes(leases))
    def release(self, use: tuple[Lease, int, int]) -> None:
        self.in_use.remove(use)
        use[0].release()
        use[0].release()

    @rule(digest=st.sampled_from("abcd"))
    def forget(self, digest: str) -> None:
        here = [key for key in self.last_put if key[0] == digest and self.tier.holds(key)]
        assert self.tier.forget(digest) == len(here)
        assert not any(self.tier.holds(key) for key in here)

    @rule(capacity_bytes=st.integers(0, 100))
    def resize(self, capacity_bytes: int) -> None:
        before_bytes = self.tier.held_bytes
        freed_bytes = self.tier.resize(capacity_bytes, "pressure")
        self.capacity_bytes = capacity_bytes
        assert self.tier.held_bytes == before_bytes - freed_bytes

    @precondition(lambda self: not self.in_use)
    @rule(key=KEYS, size=st.integers(1, 70))
    def anything_that_fits_has_room_while_nothing_is_in_use(self, key: str, size: int) -> None:
        if size <= self.capacity_bytes and not self.tier.holds(key):
            self.count = self.count % 250 + 1
            lease = self.tier.put(key, key[0], features(size, self.count))
            assert lease is not None
            lease.release()
            self.last_put[key] = self.count, size

    @invariant()
    def agrees(self) -> None:
        self.tier.check_integrity()
        for lease, mark, size in self.in_use:
            assert bytes(lease.features["vector"]) == bytes([mark]) * size
        assert self.storage.reserved_bytes == self.tier.held_bytes
        assert self.tier.hits + self.tier.misses == self.lookups
        assert self.watcher.evicted == self.tier.evictions
        if not self.in_use:
            assert self.tier.held_bytes <= self.capacity_bytes
            assert not any(self.tier.in_use(digest) for digest in "abcd")

    def teardown(self) -> None:
        for lease, _, _ in self.in_use:
            lease.release()
        self.in_use.clear()
        self.agrees()


TestTierModel = TierModel.TestCase
TestTierModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
