"""What do TLS libraries take of a bundle of certificates?"""

from __future__ import annotations


def ascii_only(bundle: str) -> str:
    """The certificates, which are ASCII; comments between them come in every language, and libraries refuse those."""
    return bundle.encode("ascii", "ignore").decode()
