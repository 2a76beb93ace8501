"""What does a link to finished speech say, and until when does it hold?

A link is a path with two parameters, its end and a signature.  Whoever has it needs nothing else.  The path names what is
kept and with which voice it was asked for, in a form that only the servers can read: ids of voices may be names.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from timbre_contract.api import RESULTS_PATH
from timbre_server.domain.speech import AudioFormat
from timbre_server.errors import LinkExpired, LinkRefused
from timbre_server.ports import LinkCipher, ResultName, SealedLink
from timbre_server.service.cached_speech import MARK_BYTES, LinkedSpeech, Recall

_KEY_BYTES: Final = 32
_MOST_DIGITS: Final = 12
"""Of a Unix time: 30,000 years."""


@dataclass(frozen=True)
class SpeechLinks:
    """Makes links and reads them."""

    cipher: LinkCipher
    seconds: int
    """How long a link holds."""
    clock: Callable[[], float]
    """Gives Unix time in seconds."""

    def link(self, recall: Recall, kept_as: ResultName, audio_format: AudioFormat) -> str:
        """A path with its parameters, to what is kept under that name, as long as the voice of the request is the same."""
        expires = str(int(self.clock()) + self.seconds)
        hidden, proof = self.cipher.seal(_content(recall, kept_as), audio_format.encode(), expires.encode())
        return f"{RESULTS_PATH}/{_to_text(hidden)}.{audio_format}?expires={expires}&signature={_to_text(proof)}"

    def read(self, path: str, *, expires: str, signature: str) -> LinkedSpeech:
        """What a link leads to.

        Raises:
            LinkRefused, LinkExpired: it is not one of ours, or was changed, or its time is up.
        """
        hidden, _, audio_format = path.removeprefix(f"{RESULTS_PATH}/").rpartition(".")
        content = self._opened(hidden, signature, audio_format, expires)
        if content is None:
            raise LinkRefused("this link was not made by this service, or was changed")
        if self.clock() >= int(expires):
            raise LinkExpired("this link has expired; ask for the speech again")
        return _linked(content, AudioFormat(audio_format))

    def _opened(self, hidden: str, signature: str, audio_format: str, expires: str) -> bytes | None:
        if not (audio_format.isascii() and expires.isascii() and expires.isdigit() and len(expires) <= _MOST_DIGITS):
            return None
        try:
            sealed = SealedLink(_from_text(hidden), _from_text(signature))
        except ValueError:
            return None
        return self.cipher.open(sealed, audio_format.encode(), expires.encode())


def _content(recall: Recall, kept_as: ResultName) -> bytes:
    fixed = bytes.fromhex(kept_as.key) + recall.mark
    return fixed + json.dumps([recall.tenant, recall.voice, kept_as.digest], separators=(",", ":")).encode()


def _linked(content: bytes, audio_format: AudioFormat) -> LinkedSpeech:
    key, mark = content[:_KEY_BYTES], content[_KEY_BYTES : _KEY_BYTES + MARK_BYTES]
    tenant, voice, digest = json.loads(content[_KEY_BYTES + MARK_BYTES :])
    return LinkedSpeech(tenant, voice, mark, ResultName(key.hex(), digest), audio_format)


def _to_text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _from_text(text: str) -> bytes:
    """Of what ``_to_text`` wrote, and of nothing that only means the same.  Raises: ValueError."""
    content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _to_text(content) != text:
        raise ValueError("another spelling of the same bytes")
    return content
