"""Forms: every part known, each within its bound, nothing lost between chunks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from timbre_server.api.multipart import MAX_TEXT_BYTES, Form, FormSpec, read_form
from timbre_server.errors import AudioTooLarge, InvalidBody, InvalidValue, MissingField, RequestRejected, UnknownField

SPEC = FormSpec("sample", 1000, required=frozenset({"name"}), optional=frozenset({"type"}))
BOUNDARY = b"edge"


def a_part(name: str, value: bytes, filename: str | None = None) -> bytes:
    disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename else "")
    return b"--%b\r\nContent-Disposition: %b\r\n\r\n%b\r\n" % (BOUNDARY, disposition.encode(), value)


def a_form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--%b--\r\n" % BOUNDARY


async def read(content: bytes, cuts: Sequence[int] = (), content_type: str | None = None) -> Form:
    """Reads a form that arrives in pieces, cut at these places."""
    edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    pieces = [content[start:end] for start, end in pairwise(edges)]

    async def receive() -> Message:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    kind = content_type or f"multipart/form-data; boundary={BOUNDARY.decode()}"
    scope = {"type": "http", "headers": [(b"content-type", kind.encode())], "method": "POST", "path": "/"}
    return await read_form(Request(scope, receive), SPEC)


@given(sample=st.binary(max_size=400), name=st.text(max_size=40), cuts=st.lists(st.integers(0, 700), max_size=12))
async def test_a_form_reads_the_same_however_it_is_cut(sample: bytes, name: str, cuts: list[int]) -> None:
    content = a_form(a_part("name", name.encode("utf-8", "replace")), a_part("sample", sample, "a.wav"))
    form = await read(content, cuts)
    assert form.file == sample
    assert form.texts == {"name": name.encode("utf-8", "replace").decode()}


@given(st.binary(max_size=300))
async def test_any_bytes_are_a_rejection_and_not_a_crash(content: bytes) -> None:
    with pytest.raises(RequestRejected):
        await read(b"--edge" + content)


async def test_a_recording_may_be_sent_without_a_file_name() -> None:
    form = await read(a_form(a_part("name", b"x"), a_part("sample", b"bytes")))
    assert form.file == b"bytes"


@pytest.mark.parametrize(
    ("content", "error", "param"),
    [
        (a_form(a_part("sample", b"x", "a")), MissingField, "name"),
        (a_form(a_part("name", b"x")), MissingField, "sample"),
        (a_form(a_part("name", b"x"), a_part("colour", b"x")), UnknownField, "colour"),
        (a_form(a_part("name", b"x"), a_part("name", b"y")), InvalidValue, "name"),
        (a_form(a_part("name", b"x" * (MAX_TEXT_BYTES + 1))), InvalidValue, "name"),
        (a_form(a_part("sample", b"x" * 1001, "a")), AudioTooLarge, "sample"),
        (a_form(a_part("sample", b"x", "a"), a_part("name", b"\xff")), InvalidValue, "name"),
        (a_form(a_part("", b"x")), InvalidBody, None),
        (a_form(a_part("sample", b"x", "a"), a_part("name", b"x"))[:-10], InvalidBody, None),
        (b"--other\r\n\r\n", InvalidBody, None),
        (b"", InvalidBody, None),
    ],
)
async def test_what_is_wrong_with_a_form_is_told(
    content: bytes, error: type[RequestRejected], param: str | None
) -> None:
    with pytest.raises(error) as caught:
        await read(content)
    assert caught.value.param == param


async def test_a_part_that_is_too_large_is_refused_before_the_rest_arrives() -> None:
    head = a_part("sample", b"x" * 1001, "a")
    with pytest.raises(AudioTooLarge):
        await read(head + b"x" * 10_000, cuts=[len(head)])


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", "multipart/mixed; boundary=edge"])
async def test_another_content_type_is_refused(kind: str) -> None:
    with pytest.raises(InvalidBody):
        await read(a_form(a_part("name", b"x"), a_part("sample", b"x")), content_type=kind)


async def test_a_boundary_of_megabytes_is_refused() -> None:
    with pytest.raises(InvalidBody):
        await read(b"", content_type="multipart/form-data; boundary=" + "x" * 100_000)
