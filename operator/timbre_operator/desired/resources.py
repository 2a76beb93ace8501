"""How much memory and which devices does a pod ask for?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from timbre_operator.desired.inputs import Manifest
from timbre_operator.voiceservice import VoiceService

MIB: Final = 1 << 20
_ENGINE_MIB: Final = {
    "stub": 128,
    # 250 MiB while it speaks, twice that with the network that verifies consents (measured resident sets).
    "embedded": 512,
    # 814 MiB with torch and a tiny model (measured); the rest for a model of 100 M parameters in float32 and its work.
    "pocket-tts": 2048,
}
_UPLOADS_MIB: Final = 128
"""Two uploads at once (the server's default), each decoded in a child process: 40 MiB of libraries and 30 s of samples."""
_CPU: Final = "500m"
"""Below half a core the server still answers probes in time; whoever wants speed writes what the engine needs."""
_DEVICE_PREFIXES: Final = ("nvidia.com/", "amd.com/", "gpu.intel.com/")


def build_resources(service: VoiceService) -> Manifest:
    """Resources of the server's container: what is written, and requests for what is not."""
    written = service.spec.resources
    # As texts: the API server makes them so.
    limits = {name: str(value) for name, value in ((written and written.limits) or {}).items()}
    requests: dict[str, str] = {}
    if "cpu" not in limits:
        requests["cpu"] = _CPU
    if "memory" not in limits:  # with a limit and no request, Kubernetes takes the limit
        requests["memory"] = f"{-(-needed_bytes(service) // MIB)}Mi"
    requests |= {name: str(value) for name, value in ((written and written.requests) or {}).items()}
    result: Manifest = {}
    if limits:
        result["limits"] = limits
    if requests:
        result["requests"] = requests
    if written and written.claims:
        result["claims"] = [claim.model_dump(by_alias=True, exclude_none=True) for claim in written.claims]
    return result


def needed_bytes(service: VoiceService) -> int:
    """Memory that the server needs when its caches are full."""
    fixed = (_ENGINE_MIB[service.spec.engine.name] + _UPLOADS_MIB) * MIB
    results = service.spec.result_cache
    speech = results.host.max_bytes.bytes if results.enabled else 0
    return fixed + service.spec.voice_cache.host.max_bytes.bytes + speech


def tolerations(service: VoiceService) -> list[Manifest]:
    """For the devices that are asked for: their nodes usually keep other pods away."""
    written = service.spec.resources
    names: Mapping[str, Any] = (written and written.limits) or {}
    devices = [name for name in names if name.startswith(_DEVICE_PREFIXES)]
    # MIG slices (nvidia.com/mig-1g.10gb) are tainted as the GPU that they are cut from.
    keys = {"nvidia.com/gpu" if name.startswith("nvidia.com/") else name for name in devices}
    return [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in sorted(keys)]
