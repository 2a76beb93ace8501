"""What does a link to finished speech say, and until when does it hold?

A link is a path with two parameters, its end and a signature over both.  Whoever has it needs nothing else.  The path names
what is kept and with which voice it was asked for, in a form that only the servers can read: ids of voices may be names.

The signature is HMAC-SHA256.  The path is hidden by the synthetic initialisation vector of Rogaway and Shrimpton (EUROCRYPT
2006) with the same function in the place of both theirs: equal links are equal, and nothing else shows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from timbre_contract.api import RESULTS_PATH
from timbre_server.domain.speech import AudioFormat
from timbre_server.errors import ConfigurationError, LinkExpired, LinkRefused
from timbre_server.ports import ResultName, VoiceIdentity
from timbre_server.service.cached_speech import LinkedSpeech, Recall

KEY_BYTES: Final = 32
"""As long as what HMAC-SHA256 gives (RFC 2104, 3)."""
_VECTOR_BYTES: Final = 16
_MARK_BYTES: Final = 16
_DIGEST_BYTES: Final = 32
_BLOCK_BYTES: Final = 32
_MOST_DIGITS: Final = 12
"""Of a Unix time: 30,000 years."""


class LinkKey:
    """One key, with which links are signed and read."""

    def __init__(self, key: bytes) -> None:
        self._for_signatures, self._for_vectors, self._for_hiding = (
            _authenticated(key, b"timbre link: " + purpose) for purpose in (b"signature", b"vector", b"hiding")
        )

    def signature(self, path: str, expires: int) -> str:
        """64 hex digits."""
        return _authenticated(self._for_signatures, f"GET\n{path}\n{expires}".encode()).hex()

    def hidden(self, content: bytes) -> bytes:
        """What only ``shown`` can read."""
        vector = _authenticated(self._for_vectors, content)[:_VECTOR_BYTES]
        return vector + self._masked(vector, content)

    def shown(self, hidden: bytes) -> bytes:
        """What was hidden, of a path whose signature was found to be right."""
        return self._masked(hidden[:_VECTOR_BYTES], hidden[_VECTOR_BYTES:])

    def _masked(self, vector: bytes, content: bytes) -> bytes:
        blocks = range(-(-len(content) // _BLOCK_BYTES))
        mask = b"".join(_authenticated(self._for_hiding, vector + block.to_bytes(4)) for block in blocks)
        return bytes(one ^ other for one, other in zip(content, mask, strict=False))


def keys_from_file(path: Path) -> list[LinkKey]:
    """The keys of a file, one in a line: 32 bytes in base64, as ``openssl rand -base64 32`` writes them.

    Raises:
        ConfigurationError: the file has no such key.
    """
    try:
        lines = [line for line in map(bytes.strip, path.read_bytes().splitlines()) if line]
        keys = [base64.b64decode(line, validate=True) for line in lines]
    except (OSError, binascii.Error) as error:
        raise ConfigurationError("TIMBRE_RESULT_CACHE__LINK_KEYS_FILE cannot be read as lines of base64") from error
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise ConfigurationError(
            f"TIMBRE_RESULT_CACHE__LINK_KEYS_FILE must hold {KEY_BYTES} bytes in base64 in each line"
        )
    return [LinkKey(key) for key in keys]


@dataclass(frozen=True)
class SpeechLinks:
    """Makes links and reads them; the first key signs, and all are good for reading, so that they can be changed in turn."""

    keys: list[LinkKey]
    seconds: int
    """How long a link holds."""
    clock: Callable[[], float]
    """Gives Unix time in seconds."""

    def link(self, recall: Recall, kept_as: ResultName, audio_format: AudioFormat) -> str:
        """A path with its parameters, to what is kept under that name, as long as the voice of the request is the same."""
        key = self.keys[0]
        hidden = base64.urlsafe_b64encode(key.hidden(_content(recall, kept_as))).decode().rstrip("=")
        path = f"{RESULTS_PATH}/{hidden}.{audio_format}"
        expires = int(self.clock()) + self.seconds
        return f"{path}?expires={expires}&signature={key.signature(path, expires)}"

    def read(self, path: str, *, expires: str, signature: str) -> LinkedSpeech:
        """What a link leads to.

        Raises:
            LinkRefused, LinkExpired: it is not one of ours, or was changed, or its time is up.
        """
        if not (expires.isascii() and expires.isdigit() and len(expires) <= _MOST_DIGITS and signature.isascii()):
            raise LinkRefused(_NOT_OURS)
        for key in self.keys:
            if hmac.compare_digest(key.signature(path, int(expires)), signature):
                if self.clock() >= int(expires):
                    raise LinkExpired("this link has expired; ask for the speech again")
                return _linked(key, path)
        raise LinkRefused(_NOT_OURS)


_NOT_OURS: Final = "this link was not made by this service, or was changed"


def identity_mark(identity: VoiceIdentity) -> bytes:
    """Tells a voice as it was from what it has become."""
    return hashlib.sha256(json.dumps(asdict(identity)).encode()).digest()[:_MARK_BYTES]


def _content(recall: Recall, kept_as: ResultName) -> bytes:
    fixed = bytes.fromhex(kept_as.key) + identity_mark(recall.identity)
    return fixed + json.dumps([recall.tenant, recall.voice, kept_as.digest], separators=(",", ":")).encode()


def _linked(key: LinkKey, path: str) -> LinkedSpeech:
    hidden, _, audio_format = path.removeprefix(f"{RESULTS_PATH}/").rpartition(".")
    content = key.shown(base64.urlsafe_b64decode(hidden + "=" * (-len(hidden) % 4)))
    tenant, voice, digest = json.loads(content[_DIGEST_BYTES + _MARK_BYTES :])
    mark = content[_DIGEST_BYTES : _DIGEST_BYTES + _MARK_BYTES]
    name = ResultName(content[:_DIGEST_BYTES].hex(), digest)
    return LinkedSpeech(
        tenant, voice, lambda identity: identity_mark(identity) == mark, name, AudioFormat(audio_format)
    )


def _authenticated(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, hashlib.sha256)
