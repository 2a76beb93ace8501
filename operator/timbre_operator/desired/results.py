"""How do the pods get the place where they share finished speech, and the keys for it?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Final

from timbre_operator.desired.inputs import Manifest
from timbre_operator.voiceservice import VoiceService
from timbre_operator.voiceservice.results import ResultCache, ResultKey

VOLUME: Final = "results"
FOLDER: Final = "/var/lib/timbre/results"
KEYS_VOLUME: Final = "result-keys"
KEYS_FOLDER: Final = "/etc/timbre/results"


@dataclass(frozen=True)
class ResultAccess:
    """What a pod of the server gets."""

    environment: tuple[Manifest, ...] = ()
    environment_from: tuple[Manifest, ...] = ()
    mounts: tuple[Manifest, ...] = ()
    volumes: tuple[Manifest, ...] = ()


def build_result_access(service: VoiceService) -> ResultAccess:
    """To what finished speech needs beyond Redis; nothing where it is not kept."""
    cache = service.spec.result_cache
    if not cache.enabled:
        return ResultAccess()
    environment = [*_place(cache), *_links(cache)]
    mounts: list[Manifest] = []
    volumes: list[Manifest] = []
    if cache.storage == "Volume" and cache.volume is not None:
        mounts.append({"name": VOLUME, "mountPath": FOLDER})
        volumes.append({"name": VOLUME, "persistentVolumeClaim": {"claimName": cache.volume.claim_name}})
    sources: list[Manifest] = []
    for variable, reference, path in _keys(cache):
        environment.append(_variable(variable, f"{KEYS_FOLDER}/{path}"))
        sources.append({"secret": {"name": reference.name, "items": [{"key": reference.key, "path": path}]}})
    if sources:
        mounts.append({"name": KEYS_VOLUME, "mountPath": KEYS_FOLDER, "readOnly": True})
        # Readable by the group, which is fsGroup; 0440 in decimal, as the API shows it.
        volumes.append({"name": KEYS_VOLUME, "projected": {"defaultMode": 0o440, "sources": sources}})
    return ResultAccess(tuple(environment), tuple(_credentials(cache)), tuple(mounts), tuple(volumes))


def _place(cache: ResultCache) -> Iterator[Manifest]:
    if cache.storage == "Volume" and cache.volume is not None:
        yield _variable("STORAGE", "volume")
        yield _variable("VOLUME_PATH", FOLDER)
        if cache.volume.max_bytes is not None:
            yield _variable("VOLUME_MAX_BYTES", str(cache.volume.max_bytes.bytes))
    if cache.storage == "Bucket" and cache.bucket is not None:
        yield _variable("STORAGE", "object")
        yield _variable("OBJECT_URL", cache.bucket.url)


def _links(cache: ResultCache) -> Iterator[Manifest]:
    if cache.links is not None and cache.links.ttl is not None:
        yield _variable("LINK_SECONDS", str(ceil(cache.links.ttl.seconds)))


def _keys(cache: ResultCache) -> Iterator[tuple[str, ResultKey, str]]:
    if cache.encryption_key_secret_ref is not None:
        yield "KEY_FILE", cache.encryption_key_secret_ref, "encryption-key"
    if cache.links is not None:
        yield "LINK_KEYS_FILE", cache.links.keys_secret_ref, "link-keys"


def _credentials(cache: ResultCache) -> Iterator[Manifest]:
    bucket = cache.bucket
    if cache.storage == "Bucket" and bucket is not None and bucket.credentials_secret_ref is not None:
        yield {"secretRef": {"name": bucket.credentials_secret_ref.name}}


def _variable(name: str, value: str) -> Manifest:
    return {"name": f"TIMBRE_RESULT_CACHE__{name}", "value": value}
