"""What does a managed Redis have to be told while it runs?

A larger ``maxMemory`` needs a container with a larger limit, and a StatefulSet makes a new pod for that; the new one reads
its file.  What is told here is what somebody else changed by hand in the pod that runs, which a restart would bring back too.
"""

from __future__ import annotations

from collections.abc import Mapping

from timbre_contract import labels
from timbre_operator.desired.redis_config import POLICY
from timbre_operator.observed import Manifest, Observed, RedisProblem
from timbre_operator.voiceservice.names import REDIS_SUFFIX

_TELLABLE = {
    None,
    RedisProblem.POLICY_EVICTS_VOICES,
    RedisProblem.APPEND_ONLY_OFF,
    RedisProblem.FULL,
    RedisProblem.DISK_WRITE_FAILED,
}
"""With any other problem it cannot be told anything, or is none of ours."""


def redis_tuning(observed: Observed) -> Mapping[str, str]:
    """Settings for ``RedisProbe.tune``; empty at rest, with an external Redis, and while its pod is about to be replaced."""
    managed, facts = observed.service.managed_redis, observed.redis
    if managed is None or facts is None or facts.problem not in _TELLABLE or not _is_current(observed):
        return {}
    wanted: dict[str, str] = {}
    if facts.policy and facts.policy != POLICY:
        wanted["maxmemory-policy"] = POLICY
    if facts.appends is False:
        wanted["appendonly"] = "yes"  # it writes all that it holds into a new file then
    if facts.max_bytes != managed.memory.bytes:
        wanted["maxmemory"] = str(managed.memory.bytes)
    return wanted


def _is_current(observed: Observed) -> bool:
    """Whether the pod that runs was made from the StatefulSet as it is now; its limit fits what it is told then."""
    stateful_set = observed.child("StatefulSet", REDIS_SUFFIX)
    if stateful_set is None:
        return False
    wanted = _checksum(stateful_set["spec"]["template"])
    pods = [pod for pod in observed.pods if pod["metadata"]["name"] == f"{observed.service.name}{REDIS_SUFFIX}-0"]
    return bool(pods) and bool(wanted) and all(_checksum(pod) == wanted for pod in pods)


def _checksum(manifest: Manifest) -> str:
    return str((manifest["metadata"].get("annotations") or {}).get(labels.CONFIG_CHECKSUM_ANNOTATION, ""))
