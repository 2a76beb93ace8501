"""What can go wrong in the operator, and in which words?"""

from __future__ import annotations

from collections.abc import Iterable


class OperatorError(Exception):
    """Base of everything that the operator raises on purpose."""


class InvalidManifest(OperatorError):
    """A VoiceService that cannot be; ``sentences`` say what to write instead, one for each mistake."""

    def __init__(self, sentences: Iterable[str]) -> None:
        self.sentences = tuple(sentences)
        super().__init__("; ".join(self.sentences))


class InvalidSetting(OperatorError):
    """A flag or variable that cannot be; the message says what to write."""


class ClusterError(OperatorError):
    """The API server did not do what it was asked; the message is its own."""

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or type(self).__name__


class Forbidden(ClusterError):
    """We may not: a right is missing, a quota is used up, an admission policy says no.  Trying again at once is in vain."""


class Invalid(ClusterError):
    """The object cannot be as it was sent."""


class Conflict(ClusterError):
    """Somebody was faster, or an object of this name is there already."""


class NotFound(ClusterError):
    """There is no such object, kind or namespace."""


class Unavailable(ClusterError):
    """No answer, or one that says to come back later."""


class NotLeading(ClusterError):
    """Another operator writes, or may by now: ours has stopped."""
