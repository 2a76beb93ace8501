"""A tier keeps its budget, its counters and its promises to who uses an entry."""

from __future__ import annotations

import asyncio
from threading import Event

import pytest

from tests.server.voicecache.tiers import CopyingStorage, a_tier, features, put, used
from timbre_server.telemetry.metrics import Metrics
from timbre_server.voicecache.tier import GhostHits, Lease, Tier


def test_a_look_up_is_a_hit_or_a_miss() -> None:
    tier, _, watcher = a_tier()
    assert tier.get("a") is None
    put(tier, "a")
    used(tier, "a").release()
    used(tier, "a").release()
    assert (tier.hits, tier.misses) == (2, 1)
    assert {name: read() for name, read in watcher.gauges.items()} == {
        "device held": 10,
        "device capacity": 100,
        "device hits": 2,
        "device misses": 1,
    }


def test_everybody_gets_one_object() -> None:
    tier, _, _ = a_tier()
    lease = tier.put("a", "a", features(10))
    assert lease
    assert used(tier, "a").features is used(tier, "a").features is lease.features


def test_what_is_in_stays_whatever_is_put_after_it() -> None:
    tier, storage, _ = a_tier()
    first = tier.put("a", "a", features(10, 1))
    second = tier.put("a", "a", features(10, 2))
    assert first
    assert second
    assert second.features is first.features
    assert int(second.features["vector"][0]) == 1
    assert storage.reserved_bytes == tier.held_bytes == 10


def test_entries_go_until_a_larger_one_has_room() -> None:
    tier, _, watcher = a_tier(100)
    for number in range(10):
        put(tier, str(number))
    assert put(tier, "large", 35)
    assert tier.held_bytes == 95
    assert tier.entries == 7
    assert watcher.evicted == tier.evictions == {"capacity": 4}


def test_who_was_asked_for_again_outlasts_who_was_not() -> None:
    tier, _, _ = a_tier(30)
    for key in "abc":
        put(tier, key)
    used(tier, "a").release()
    put(tier, "d")
    assert [tier.holds(key) for key in "abcd"] == [True, False, True, True]


def test_features_larger_than_the_capacity_are_refused_and_push_nobody_out() -> None:
    tier, _, watcher = a_tier(100)
    put(tier, "a")
    assert not put(tier, "large", 101)
    assert tier.holds("a")
    assert tier.refusals == 1
    assert watcher.evicted == {}


def test_entries_in_use_stay_and_refuse_the_next() -> None:
    tier, _, _ = a_tier(20)
    put(tier, "a")
    put(tier, "b")
    lease = used(tier, "a")
    assert put(tier, "c")
    assert tier.holds("a")
    other = used(tier, "c")
    assert not put(tier, "d")
    other.release()
    assert put(tier, "d")
    lease.release()


def test_who_uses_a_forgotten_entry_keeps_it_until_the_end() -> None:
    tier, storage, _ = a_tier()
    put(tier, "a")
    lease = used(tier, "a")
    assert tier.forget("a") == 1
    tier.check_integrity()
    assert tier.get("a") is None
    assert tier.in_use("a")
    assert tier.held_bytes == storage.reserved_bytes == 10
    assert bytes(lease.features["vector"]) == bytes(10)
    lease.release()
    assert not tier.in_use("a")
    assert tier.held_bytes == storage.reserved_bytes == 0
    tier.check_integrity()


def test_forget_takes_every_entry_of_a_recording_and_no_other() -> None:
    tier, _, watcher = a_tier()
    for key, digest in (("k1", "a"), ("k2", "a"), ("k3", "b")):
        lease = tier.put(key, digest, features(10))
        assert lease
        lease.release()
    assert tier.forget("a") == 2
    assert tier.forget("a") == 0
    tier.check_integrity()
    assert tier.holds("k3")
    assert watcher.evicted == {"erased": 2}
    assert tier.get("k1") is None
    assert tier.ghost_hits("erased") == GhostHits()


def test_a_recording_forgotten_while_it_is_stored_is_found_by_nobody() -> None:
    tier, storage, _ = a_tier()
    storage.before_storing = lambda: tier.forget("a") and None
    lease = tier.put("a", "a", features(10))
    assert lease
    tier.check_integrity()
    assert tier.get("a") is None
    assert tier.in_use("a")
    assert len(lease.features["vector"]) == 10
    lease.release()
    assert tier.held_bytes == storage.reserved_bytes == 0
    tier.check_integrity()


def test_of_two_puts_at_once_the_first_that_is_stored_wins() -> None:
    tier, storage, _ = a_tier()
    inner: list[Lease | None] = []

    def put_another() -> None:
        storage.before_storing = lambda: None
        inner.append(tier.put("a", "a", features(10, 1)))

    storage.before_storing = put_another
    outer = tier.put("a", "a", features(10, 2))
    assert outer
    assert inner[0]
    assert outer.features is inner[0].features
    assert tier.held_bytes == storage.reserved_bytes == 10
    tier.check_integrity()


def test_capacity_that_shrinks_while_an_entry_is_stored_counts_for_it() -> None:
    tier, storage, _ = a_tier(100)
    put(tier, "a", 60)
    storage.before_storing = lambda: tier.resize(50, "pressure") and None
    lease = tier.put("b", "b", features(40))
    assert lease
    tier.check_integrity()
    assert tier.held_bytes == 40


def test_when_the_last_user_left_who_waited_is_told() -> None:
    tier, _, _ = a_tier()
    told: list[str] = []
    tier.when_unused("a", lambda: told.append("nobody used it"))
    put(tier, "a")
    first, second = used(tier, "a"), used(tier, "a")
    tier.forget("a")
    tier.when_unused("a", lambda: told.append("all left"))
    first.release()
    assert told == ["nobody used it"]
    second.release()
    assert told == ["nobody used it", "all left"]


async def test_unused_waits_for_the_last_user_on_another_thread() -> None:
    tier, _, _ = a_tier()
    put(tier, "a")
    lease = used(tier, "a")
    tier.forget("a")
    events: list[str] = []
    waits = Event()

    async def wait() -> None:
        await tier.unused("a")
        events.append("told")

    def leave() -> None:
        assert waits.wait(10)
        events.append("left")
        lease.release()

    waiting = asyncio.create_task(wait())
    asyncio.get_running_loop().call_soon(waits.set)  # after the first step of the task
    await asyncio.to_thread(leave)
    await waiting
    await wait()
    assert events == ["left", "told", "told"]


def test_the_last_user_may_leave_after_the_loop_that_waited() -> None:
    tier, _, _ = a_tier()
    put(tier, "a")
    lease = used(tier, "a")
    tier.forget("a")
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(tier.unused("a"))
    loop.call_soon(waiting.cancel)  # after its first step
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(waiting)
    loop.close()
    lease.release()
    assert tier.held_bytes == 0


def test_a_smaller_capacity_frees_at_once_and_says_how_much() -> None:
    tier, storage, watcher = a_tier(100)
    for number in range(10):
        put(tier, str(number))
    assert tier.resize(35, "pressure") == 70
    tier.check_integrity()
    assert tier.held_bytes == storage.reserved_bytes == 30
    assert storage.capacities == [35]
    assert watcher.evicted == {"pressure": 7}


def test_under_pressure_entries_in_use_go_last_and_are_freed_by_their_users() -> None:
    tier, storage, _ = a_tier(100)
    for number in range(10):
        put(tier, str(number))
    leases = [used(tier, "0"), used(tier, "1")]
    assert tier.resize(10, "pressure") == 80
    tier.check_integrity()
    assert tier.held_bytes == 20
    assert [tier.holds("0"), tier.holds("1")] == [False, True]
    assert bytes(leases[0].features["vector"]) == bytes(10)
    for lease in leases:
        lease.release()
    assert tier.held_bytes == storage.reserved_bytes == 10
    tier.check_integrity()


def test_one_off_entries_go_first_under_pressure() -> None:
    tier, _, _ = a_tier(100)
    put(tier, "regular", 50)
    put(tier, "once", 50, one_off=True)
    tier.resize(50, "pressure")
    assert tier.holds("regular")


def test_the_storage_grows_before_the_tier_promises_its_room() -> None:
    tier, storage, _ = a_tier(10)
    capacities = []
    storage.resize = lambda _: capacities.append(tier.capacity_bytes)  # type: ignore[method-assign]
    assert tier.resize(20, "demand") == 0
    assert capacities == [10]
    assert tier.capacity_bytes == 20
    assert tier.free_bytes == 20


def test_after_pressure_what_is_asked_for_again_is_a_ghost_hit() -> None:
    tier, _, _ = a_tier(100)
    put(tier, "a", 40)
    put(tier, "b", 30)
    tier.resize(0, "pressure")
    assert tier.get("b") is None
    assert tier.get("b") is None
    assert tier.ghost_hits("pressure") == GhostHits(1, 30)
    assert tier.ghost_hits() == GhostHits()


def test_an_entry_that_came_back_is_no_ghost() -> None:
    tier, _, _ = a_tier(20)
    for key in "abca":
        put(tier, key)
    tier.forget("a")
    assert tier.get("a") is None
    assert tier.ghost_hits() == GhostHits()
    assert tier.get("b") is None
    assert tier.ghost_hits() == GhostHits(1, 10)


def test_an_entry_that_no_longer_fits_when_it_is_stored_ends_with_its_user() -> None:
    tier, storage, _ = a_tier(100)
    storage.before_storing = lambda: tier.resize(30, "pressure") and None
    lease = tier.put("a", "a", features(40))
    assert lease
    tier.check_integrity()
    assert not tier.holds("a")
    lease.release()
    assert tier.held_bytes == 0


def test_a_full_storage_gets_room_from_other_entries() -> None:
    tier, storage, _ = a_tier(100)
    for number in range(4):
        put(tier, str(number))
    storage.full = 1
    assert put(tier, "new")
    assert tier.entries == 4


def test_a_storage_that_stays_full_costs_no_more_than_the_entry_takes() -> None:
    tier, storage, _ = a_tier(100)
    for number in range(8):
        put(tier, str(number))
    storage.full = 100
    assert not put(tier, "new", 20)
    assert tier.entries == 6
    assert tier.held_bytes == storage.reserved_bytes == 60


def test_what_may_push_nobody_out_takes_what_is_free_and_no_more() -> None:
    tier, storage, _ = a_tier(100)
    for number in range(8):
        put(tier, str(number))
    assert not put(tier, "larger than what is free", 21, evicts=False)
    storage.full = 1
    assert not put(tier, "new", 20, evicts=False), "the storage is full although there should be room"
    assert put(tier, "new", 20, evicts=False)
    assert put(tier, "7", evicts=False), "it is there already"
    assert (tier.entries, tier.held_bytes, tier.refusals) == (9, 100, 0)


def test_a_failure_to_store_leaves_nothing_behind() -> None:
    tier, storage, _ = a_tier(100)

    def fail() -> None:
        raise RuntimeError("the device is gone")

    storage.before_storing = fail
    with pytest.raises(RuntimeError, match="gone"):
        tier.put("a", "a", features(10))
    tier.check_integrity()
    assert tier.held_bytes == 0
    assert not tier.in_use("a")


def test_who_waits_for_a_recording_is_told_when_its_storing_fails() -> None:
    tier, storage, _ = a_tier(100)
    told: list[str] = []

    def forget_and_be_full() -> None:
        tier.forget("a")
        tier.when_unused("a", lambda: told.append("unused"))
        storage.full = 1

    storage.before_storing = forget_and_be_full
    assert tier.put("a", "a", features(10)) is None
    assert told == ["unused"]


def test_integrity_is_checked_against_the_entries_themselves() -> None:
    tier, _, _ = a_tier(100)
    put(tier, "a")
    tier.held_bytes += 1
    with pytest.raises(AssertionError):
        tier.check_integrity()


def test_a_scrape_reads_the_exact_counts() -> None:
    metrics = Metrics()
    tier = Tier("host", CopyingStorage(), capacity_bytes=100, observer=metrics)
    name = "timbre_voice_cache_lookups_total"

    def counted(outcome: str) -> float | None:
        return metrics.registry.get_sample_value(name, {"tier": "host", "outcome": outcome})

    assert (counted("hit"), counted("miss")) == (0, 0)
    put(tier, "a")
    for _ in range(3):
        used(tier, "a").release()
    assert tier.get("b") is None
    assert (counted("hit"), counted("miss")) == (3, 1)
    used(tier, "a").release()
    assert (counted("hit"), counted("miss")) == (4, 1)
    assert metrics.registry.get_sample_value("timbre_voice_cache_bytes", {"tier": "host"}) == 10
