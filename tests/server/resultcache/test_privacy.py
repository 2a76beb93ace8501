"""What looks private is recognised, and ordinary text is not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.errors import ConfigurationError
from timbre_server.resultcache.privacy import PrivateTexts

is_private = PrivateTexts()


@pytest.mark.parametrize(
    "text",
    [
        "Call +49 30 1234567 today.",
        "Call (555) 123-4567.",
        "Rappelez le 01.23.45.67.89.",
        "+4915112345678",
        "His card is 4111 1111 1111 1111.",
        "4111\u20131111\u20131111\u20131111",
        "Pay to DE89 3704 0044 0532 0130 00, please.",
        "gb82WEST12345698765432",
        "Write to ada.lovelace+news@example.co.uk!",
        "Your number is 123-45-6789.",
        "Call +49 30 123\n\n4567.",
        "\u202a+49 30 12\u200b34\u200b567\u202c",
        "\uff10\uff13\uff10\uff0d\uff11\uff12\uff13\uff14\uff15\uff16",
        "03\u00ad01\u00ad23\u00ad45\u00ad6",
        "ada\uff20example\uff0ecom",
        "555\u2212123\u22124567",
    ],
)
def test_what_stands_for_a_person_is_private(text: str) -> None:
    assert is_private(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The quick brown fox jumps over the lazy dog.",
        "It is 9:45 on 24 March.",
        "In 2024 there were 1,234,567 of them.",
        "Chapter 12, section 3.4.",
        "That costs 1299.99 dollars.",
        "Meet me @ the station.",
        "Version 1.2.3 of the A380.",
    ],
)
def test_ordinary_text_is_not(text: str) -> None:
    assert not is_private(text)


@given(st.from_regex(r"\+?\d{1,3}[ \-]?\d{3}[ \-]?\d{4}", fullmatch=True), st.text(max_size=20), st.text(max_size=20))
def test_a_telephone_number_is_found_wherever_it_stands(number: str, before: str, after: str) -> None:
    assert is_private(f"{before} {number} {after}")


def test_a_pattern_may_name_signs_that_are_written_otherwise_in_plain_ones(tmp_path: Path) -> None:
    file = tmp_path / "patterns"
    file.write_text("O\ufb03ce\n", "utf-8")
    private = PrivateTexts.from_file(file)
    assert private("The o\ufb03ce.")
    assert not private("The office.")


def test_patterns_of_a_file_take_the_place_of_the_built_in_ones(tmp_path: Path) -> None:
    file = tmp_path / "patterns"
    file.write_text("# people\n\n  ada lovelace \n\\bproject \\w+\\b\n", "utf-8")
    private = PrivateTexts.from_file(file)
    assert private("Dear ADA Lovelace,")
    assert private("This is project Xanadu.")
    assert not private("Call (555) 123-4567.")


def test_a_file_that_says_nothing_makes_nothing_private(tmp_path: Path) -> None:
    file = tmp_path / "patterns"
    file.write_text("# nothing\n", "utf-8")
    assert not PrivateTexts.from_file(file)("Call (555) 123-4567.")


@pytest.mark.parametrize(("content", "said"), [(b"fine\n(broken\n", "line 2"), (b"\xff", "UTF-8"), (None, "read")])
def test_a_file_that_cannot_be_used_stops_the_start(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "patterns"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=said):
        PrivateTexts.from_file(file)
