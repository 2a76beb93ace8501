"""Under which key are the features of a voice kept, so that no two different extractions ever share one?"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from timbre_server.ports import EngineDescriptor

SCHEMA_VERSION: Final = 1
"""Grows when the layout of stored features changes."""


def feature_key(descriptor: EngineDescriptor, digest: str, transcript: str = "") -> str:
    """A sha256 in hex over every input of an extraction: the recording, the encoder and its configuration.

    The transcript counts only where the encoder uses it.  Parts are framed as JSON, so that no two lists of
    parts give the same bytes.
    """
    spec = sorted((name, tensor.dtype, tensor.dims) for name, tensor in descriptor.feature_spec.items())
    parts = [
        SCHEMA_VERSION,
        digest,
        " ".join(transcript.split()) if descriptor.uses_transcript else "",
        descriptor.name,
        descriptor.model_id,
        descriptor.revision,
        descriptor.encoder_id,
        descriptor.encoder_config_hash,
        spec,
    ]
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()
