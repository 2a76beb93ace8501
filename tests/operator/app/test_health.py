"""When a process of the operator is of no use any more."""

from __future__ import annotations

from typing import Any

from timbre_operator.app.health import STALLED_SECONDS, Health


def _health(**facts: Any) -> Health:
    well = {"idle": 0.0, "oldest": 0.0, "lost": False, "synced": True} | facts
    return Health(
        idle_seconds=lambda: well["idle"],
        most_idle=lambda: "Pod",
        oldest_seconds=lambda: well["oldest"],
        lease_lost=lambda: well["lost"],
        synced=lambda: well["synced"],
        stale_seconds=300,
    )


def test_all_is_well() -> None:
    assert _health().dead() == []
    assert _health().unready() == []


def test_before_the_first_lists_it_lives_and_is_not_ready() -> None:
    assert _health(synced=False).dead() == []
    assert _health(synced=False).unready() == ["it does not know the cluster yet"]


def test_a_watch_that_tells_nothing_is_named() -> None:
    assert _health(idle=300).dead() == []
    assert _health(idle=301).dead() == ["nothing was heard of Pod for 301 s"]
    assert _health(idle=301).unready() == _health(idle=301).dead()


def test_a_turn_that_does_not_end_is_noticed() -> None:
    assert _health(oldest=STALLED_SECONDS).dead() == []
    assert "a VoiceService waits" in _health(oldest=STALLED_SECONDS + 1).dead()[0]


def test_a_lost_lease_is_the_end() -> None:
    assert _health(lost=True).dead() == ["the lease is lost"]
