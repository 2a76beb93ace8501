"""The headers by which a client says what caches may do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.api.cache_control import entity_tag, has_copy, wish_from
from timbre_server.ports import CacheWish


@pytest.mark.parametrize(
    ("value", "wish"),
    [
        ("no-store", CacheWish(keep=False)),
        ("no-cache", CacheWish(reuse=False)),
        ("only-if-cached", CacheWish(only_kept=True)),
        ("max-age=60", CacheWish(max_age_seconds=60)),
        ('max-age="60"', CacheWish(max_age_seconds=60)),
        ("max-age=0", CacheWish(reuse=False, max_age_seconds=0)),
        ("max-age=soon", CacheWish(reuse=False, max_age_seconds=0)),
        ("max-age=-1", CacheWish(reuse=False, max_age_seconds=0)),
        (" NO-STORE ,\tMax-Age = 5", CacheWish(keep=False, max_age_seconds=5)),
        ("no-transform, max-stale=5, stale-if-error, min-fresh=3", CacheWish()),
        ("", CacheWish()),
    ],
)
def test_a_directive_is_honoured(value: str, wish: CacheWish) -> None:
    assert wish_from([(b"accept", b"*/*"), (b"cache-control", value.encode())]) == wish


def test_without_a_word_everything_is_allowed() -> None:
    assert wish_from([(b"accept", b"no-store")]) == CacheWish()


def test_several_fields_count_together() -> None:
    fields = [(b"cache-control", b"no-store"), (b"cache-control", b"only-if-cached")]
    assert wish_from(fields) == CacheWish(keep=False, only_kept=True)


@given(st.binary())
def test_nothing_that_a_client_sends_is_an_error(value: bytes) -> None:
    assert isinstance(wish_from([(b"cache-control", value)]), CacheWish)
    assert isinstance(has_copy([(b"if-none-match", value)], b'W/"a"'), bool)


@pytest.mark.parametrize(
    ("value", "matches"),
    [
        (b'W/"ab-mp3"', True),
        (b'"ab-mp3"', True),
        (b'"other", W/"ab-mp3"', True),
        (b"*", True),
        (b'W/"ab-wav"', False),
        (b'"ab"', False),
        (b"ab-mp3", False),
        (b"", False),
    ],
)
def test_a_copy_is_recognised_by_its_tag(value: bytes, *, matches: bool) -> None:
    assert has_copy([(b"if-none-match", value)], entity_tag("ab", "mp3")) is matches


def test_several_fields_of_tags_count_together() -> None:
    assert has_copy([(b"if-none-match", b'"x"'), (b"if-none-match", b'"ab-mp3"')], entity_tag("ab", "mp3"))
