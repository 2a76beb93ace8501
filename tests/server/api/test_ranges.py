"""Which bytes a request wants is what RFC 9110 says it wants."""

from __future__ import annotations

import pytest

from timbre_server.api.ranges import asked_range

TAG = b'"tag"'
SIZE = 100


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (b"bytes=0-0", range(1)),
        (b"bytes=10-19", range(10, 20)),
        (b"BYTES=10-19", range(10, 20)),
        (b"bytes=10-", range(10, 100)),
        (b"bytes=10-1000", range(10, 100)),
        (b"bytes=-10", range(90, 100)),
        (b"bytes=-1000", range(100)),
        (b"bytes=100-", range(0)),
        (b"bytes=-0", range(0)),
        (b"bytes=20-10", None),
        (b"bytes=-", None),
        (b"bytes=0-1,5-6", None),
        (b"items=0-1", None),
        (b"bytes=a-b", None),
        (b"bytes=" + b"9" * 5000 + b"-", None),
        (b"", None),
    ],
    ids=repr,
)
def test_one_range_is_given_and_anything_else_is_the_whole(asked: bytes, wanted: range | None) -> None:
    found = asked_range([(b"range", asked)], TAG, SIZE)
    assert (found is None) == (wanted is None)
    assert list(found or ()) == list(wanted or ())


def test_without_a_range_the_whole_is_wanted() -> None:
    assert asked_range([], TAG, SIZE) is None


@pytest.mark.parametrize(("condition", "holds"), [(TAG, True), (b'W/"tag"', False), (b'"old"', False), (b"Mon", False)])
def test_a_part_of_what_has_changed_is_not_given(condition: bytes, *, holds: bool) -> None:
    found = asked_range([(b"range", b"bytes=0-9"), (b"if-range", condition)], TAG, SIZE)
    assert (found == range(10)) is holds
