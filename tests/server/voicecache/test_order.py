"""One-off entries get what nobody needs, and a small share of the rest."""

from tests.server.voicecache.tiers import a_tier, put, used
from timbre_server.voicecache.order import ONE_OFF_PERCENT


def test_a_flood_of_one_offs_pushes_no_regular_out() -> None:
    tier, _, watcher = a_tier(100)
    regulars = [f"regular-{number}" for number in range(10)]
    for key in regulars:
        put(tier, key)
    assert not any(put(tier, f"once-{number}", one_off=True) for number in range(100))
    assert all(tier.holds(key) for key in regulars)
    assert watcher.evicted == {}


def test_one_offs_fill_what_nobody_needs() -> None:
    tier, _, _ = a_tier(100)
    assert all(put(tier, f"once-{number}", one_off=True) for number in range(30))
    assert tier.entries == 10


def test_regulars_take_the_room_of_one_offs_before_that_of_regulars() -> None:
    tier, _, _ = a_tier(100)
    put(tier, "early")
    for number in range(9):
        put(tier, f"once-{number}", one_off=True)
        used(tier, f"once-{number}").release()
    for number in range(9):
        put(tier, f"regular-{number}")
    assert tier.holds("early")
    assert tier.entries == 10


def test_one_offs_keep_their_share_of_a_tier_full_of_regulars() -> None:
    share = 1000 * ONE_OFF_PERCENT // 100
    tier, _, _ = a_tier(1000)
    for number in range(100):
        put(tier, f"regular-{number}")
    assert all(put(tier, f"once-{number}", share // 2, one_off=True) for number in range(20))
    assert sum(tier.holds(f"once-{number}") for number in range(20)) == 2
    put(tier, "late")
    assert sum(tier.holds(f"once-{number}") for number in range(20)) == 2


def test_a_one_off_that_is_enrolled_becomes_a_regular() -> None:
    tier, _, _ = a_tier(100)
    put(tier, "once", one_off=True)
    put(tier, "once")
    for number in range(30):
        put(tier, f"other-{number}", one_off=True)
    assert tier.holds("once")


def test_a_regular_that_comes_with_a_request_stays_a_regular() -> None:
    tier, _, _ = a_tier(100)
    put(tier, "regular")
    put(tier, "regular", one_off=True)
    for number in range(30):
        put(tier, f"other-{number}", one_off=True)
    assert tier.holds("regular")
