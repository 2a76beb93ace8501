"""Under which key are the features of a voice kept, so that no two different extractions ever share one?"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import Final

from timbre_server.ports import EngineDescriptor

SCHEMA_VERSION: Final = 1
"""Grows when the layout of stored features changes."""


def feature_key(descriptor: EngineDescriptor, digest: str, transcript: str = "") -> str:
    """A sha256 in hex over every input of an extraction: the recording, the encoder and its configuration.

    The transcript counts only where the encoder uses it, in NFC and whatever its white space.  Parts are framed as JSON, so
    that no two lists of parts give the same bytes.
    """
    spec = sorted((name, tensor.dtype, tensor.dims) for name, tensor in descriptor.feature_spec.items())
    parts = [
        SCHEMA_VERSION,
        digest,
        _normalised(transcript) if descriptor.uses_transcript else "",
        descriptor.name,
        descriptor.model_id,
        descriptor.revision,
        descriptor.encoder_id,
        descriptor.encoder_config_hash,
        spec,
    ]
    # Not in ASCII: its escapes make one character of two halves that came apart.
    framed = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(framed.encode("utf-8", "surrogatepass")).hexdigest()


def _normalised(transcript: str) -> str:
    return " ".join(unicodedata.normalize("NFC", transcript).split())
