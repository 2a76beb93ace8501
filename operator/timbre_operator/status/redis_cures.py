"""What helps against each problem of a Redis?"""

from __future__ import annotations

from typing import Final

from timbre_operator.observed import RedisFacts, RedisProblem
from timbre_operator.status.finding import Finding
from timbre_operator.voiceservice import VoiceService
from timbre_operator.voiceservice.names import REDIS_SUFFIX
from timbre_operator.voiceservice.redis import ManagedRedis

_TOLD: Final[dict[RedisProblem, str]] = {
    RedisProblem.SECRET_MISSING: "a Secret that leads to Redis is missing",
    RedisProblem.UNREACHABLE: "Redis at {address} does not answer",
    RedisProblem.TLS_FAILED: "Redis at {address} and the operator come to no TLS",
    RedisProblem.AUTH_FAILED: "Redis at {address} refuses the user or the password",
    RedisProblem.LOADING: "Redis at {address} is reading its file",
    RedisProblem.TOO_OLD: "Redis at {address} is {version}, older than 7.0",
    RedisProblem.POLICY_EVICTS_VOICES: "Redis at {address} has maxmemory-policy {policy}, which evicts voices",
    RedisProblem.FULL: "Redis at {address} is full: no voice can be enrolled",
    RedisProblem.READ_ONLY: "Redis at {address} is a replica and takes no writes",
    RedisProblem.DISK_WRITE_FAILED: "Redis at {address} cannot write to its disk, and takes no writes until it can",
    RedisProblem.RESTART_DROPS_VOICES: (
        "Redis at {address} ({version}) drops voices when it starts again: it replays its append-only file with the rights of the"
        " user default, which lacks them"
    ),
    RedisProblem.APPEND_ONLY_OFF: (
        "somebody has turned off the append-only file of Redis at {address}: a restart would lose what it took since"
    ),
}

_MANAGED: Final[dict[RedisProblem, str]] = {
    RedisProblem.SECRET_MISSING: "delete Secret {secret}, and it is made anew",
    RedisProblem.UNREACHABLE: "look at it: kubectl -n {namespace} describe pod {pod}",
    RedisProblem.TLS_FAILED: "look at it: kubectl -n {namespace} logs {pod} -c redis",
    RedisProblem.AUTH_FAILED: "delete pod {pod}, so that it reads the passwords of Secret {secret} again",
    RedisProblem.LOADING: "wait",
    RedisProblem.TOO_OLD: "correct the operator's redis image",
    RedisProblem.POLICY_EVICTS_VOICES: "the operator sets it back to volatile-lru",
    RedisProblem.FULL: "raise spec.redis.managed.maxMemory (now {memory}), or delete voices",
    RedisProblem.READ_ONLY: "look at who made it one: kubectl -n {namespace} logs {pod} -c redis",
    RedisProblem.DISK_WRITE_FAILED: (
        "where the disk is full, raise spec.redis.managed.storage.size (now {volume}), and it goes on by itself; do not"
        " restart it: what is not on its disk would be lost"
    ),
    RedisProblem.APPEND_ONLY_OFF: "the operator turns it on again; do not restart Redis before",
    RedisProblem.RESTART_DROPS_VOICES: "let it read its users again before it restarts: ACL LOAD as an administrator",
}

_EXTERNAL: Final[dict[RedisProblem, str]] = {  # that one has no append-only file is its owner's choice
    RedisProblem.SECRET_MISSING: "create it",
    RedisProblem.UNREACHABLE: (
        "correct spec.redis.external.address, write tls: {{}} where it wants TLS, or let the operator's namespace through"
        " firewalls and NetworkPolicies"
    ),
    RedisProblem.TLS_FAILED: (
        "correct spec.redis.external.tls: the authority in caSecretRef, or our certificate in certificateSecretRef"
    ),
    RedisProblem.AUTH_FAILED: (
        "correct spec.redis.external.username, or the password in the Secret of passwordSecretRef"
    ),
    RedisProblem.LOADING: "wait",
    RedisProblem.TOO_OLD: "upgrade it",
    RedisProblem.POLICY_EVICTS_VOICES: "set it to volatile-lru, by CONFIG SET or in its parameter group",
    RedisProblem.FULL: "give it more memory, or delete voices",
    RedisProblem.READ_ONLY: "write the primary's address to spec.redis.external.address, or mode: Sentinel",
    RedisProblem.DISK_WRITE_FAILED: (
        "give its disk room, or mend it, and it goes on by itself; do not restart it: what is not on its disk would be lost"
    ),
    RedisProblem.RESTART_DROPS_VOICES: (
        "before it restarts, write ACL SETUSER default off resetpass allkeys +@all, and the same to its file of users: nobody"
        " can log in as a user that is off"
    ),
}


def told(facts: RedisFacts, problem: RedisProblem, service: VoiceService) -> Finding:
    """What is wrong, what helps, and what the probe saw."""
    managed = service.managed_redis
    named = {
        "address": facts.address,
        "version": facts.version,
        "policy": facts.policy,
        "namespace": service.namespace,
        "pod": f"{service.name}{REDIS_SUFFIX}-0",
        "secret": f"{service.name}{REDIS_SUFFIX}",
        "memory": str(managed.memory) if managed else "",
        "volume": _size(managed) if managed else "",
    }
    cure = (_EXTERNAL if managed is None else _MANAGED)[problem]
    detail = f": {facts.detail}" if facts.detail else ""
    return Finding(problem.value, f"{_TOLD[problem].format(**named)}; {cure.format(**named)}{detail}")


def _size(managed: ManagedRedis) -> str:
    """Of its volume, as somebody would write it."""
    written = managed.storage.size if managed.storage else None
    return str(written or f"{managed.volume_bytes >> 20}Mi")
