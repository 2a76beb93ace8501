"""What followers read is what the scripts write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from timbre_server.ports import ChangeKind, VoiceChange, VoiceName
from timbre_server.store import log_format
from timbre_server.store.log_format import (
    Acknowledgement,
    Heartbeat,
    from_fields,
)

PRELUDE = Path(log_format.__file__).with_name("lua") / "_change.lua"


def to_fields(change: VoiceChange) -> dict[str, str]:
    """As ``_change.lua`` writes them."""
    return {
        "kind": change.kind.value,
        "tenant": change.name.tenant,
        "voice": change.name.voice_id,
        "generation": str(change.generation),
        "digest": change.digest,
        "previous": change.previous_digest,
    }


def _as_read(fields: dict[str, str]) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in fields.items()}


@pytest.mark.parametrize("kind", ChangeKind)
def test_a_change_is_read_as_it_was_written(kind: ChangeKind) -> None:
    change = VoiceChange(kind, VoiceName("ä:b", "voice_1"), 7, "digest", "17-3", "before")
    assert from_fields(b"17-3", _as_read(to_fields(change))) == change


def test_heartbeats_and_acknowledgements_are_read_as_they_were_written() -> None:
    assert from_fields("5-1", _as_read({"kind": "heartbeat"})) == Heartbeat("5-1")
    assert from_fields("5-2", _as_read({"kind": "acknowledged", "pod": "pod-a", "entry": "4-0"})) == Acknowledgement(
        "pod-a", "4-0", "5-2"
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {b"kind": b"renamed", b"tenant": b"t", b"voice": b"v", b"generation": b"1", b"digest": b"d"},
        {b"kind": b"enrolled", b"tenant": b"t", b"voice": b"v", b"generation": b"one", b"digest": b"d"},
        {b"kind": b"enrolled", b"tenant": b"\xff", b"voice": b"v", b"generation": b"1", b"digest": b"d"},
        {b"kind": b"deleted", b"tenant": b"t"},
        {b"kind": b"acknowledged", b"pod": b"p"},
    ],
)
def test_what_cannot_be_read_is_none_and_breaks_nobody(fields: dict[bytes, bytes]) -> None:
    assert from_fields("1-1", fields) is None


def test_the_script_writes_the_same_names_and_length() -> None:
    text = PRELUDE.read_text("utf-8")
    written = re.search(r"'XADD', CHANGES, 'MAXLEN', '~', (\d+), '\*',(.*?)\)\n", text, re.DOTALL)
    assert written is not None
    assert int(written[1]) == log_format.MAX_ENTRIES
    change = VoiceChange(ChangeKind.ENROLLED, VoiceName("t", "v"), 1, "d", "1-1")
    assert re.findall(r"'(\w+)'", written[2]) == list(to_fields(change))
