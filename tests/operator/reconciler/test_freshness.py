"""Whether watches still tell what happens."""

from __future__ import annotations

from timbre_operator.reconciler.freshness import Freshness

A = ("Deployment", "studio", "a")


class Scene:
    """Time passes by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.missed: list[str] = []
        self.freshness = Freshness(lambda: self.seconds, self.missed.append)
        self.freshness.watch(["Deployment", "Pod"])


def test_without_watches_nothing_is_idle() -> None:
    assert Freshness(lambda: 100.0).idle_seconds() == 0


def test_a_list_that_brings_nothing_new_shows_that_the_watch_missed_nothing() -> None:
    scene = Scene()
    scene.seconds = 60
    for kind in ("Deployment", "Pod"):
        scene.freshness.listed(kind, [])
    assert scene.freshness.idle_seconds() == 0


def test_the_most_silent_watch_counts() -> None:
    scene = Scene()
    scene.seconds = 60
    scene.freshness.heard(A)
    assert scene.freshness.idle_seconds() == 60
    assert scene.freshness.most_idle() == "Pod"


def test_what_a_list_is_faster_with_is_told_by_the_watch_a_moment_later_and_all_is_well() -> None:
    scene = Scene()
    scene.freshness.listed("Pod", [])
    scene.seconds = 60
    scene.freshness.listed("Deployment", [A])
    scene.freshness.heard(A)
    scene.seconds = 120
    scene.freshness.listed("Deployment", [])
    scene.freshness.listed("Pod", [])
    assert scene.missed == []
    assert scene.freshness.idle_seconds() == 0


def test_a_watch_that_does_not_tell_what_lists_find_is_not_fresh() -> None:
    scene = Scene()
    for minute in range(1, 6):
        scene.seconds = 60.0 * minute
        scene.freshness.listed("Deployment", [(*A[:2], str(minute))])
        scene.freshness.listed("Pod", [])
    assert scene.freshness.idle_seconds() == 300
    assert scene.freshness.most_idle() == "Deployment"
    assert scene.missed == ["Deployment"] * 4


def test_a_kind_that_is_watched_no_more_is_not_idle() -> None:
    scene = Scene()
    scene.seconds = 60
    scene.freshness.listed("Pod", [])
    scene.freshness.watch(["Pod"])
    assert scene.freshness.idle_seconds() == 0


def test_a_kind_that_is_new_begins_fresh() -> None:
    scene = Scene()
    scene.seconds = 60
    scene.freshness.watch(["Secret"])
    assert scene.freshness.idle_seconds() == 0
