"""Where does a pod read on?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.store.positions import ORIGIN, OVERLAP_MILLISECONDS, EntryId, Extent, Resumption, resumption

NOW = 1_700_000_000_000


def at(milliseconds: int) -> EntryId:
    return EntryId(NOW + milliseconds, 0)


@given(st.integers(0, 2**48), st.integers(0, 2**32))
def test_an_id_is_read_as_it_is_written(milliseconds: int, number: int) -> None:
    assert EntryId.parse(str(EntryId(milliseconds, number))) == (milliseconds, number)
    assert EntryId.parse(str(EntryId(milliseconds, number)).encode()) == (milliseconds, number)


def test_ids_are_ordered_by_number_not_by_text() -> None:
    assert EntryId.parse("9-0") < EntryId.parse("10-0")
    assert EntryId.parse("9-9") < EntryId.parse("9-10")


@pytest.mark.parametrize(
    ("why", "seen", "first", "last", "expected"),
    [
        (
            "a new pod begins a little before now",
            None,
            at(-9000),
            at(-1),
            Resumption(at(-OVERLAP_MILLISECONDS), gap=False),
        ),
        (
            "a new pod begins behind no entry that is there",
            None,
            at(-9000),
            at(-8000),
            Resumption(at(-8000), gap=False),
        ),
        ("a new log has everything before it", None, None, None, Resumption(ORIGIN, gap=False)),
        ("all that was missed is still there", at(-50), at(-90), at(-10), Resumption(at(-50), gap=False)),
        ("nothing was missed", at(-50), at(-90), at(-50), Resumption(at(-50), gap=False)),
        ("what was missed may be trimmed", at(-90), at(-50), at(-10), Resumption(at(-90), gap=True)),
        ("the log is gone", at(-50), None, None, Resumption(ORIGIN, gap=True)),
        ("the log went back", at(-50), at(-99), at(-60), Resumption(at(-60 - OVERLAP_MILLISECONDS), gap=True)),
    ],
)
def test_reading_goes_on_where_nothing_can_be_missed_unnoticed(
    why: str, seen: EntryId | None, first: EntryId | None, last: EntryId | None, expected: Resumption
) -> None:
    assert resumption(seen, Extent(first, last, NOW)) == expected, why


def test_a_clock_near_zero_gives_no_negative_position() -> None:
    assert resumption(None, Extent(None, None, 10)).position == ORIGIN
