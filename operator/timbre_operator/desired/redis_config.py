"""How is a managed Redis set up, and what may its users do?"""

from __future__ import annotations

import hashlib
from typing import Final

from timbre_contract.keys import VERSION_PREFIX
from timbre_operator.desired.inputs import RedisPasswords
from timbre_operator.desired.redis_access import POD_USER, REDIS_PORT
from timbre_operator.desired.redis_exporter import MONITOR_USER, monitor_password
from timbre_operator.voiceservice.redis import ManagedRedis

CONFIG_FOLDER: Final = "/etc/redis"
ACL_FOLDER: Final = "/etc/redis-acl"
DATA_FOLDER: Final = "/data"
OPERATOR_USER: Final = "timbre-operator"
PROBE_USER: Final = "probe"
POLICY: Final = "volatile-lru"
"""Caches have a life time and are evicted; voices have none and never are."""

# What the store's scripts and clients use lies in these categories; what can empty, stop or reconfigure a server does not.
_POD_COMMANDS: Final = (
    "-@all +@read +@write +@connection +@pubsub +@stream +@transaction +eval +evalsha +script|load +time +wait"
    " -@admin -@dangerous -function -fcall +info"
)
# Looks and tunes; has no key and no channel at all.
_OPERATOR_COMMANDS: Final = (
    "-@all +@connection -@admin -@dangerous +info +config|get +config|set +acl|load +dbsize +time"
)
# What redis_exporter asks. Not SLOWLOG GET: an entry holds arguments, and these are voices and what they say.
_MONITOR_COMMANDS: Final = "-@all +info +client|setname +slowlog|len +latency|latest +latency|histogram"


def redis_conf(managed: ManagedRedis, *, port: int = REDIS_PORT, acl_folder: str = ACL_FOLDER) -> str:
    """``redis.conf``."""
    return f"""\
# Made by timbre-operator; edit spec.redis.managed of the VoiceService instead.
port {port}
bind * -::*
# Every user has a password and NetworkPolicy guards the port; protected mode would look at the default user only.
protected-mode no
aclfile {acl_folder}/users.acl
dir {DATA_FOLDER}
# A node that is lost takes the last two seconds along at most; the disk waits for no enrolment and no cache.
appendonly yes
appendfsync everysec
save ""
maxmemory {managed.memory.bytes}
# Caches have a life time and are evicted; voices have none and never are.
maxmemory-policy {POLICY}
tcp-keepalive 60
"""


def users_acl(passwords: RedisPasswords) -> str:
    """``users.acl``: nobody without a password, except for a user that may only ping."""
    return (
        # Off: nobody logs in as it. Its rights are needed all the same: with them a server replays the transactions of its
        # file, and a script is one (github.com/redis/redis/issues/14541, github.com/valkey-io/valkey/issues/3983: without
        # them it drops every voice at a restart and says nothing to clients).
        "user default off resetpass allkeys resetchannels +@all\n"
        f"user {POD_USER} on #{_hash(passwords.pods)} ~{VERSION_PREFIX}* resetchannels &{VERSION_PREFIX}* {_POD_COMMANDS}\n"
        f"user {OPERATOR_USER} on #{_hash(passwords.operator)} resetkeys resetchannels {_OPERATOR_COMMANDS}\n"
        f"user {MONITOR_USER} on #{_hash(monitor_password(passwords))} resetkeys resetchannels {_MONITOR_COMMANDS}\n"
        f"user {PROBE_USER} on nopass resetkeys resetchannels -@all +ping +wait\n"
    )


def _hash(password: str) -> str:
    """As Redis stores passwords; generated ones are too long to be guessed from it."""
    return hashlib.sha256(password.encode()).hexdigest()
