"""Multipart forms, read in memory within bounds: which parts does a route take, and how large may each be?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from timbre_server.api.validation import unknown_field
from timbre_server.errors import AudioTooLarge, InvalidBody, InvalidValue, MissingField

if TYPE_CHECKING:  # the library defines it for type checkers only
    from python_multipart.multipart import MultipartCallbacks

MULTIPART_TYPE: Final = b"multipart/form-data"

MAX_TEXT_BYTES: Final = 8 << 10
"""Of a part that is no file: the longest, a transcript of 2,000 characters, has at most 8,000 bytes in UTF-8."""


@dataclass(frozen=True)
class FormSpec:
    """The parts that a route takes."""

    file: str
    """Name of the one part that is a recording; required."""
    max_file_bytes: int
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()

    def limit(self, name: str) -> int:
        """Most bytes of that part."""
        return self.max_file_bytes if name == self.file else MAX_TEXT_BYTES


@dataclass(frozen=True)
class Form:
    """A form that was read: its recording and its texts."""

    file: bytes
    texts: Mapping[str, str]


async def read_form(request: Request, spec: FormSpec) -> Form:
    """The form in the body; refuses as soon as a part is one too many or too large.

    Raises:
        InvalidBody: it is no multipart form.
        UnknownField, MissingField, InvalidValue: it has other parts than the route takes.
        AudioTooLarge: the recording has too many bytes.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != MULTIPART_TYPE or not boundary:
        raise InvalidBody("the Content-Type must be multipart/form-data with a boundary")
    parts = _Parts(spec)
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        async for chunk in request.stream():
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise InvalidBody("the body is no correct multipart form") from error
    return parts.form()


@dataclass
class _Parts:
    """What the parser has found so far; its methods are the parser's callbacks."""

    spec: FormSpec
    found: dict[str, bytearray] = field(default_factory=dict)
    ended: bool = False
    _name: str = ""
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self.begin_part,
            "on_header_begin": self.begin_header,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self.end_header,
            "on_headers_finished": self.end_headers,
            "on_part_data": self.add,
            "on_end": self.end,
        }

    def begin_part(self) -> None:
        self._name = ""

    def begin_header(self) -> None:
        self._header.clear()
        self._value.clear()

    def end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._name = options.get(b"name", b"").decode("utf-8", "replace")

    def end_headers(self) -> None:
        spec, name = self.spec, self._name
        if not name:
            raise InvalidBody("every part of the form needs a name")
        if name not in {spec.file, *spec.required, *spec.optional}:
            raise unknown_field(name)
        if name in self.found:
            raise InvalidValue(f"`{name}` must be given once", param=name)
        self.found[name] = bytearray()

    def add(self, data: bytes, start: int, end: int) -> None:
        part, limit = self.found[self._name], self.spec.limit(self._name)
        if len(part) + end - start > limit:
            if self._name == self.spec.file:
                raise AudioTooLarge(f"`{self._name}` must have at most {limit} bytes", param=self._name)
            raise InvalidValue(f"`{self._name}` is too long", param=self._name)
        part += data[start:end]

    def end(self) -> None:
        self.ended = True

    def form(self) -> Form:
        if not self.ended:
            raise InvalidBody("the multipart form breaks off before its last boundary")
        for name in sorted({self.spec.file, *self.spec.required} - self.found.keys()):
            raise MissingField(f"`{name}` is required", param=name)
        file = bytes(self.found.pop(self.spec.file))
        return Form(file, {name: _text(name, value) for name, value in self.found.items()})


def _text(name: str, value: bytearray) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidValue(f"`{name}` must be UTF-8", param=name) from error
