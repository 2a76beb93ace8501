"""How is shared speech made unreadable for whoever can read the place where it lies?

AES-256-GCM with a random nonce for each entry.  The entry's key is authenticated along with it, so that one entry cannot
be put in the place of another.  An entry that this process cannot open is a miss.

References: NIST SP 800-38D (GCM; with random nonces a key may seal 2^32 entries).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Any, Final

from timbre_server.errors import ConfigurationError
from timbre_server.ports import Blob
from timbre_server.resultcache.codec import CorruptResult

KEY_BYTES: Final = 32
_MAGIC: Final = b"timbre\x01\x01"
"""Differs from that of what is not sealed."""
_ID_BYTES: Final = 8
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_HEAD_BYTES: Final = len(_MAGIC) + _ID_BYTES + _NONCE_BYTES


class Sealer:
    """Seals and opens entries with one key."""

    def __init__(self, key: bytes) -> None:
        """Raises: ConfigurationError: the package ``cryptography`` is not installed."""
        self._cipher = _cipher(key)
        self._id = _derived(key, b"id")[:_ID_BYTES]
        self.naming_secret = _derived(key, b"names")
        """For the keys of entries: without it nobody can tell whether a text that he guesses was said."""

    def seal(self, key: str, blob: bytes) -> bytes:
        """The entry under that key, ``OVERHEAD_BYTES`` longer."""
        head = _MAGIC + self._id
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return b"".join([head, nonce, self._cipher.encrypt(nonce, blob, head + bytes.fromhex(key))])

    def open(self, key: str, blob: Blob) -> bytes:
        """What was sealed under that key.

        Raises:
            CorruptResult: it was not sealed, or with another key, or it was damaged or moved.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - an optional package

        view = memoryview(blob).cast("B")
        head = bytes(view[: len(_MAGIC) + _ID_BYTES])
        if head != _MAGIC + self._id or len(view) < _HEAD_BYTES + _TAG_BYTES:
            raise CorruptResult("not sealed with this key")
        nonce = bytes(view[len(head) : _HEAD_BYTES])
        try:
            opened: bytes = self._cipher.decrypt(nonce, view[_HEAD_BYTES:], head + bytes.fromhex(key))
        except InvalidTag as error:
            raise CorruptResult("damaged, or the entry of another key") from error
        return opened

    @classmethod
    def from_file(cls, path: Path) -> Sealer:
        """With the key of a file: 32 bytes in base64, as ``openssl rand -base64 32`` writes them.

        Raises:
            ConfigurationError: the file has no such key, or the package ``cryptography`` is not installed.
        """
        try:
            key = base64.b64decode(path.read_bytes().strip(), validate=True)
        except (OSError, binascii.Error) as error:
            raise ConfigurationError("TIMBRE_RESULT_CACHE__KEY_FILE cannot be read as base64") from error
        if len(key) != KEY_BYTES:
            raise ConfigurationError(f"TIMBRE_RESULT_CACHE__KEY_FILE must hold {KEY_BYTES} bytes in base64")
        return cls(key)


OVERHEAD_BYTES: Final = _HEAD_BYTES + _TAG_BYTES


def _cipher(key: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise ConfigurationError(
            "TIMBRE_RESULT_CACHE__KEY_FILE needs a package that is not installed (cryptography); install timbre[encryption]"
        ) from error
    return AESGCM(key)


def _derived(key: bytes, purpose: bytes) -> bytes:
    """Another secret for another purpose."""
    return hmac.digest(key, b"timbre finished speech: " + purpose, hashlib.sha256)
