"""How are the children of a VoiceService named, labelled and owned?  In one place, the same for all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from timbre_contract import labels
from timbre_operator.desired.inputs import Manifest
from timbre_operator.voiceservice import VoiceService


def child(
    service: VoiceService, api_version: str, kind: str, *, suffix: str = "", component: str, **body: Any
) -> Manifest:
    """A child that is called as its owner, plus ``suffix``; ``body`` holds what stands beside the metadata."""
    metadata: Manifest = {
        "name": service.name + suffix,
        "namespace": service.namespace,
        "labels": {
            **labels.selector(service.name, component),
            labels.PART_OF_LABEL: labels.APPLICATION,
            labels.MANAGED_BY_LABEL: labels.FIELD_MANAGER,
        },
    }
    if service.metadata.uid:
        # Without blockOwnerDeletion: it would need the right to update finalizers of VoiceServices.
        metadata["ownerReferences"] = [
            {
                "apiVersion": labels.API_VERSION,
                "kind": labels.KIND,
                "name": service.name,
                "uid": service.metadata.uid,
                "controller": True,
            }
        ]
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}


def stamped(manifest: Manifest) -> Manifest:
    """The same with the digest of itself, by which a field is noticed that was applied once and is no longer wanted."""
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), labels.APPLIED_ANNOTATION: digest(manifest)}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def digest(part: Mapping[str, Any]) -> str:
    """64 bits of a hash: it tells two versions of one object apart, it protects nothing."""
    canonical = json.dumps(part, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
