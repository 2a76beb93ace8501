"""What a link says opens with a key that sealed it, unchanged, and with no other."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.errors import ConfigurationError
from timbre_server.ports import SealedLink
from timbre_server.resultcache.link_sealing import LinkKeys
from timbre_server.resultcache.sealing import Sealer

OLD, NEW = b"o" * 32, b"n" * 32
KEYS = LinkKeys([NEW])
CONTENT = b"which speech, and whose"
SEALED = KEYS.seal(CONTENT, b"mp3", b"1800000000")


@given(st.binary(min_size=1, max_size=300), st.lists(st.binary(max_size=30), max_size=3))
def test_what_was_sealed_opens(content: bytes, beside: list[bytes]) -> None:
    sealed = KEYS.seal(content, *beside)
    assert KEYS.open(sealed, *beside) == content
    assert KEYS.seal(content, *beside) == sealed
    assert len(content) < 4 or content not in sealed.hidden


@given(st.integers(0, 8 * (len(SEALED.proof) + len(SEALED.hidden)) - 1))
def test_one_bit_that_turned_opens_nothing(bit: int) -> None:
    changed = bytearray(SEALED.proof + SEALED.hidden)
    changed[bit // 8] ^= 1 << bit % 8
    assert KEYS.open(SealedLink(bytes(changed[16:]), bytes(changed[:16])), b"mp3", b"1800000000") is None


@pytest.mark.parametrize(
    "beside",
    [(), (b"mp3",), (b"wav", b"1800000000"), (b"mp3", b"1800000001"), (b"1800000000", b"mp3"), (b"mp31800000000",)],
    ids=repr,
)
def test_nothing_opens_beside_what_it_was_not_sealed_with(beside: tuple[bytes, ...]) -> None:
    assert KEYS.open(SEALED, *beside) is None


@pytest.mark.parametrize("size_bytes", [0, 15, 17])
def test_a_proof_of_another_size_opens_nothing(size_bytes: int) -> None:
    whole = SEALED.proof + SEALED.hidden
    assert KEYS.open(SealedLink(whole[size_bytes:], whole[:size_bytes]), b"mp3", b"1800000000") is None


def test_the_first_key_seals_and_all_open() -> None:
    turning = LinkKeys([NEW, OLD])
    old = LinkKeys([OLD]).seal(CONTENT)
    assert turning.open(old) == CONTENT
    assert turning.seal(CONTENT) == KEYS.seal(CONTENT)
    assert KEYS.open(old) is None


def test_one_key_for_links_and_for_speech_gives_two_secrets() -> None:
    blob = Sealer(NEW).seal("ab" * 32, CONTENT)
    assert all(KEYS.open(SealedLink(blob[place + 16 :], blob[place : place + 16])) is None for place in range(40))


def test_keys_come_from_a_file_one_in_a_line(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(b"\n".join(base64.b64encode(key) for key in (NEW, OLD)) + b"\n\n")
    keys = LinkKeys.from_file(file)
    assert keys.seal(CONTENT) == KEYS.seal(CONTENT)
    assert keys.open(LinkKeys([OLD]).seal(CONTENT)) == CONTENT


@pytest.mark.parametrize("content", [b"", b"\n", b"not base64!", base64.b64encode(bytes(31)), None], ids=repr)
def test_a_file_without_proper_keys_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="LINK_KEYS_FILE"):
        LinkKeys.from_file(file)


@pytest.mark.parametrize("module", ["ciphers.aead", "kdf.hkdf"])
def test_without_the_package_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, f"cryptography.hazmat.primitives.{module}", None)
    with pytest.raises(ConfigurationError, match=r"LINK_KEYS_FILE.*extra encryption"):
        LinkKeys([NEW])


def test_a_server_that_needs_no_keys_needs_no_package() -> None:
    check = "import sys; sys.modules['cryptography'] = None; import timbre_server.app.wiring"
    subprocess.run([sys.executable, "-c", check], check=True)
