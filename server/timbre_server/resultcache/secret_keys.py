"""Which keys does a mounted file hold, and how does each purpose get a secret of its own?

The package ``cryptography`` is loaded only where somebody names such a file.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from timbre_server.errors import ConfigurationError

KEY_BYTES: Final = 32
"""Of a key in a file, as ``openssl rand -base64 32`` writes one: as much as HMAC-SHA256 and AES-256 make use of."""


def keys_from_file(path: Path, variable: str) -> list[bytes]:
    """The keys of a file, one in a line, in base64; there is at least one.

    Raises:
        ConfigurationError: the file that ``variable`` names has none, or anything else.
    """
    try:
        lines = [line for line in map(bytes.strip, path.read_bytes().splitlines()) if line]
        keys = [base64.b64decode(line, validate=True) for line in lines]
    except (OSError, binascii.Error) as error:
        raise ConfigurationError(f"{variable} cannot be read as lines of base64") from error
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise ConfigurationError(f"{variable} must hold {KEY_BYTES} bytes in base64 in each line")
    return keys


@contextmanager
def needing_cryptography(variable: str) -> Iterator[None]:
    """Around all that loads the package.  Raises: ConfigurationError: it is not installed."""
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(
            f"{variable} needs a package that is not installed (cryptography); install Timbre with its extra encryption"
        ) from error


def derived(key: bytes, purpose: str, size_bytes: int) -> bytes:
    """A secret for one purpose, from which neither the key nor the secret of another purpose follows.

    References: RFC 5869 (HKDF); it needs no salt where the key is random.
    """
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - an optional package
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    return HKDF(SHA256(), size_bytes, salt=None, info=f"timbre {purpose}".encode()).derive(key)
