"""Sealed speech opens with its key, under its name, whole; anything else is a miss."""

import base64
import sys
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from tests.server.resultcache.sayings import DESCRIPTOR, saying
from tests.server.resultcache.shared_memory import SharedMemory, World
from tests.server.resultcache.stage import PIECE_SAMPLES, PIECES, a_pod
from tests.virtual_time import in_virtual_time
from timbre_server.errors import ConfigurationError
from timbre_server.resultcache.codec import CorruptResult
from timbre_server.resultcache.keys import ResultKeys
from timbre_server.resultcache.sealing import OVERHEAD_BYTES, Sealer
from timbre_server.resultcache.secret_keys import KEY_BYTES

KEY, OTHER_KEY = "ab" * 32, "cd" * 32
SEALER, STRANGER = Sealer(b"k" * KEY_BYTES), Sealer(b"s" * KEY_BYTES)
BLOB = b"finished speech"
SEALED = SEALER.seal(KEY, BLOB)


@given(st.binary(max_size=100))
def test_what_was_sealed_opens_and_cannot_be_read_without(blob: bytes) -> None:
    sealed = SEALER.seal(KEY, blob)
    assert SEALER.open(KEY, sealed) == blob
    assert len(sealed) == len(blob) + OVERHEAD_BYTES
    assert len(blob) < 4 or blob not in sealed[OVERHEAD_BYTES - 16 :]


def test_no_two_seals_are_alike() -> None:
    assert SEALER.seal(KEY, BLOB) != SEALED


def test_another_key_opens_nothing() -> None:
    with pytest.raises(CorruptResult, match="not sealed with this key"):
        STRANGER.open(KEY, SEALED)


def test_an_entry_in_the_place_of_another_is_a_miss() -> None:
    with pytest.raises(CorruptResult, match="another key"):
        SEALER.open(OTHER_KEY, SEALED)


@given(st.integers(0, 8 * len(SEALED) - 1))
def test_one_bit_that_turned_makes_it_a_miss(bit: int) -> None:
    damaged = bytearray(SEALED)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CorruptResult):
        SEALER.open(KEY, damaged)


@given(st.integers(0, len(SEALED) - 1))
def test_a_part_is_not_the_whole(length: int) -> None:
    with pytest.raises(CorruptResult):
        SEALER.open(KEY, SEALED[:length])


def test_the_key_itself_seals_nothing() -> None:
    nonce, rest = SEALED[OVERHEAD_BYTES - 28 : OVERHEAD_BYTES - 16], SEALED[OVERHEAD_BYTES - 16 :]
    with pytest.raises(InvalidTag):
        AESGCM(b"k" * KEY_BYTES).decrypt(nonce, rest, SEALED[: OVERHEAD_BYTES - 28] + bytes.fromhex(KEY))


def test_names_depend_on_the_key_and_tell_nothing_of_it() -> None:
    names = {ResultKeys(DESCRIPTOR, secret=one.naming_secret)(saying()) for one in (SEALER, STRANGER)}
    assert len({*names, ResultKeys(DESCRIPTOR)(saying())}) == 3
    assert b"k" * KEY_BYTES not in SEALER.naming_secret


def test_a_key_is_32_bytes_in_base64(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(base64.b64encode(b"k" * KEY_BYTES) + b"\n")
    assert Sealer.from_file(file).open(KEY, SEALED) == BLOB


@pytest.mark.parametrize(
    "content",
    [b"", b"no base64!", base64.b64encode(b"short"), b"\n".join([base64.b64encode(b"k" * 32)] * 2), None],
    ids=str,
)
def test_a_file_without_a_key_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="KEY_FILE"):
        Sealer.from_file(file)


def test_without_the_package_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(ConfigurationError, match=r"extra encryption"):
        Sealer(b"k" * KEY_BYTES)


@in_virtual_time
async def test_pods_with_one_key_share_speech_that_nobody_else_can_read() -> None:
    world = World()
    one, other = (a_pod(world, sealer=SEALER) for _ in range(2))
    said = await one.ask()
    await world.until(lambda: bool(world.blobs))
    found = await other.ask()
    assert (found.outcome, found.id) == ("hit", said.id)
    [sealed] = world.blobs.values()
    assert b"WAVE" not in sealed


@in_virtual_time
async def test_a_pod_with_another_key_or_none_makes_its_own() -> None:
    world = World()
    await a_pod(world, sealer=SEALER).ask()
    await world.until(lambda: bool(world.blobs))
    for pod in (a_pod(world, sealer=STRANGER), a_pod(world)):
        assert (await pod.ask()).outcome == "miss"


@in_virtual_time
async def test_what_was_not_sealed_is_no_speech_for_a_pod_that_seals() -> None:
    world = World()
    await a_pod(world).ask()
    await world.until(lambda: bool(world.blobs))
    [(name, plain)] = world.blobs.items()
    sealing = a_pod(world, sealer=SEALER)
    key = ResultKeys(DESCRIPTOR, secret=SEALER.naming_secret)(saying())
    await SharedMemory(world).publish(name._replace(key=key), plain, None)
    assert (await sealing.ask()).outcome == "miss"


@pytest.mark.parametrize("sealer", [None, SEALER], ids=["readable", "sealed"])
@in_virtual_time
async def test_an_entry_as_it_is_stored_is_within_the_bound(sealer: Sealer | None) -> None:
    world = World()
    await a_pod(world, sealer=sealer).ask()
    await world.until(lambda: len(world.blobs) == 1 and not world.leases)
    [stored] = world.blobs.values()
    assert len(stored) > PIECES * PIECE_SAMPLES * 2
    for max_entry_bytes, outcome in ((len(stored), "hit"), (len(stored) - 1, "miss")):
        world.blobs.clear()
        pod = a_pod(world, sealer=sealer, max_entry_bytes=max_entry_bytes)
        await pod.ask()
        await world.until(lambda: len(world.blobs) == 1 and not world.leases)
        assert all(len(blob) <= max_entry_bytes for blob in world.blobs.values())
        assert (await pod.ask()).outcome == outcome
