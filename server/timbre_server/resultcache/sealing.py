"""How is shared speech made unreadable for whoever can read the place where it lies?

AES-256-GCM with a random nonce for each entry.  The entry's key is authenticated along with it, so that one entry cannot
be put in the place of another.  An entry that this process cannot open is a miss.

Three secrets come of the key, one for each use.

References: NIST SP 800-38D (GCM; with random nonces a key may seal 2^32 entries).
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Final

from timbre_server.errors import ConfigurationError
from timbre_server.ports import Blob
from timbre_server.resultcache.codec import CorruptResult
from timbre_server.resultcache.secret_keys import KEY_BYTES, derived, keys_from_file, needing_cryptography

_VARIABLE: Final = "TIMBRE_RESULT_CACHE__KEY_FILE"
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
        with needing_cryptography(_VARIABLE):
            self._cipher = _cipher(derived(key, "speech", KEY_BYTES))
            self._id = derived(key, "id of the key for speech", _ID_BYTES)
            self.naming_secret = derived(key, "names of speech", KEY_BYTES)
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
        """With the one key of a file.

        Raises:
            ConfigurationError: the file has none or several, or the package ``cryptography`` is not installed.
        """
        keys = keys_from_file(path, _VARIABLE)
        if len(keys) > 1:
            raise ConfigurationError(
                f"{_VARIABLE} must hold one key: no entry is found by the name that another one gives"
            )
        return cls(keys[0])


OVERHEAD_BYTES: Final = _HEAD_BYTES + _TAG_BYTES


def _cipher(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - an optional package

    return AESGCM(key)
