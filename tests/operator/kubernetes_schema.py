"""Does Kubernetes know every field of a manifest?  By the models of its own Python client, which forbid what is unknown."""

from __future__ import annotations

from typing import Any, Final

from kubernetes.client import models
from pydantic import BaseModel, ValidationError

_PREFIXES: Final = {
    "v1": "V1",
    "apps/v1": "V1",
    "policy/v1": "V1",
    "networking.k8s.io/v1": "V1",
    "autoscaling/v2": "V2",
}


def mistakes(manifest: dict[str, Any]) -> list[str]:
    """A sentence for each field that is unknown, missing or of the wrong type.

    Raises:
        KeyError: Kubernetes itself has no such API; its models cannot be asked.
    """
    model: type[BaseModel] = getattr(models, f"{_PREFIXES[manifest['apiVersion']]}{manifest['kind']}")
    try:
        model.model_validate(manifest)
    except ValidationError as error:
        return [f"{manifest['kind']}.{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
    return []
