"""What the address of a Redis may look like."""

from __future__ import annotations

from typing import Literal

import pytest

from timbre_server.errors import ConfigurationError
from timbre_server.settings import RedisSettings
from timbre_server.store.addresses import Addresses, addresses_from

Mode = Literal["standalone", "sentinel", "cluster"]


@pytest.mark.parametrize(
    ("url", "mode", "expected"),
    [
        ("redis://cache", "standalone", Addresses((("cache", 6379),))),
        ("redis://cache:7000/3", "standalone", Addresses((("cache", 7000),), database=3)),
        ("rediss://cache:7000/", "standalone", Addresses((("cache", 7000),), tls=True)),
        ("redis://a,b:7/2", "sentinel", Addresses((("a", 26379), ("b", 7)), database=2)),
        ("rediss://a:1, b:2,[::1]:3", "cluster", Addresses((("a", 1), ("b", 2), ("::1", 3)), tls=True)),
        ("redis://[fd00::1]", "standalone", Addresses((("fd00::1", 6379),))),
        ("unix:///run/redis%20a.sock", "standalone", Addresses((), unix_path="/run/redis a.sock")),
        (
            "redis://ada:s%40cr%3At@cache",
            "standalone",
            Addresses((("cache", 6379),), username="ada", password="s@cr:t"),
        ),
        ("redis://:p@ss@cache", "standalone", Addresses((("cache", 6379),), password="p@ss")),
    ],
)
def test_an_address_says_where_and_how(url: str, mode: Mode, expected: Addresses) -> None:
    assert addresses_from(RedisSettings(url=url, mode=mode)) == expected


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("", "standalone"),
        ("hunter2", "standalone"),
        ("http://hunter2", "standalone"),
        ("redis://", "standalone"),
        ("redis://:hunter2@", "standalone"),
        ("redis://a,b", "standalone"),
        ("redis://a:hunter2", "standalone"),
        ("redis://a:0", "standalone"),
        ("redis://a:65536", "standalone"),
        ("redis://a/hunter2", "standalone"),
        ("redis://a?password=hunter2", "standalone"),
        ("redis://a#hunter2", "standalone"),
        ("redis://a,,b", "cluster"),
        ("redis://a/1", "cluster"),
        ("unix:///hunter2", "cluster"),
        ("unix://hunter2", "standalone"),
    ],
)
def test_an_address_that_cannot_be_stops_the_start_and_is_not_repeated(url: str, mode: Mode) -> None:
    with pytest.raises(ConfigurationError, match="TIMBRE_REDIS__URL") as refused:
        addresses_from(RedisSettings(url=url, mode=mode))
    assert "hunter2" not in refused.value.message
