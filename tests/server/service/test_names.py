"""Names and ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.errors import InvalidValue
from timbre_server.service.names import MAX_NAME_CHARS, checked_name, random_hex


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=MAX_NAME_CHARS))
def test_any_short_printable_name_is_kept_as_it_is(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize("name", ["", " ", "\u3000", "x" * (MAX_NAME_CHARS + 1), "a\x00b", "a\x7fb", "a\nb", "a\udcff"])
def test_empty_long_and_unprintable_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        checked_name(name)
    assert caught.value.param == "name"


def test_outer_white_space_does_not_count() -> None:
    assert checked_name(" " * 100 + "x" * MAX_NAME_CHARS + "\t") == "x" * MAX_NAME_CHARS


def test_ids_are_128_bits_and_never_the_same() -> None:
    ids = {random_hex() for _ in range(1000)}
    assert len(ids) == 1000
    assert {len(one) for one in ids} == {32}
