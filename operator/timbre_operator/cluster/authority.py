"""By whose signature is the API server known, also after that authority was exchanged?

A cluster's authority is renewed every few years, and its file in the pod with it, days before the API server shows a
certificate of the new one.  A TLS context takes further authorities while it is in use, for the connections that come: so
nothing is closed and nobody has to restart.  The old one stays trusted for as long as the process runs.
"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Final

_NO_FILE: Final = (0, 0, 0)

logger = logging.getLogger("timbre.cluster")


class Authority:
    """The file of an authority, and the context that trusts it."""

    def __init__(self, context: ssl.SSLContext, file: str | None) -> None:
        """The context trusts what is in the file now; without a file there is nothing to follow."""
        self._context = context
        self._file = Path(file) if file else None
        self._stamp = self._found()

    def follow(self) -> None:
        """Takes in what the file has become; a few microseconds where it is the same.

        Half a file, or none, changes nothing, and is looked at again.
        """
        if self._file is None or (stamp := self._found()) in {self._stamp, _NO_FILE}:
            return
        try:
            self._context.load_verify_locations(cafile=self._file)
        except OSError as error:  # ssl.SSLError is one
            logger.warning("the API server's authority cannot be read", extra={"fields": {"error": str(error)}})
            return
        self._stamp = stamp
        logger.info("another authority of the API server is trusted too", extra={"fields": {"file": str(self._file)}})

    def _found(self) -> tuple[int, int, int]:
        """Changes whenever the file does; Kubernetes exchanges it by a symbolic link to another folder."""
        try:
            found = (self._file or Path()).stat()
        except OSError:
            return _NO_FILE
        return found.st_ino, found.st_mtime_ns, found.st_size
