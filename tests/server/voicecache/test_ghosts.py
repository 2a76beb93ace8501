"""What was evicted too early is counted, once for each eviction, and not for ever."""

from timbre_server.voicecache.ghosts import MAX_GHOSTS, GhostHits, Ghosts


def test_a_miss_of_what_was_evicted_is_a_ghost_hit_of_its_cause() -> None:
    ghosts = Ghosts(100)
    ghosts.evicted("a", 40, "capacity")
    ghosts.evicted("b", 30, "pressure")
    ghosts.missed("b")
    ghosts.missed("never seen")
    assert ghosts.hits == {"pressure": GhostHits(1, 30)}
    ghosts.missed("a")
    assert ghosts.hits == {"pressure": GhostHits(1, 30), "capacity": GhostHits(1, 40)}


def test_an_eviction_is_regretted_once() -> None:
    ghosts = Ghosts(100)
    ghosts.evicted("a", 40, "capacity")
    ghosts.missed("a")
    ghosts.missed("a")
    assert ghosts.hits["capacity"] == GhostHits(1, 40)


def test_what_lies_deeper_than_the_tier_could_grow_is_forgotten() -> None:
    ghosts = Ghosts(100)
    for key in "abc":
        ghosts.evicted(key, 40, "capacity")
    ghosts.missed("a")
    assert ghosts.hits == {}
    assert len(ghosts) == 2


def test_an_eviction_again_is_the_newest() -> None:
    ghosts = Ghosts(100)
    for key in "abac":
        ghosts.evicted(key, 40, "capacity")
    ghosts.missed("a")
    assert ghosts.hits["capacity"].count == 1
    assert len(ghosts) == 1


def test_its_memory_is_bounded_whatever_the_sizes() -> None:
    ghosts = Ghosts(1 << 60)
    for number in range(MAX_GHOSTS + 10):
        ghosts.evicted(str(number), 1, "capacity")
    assert len(ghosts) == MAX_GHOSTS
    assert ghosts.forget("9") is None
    assert ghosts.forget("10") == ("capacity", 1)
