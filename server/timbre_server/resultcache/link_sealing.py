"""How is that which a link says made unreadable, and safe from changes?

AES-SIV: encryption that needs no nonce and proves what it hides, and what is said beside it, at once.  A random nonce of
GCM is good for 2^32 links of a key, which a pod that answers 11,000 requests a second has given out within five days; and
AES-GCM-SIV wants a nonce too.

References: RFC 5297 (AES-SIV; equal input gives equal output, and nothing else shows).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

from timbre_server.ports import SealedLink
from timbre_server.resultcache.secret_keys import derived, keys_from_file, needing_cryptography

_VARIABLE: Final = "TIMBRE_RESULT_CACHE__LINK_KEYS_FILE"
_CIPHER_KEY_BYTES: Final = 64
"""Of AES-SIV with AES-256: one half proves, the other one hides."""
_PROOF_BYTES: Final = 16
"""What AES-SIV puts before that which it hides, and hides it by: who has no proof cannot read the rest, whatever he knows."""


class LinkKeys:
    """``LinkCipher`` with the keys of a service: the first one seals, and all open, so that they can be changed in turn."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Raises: ConfigurationError: the package ``cryptography`` is not installed."""
        with needing_cryptography(_VARIABLE):
            self._ciphers = [_cipher(key) for key in keys]

    def seal(self, content: bytes, *beside: bytes) -> SealedLink:
        sealed: bytes = self._ciphers[0].encrypt(content, list(beside))
        return SealedLink(sealed[_PROOF_BYTES:], sealed[:_PROOF_BYTES])

    def open(self, sealed: SealedLink, *beside: bytes) -> bytes | None:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - an optional package

        if len(sealed.proof) != _PROOF_BYTES:
            return None
        for cipher in self._ciphers:
            try:
                content: bytes = cipher.decrypt(sealed.proof + sealed.hidden, list(beside))
            except InvalidTag:
                continue
            return content
        return None

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """With the keys of a file.

        Raises:
            ConfigurationError: it holds none, or the package ``cryptography`` is not installed.
        """
        return cls(keys_from_file(path, _VARIABLE))


def _cipher(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV  # noqa: PLC0415 - an optional package

    return AESSIV(derived(key, "links", _CIPHER_KEY_BYTES))
