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
