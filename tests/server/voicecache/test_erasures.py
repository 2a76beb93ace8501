"""Erasures are ordered, counted, and bounded on the safe side."""

from timbre_server.voicecache.erasures import Erasures


def test_only_what_was_erased_after_the_point_counts() -> None:
    erasures = Erasures()
    erasures.note("a")
    point = erasures.count
    assert not erasures.since("a", point)
    assert not erasures.since("b", point)
    erasures.note("a")
    assert erasures.since("a", point)
    assert not erasures.since("b", point)


def test_what_is_too_long_ago_to_tell_counts_as_erased() -> None:
    erasures = Erasures(remembered=2)
    for digest in ("a", "b", "a", "c"):
        erasures.note(digest)
    assert erasures.since("never erased", 1)
    assert not erasures.since("never erased", 2)
    assert erasures.since("a", 2)
    assert not erasures.since("a", 3)
