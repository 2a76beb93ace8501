"""Which keys does Timbre have in Redis?  All of them, on one screen.

Three classes.  *Registry* keys have no life time: under ``volatile-lru`` nothing evicts them.  *Cache* keys always have
one.  *Ephemeral* keys have a short one, and losing them early is harmless by design.

What one script touches must lie in one slot of a Redis Cluster.  So the registry and the log of a service carry its scope
as the hash tag, and everything about the features of a recording carries the recording's digest: a service with a million
voices is spread over all slots.  Finished speech carries its own key, as one voice may have said a million things.

Tenants and ids come from outside: what could pass for the border of a part is escaped, so that no name reaches into the
keys of another tenant (``a:b`` with ``c`` is not ``a`` with ``b:c``).
"""

from typing import Final

VERSION_PREFIX: Final = "timbre:1:"

_ESCAPES: Final = str.maketrans({character: f"%{ord(character):02X}" for character in "%:{}"})


def _part(text: str) -> str:
    return text.translate(_ESCAPES)


class ServiceKeys:
    """Keys of one service."""

    def __init__(self, scope: str) -> None:
        self._scope = scope
        self._registry = f"{VERSION_PREFIX}{{{scope}}}:"

    # Registry: no life time.

    def epoch(self) -> str:
        """String: a random word written once.  Gone = Redis was emptied, which is not the same as no voices."""
        return self._registry + "epoch"

    def sequence(self) -> str:
        """String: counts enrolments; the order of lists."""
        return self._registry + "sequence"

    def voice(self, tenant: str, voice_id: str) -> str:
        """Hash: the record of a voice, its recording included."""
        return f"{self._registry}voice:{_part(tenant)}:{_part(voice_id)}"

    def voices(self, tenant: str) -> str:
        """Sorted set: ids of a tenant's voices by their place in the sequence."""
        return f"{self._registry}voices:{_part(tenant)}"

    def tombstones(self, tenant: str) -> str:
        """Hash: id of a deleted voice -> its last generation."""
        return f"{self._registry}tombstones:{_part(tenant)}"

    def consent(self, tenant: str, consent_id: str) -> str:
        """Hash: a consent, its recording included."""
        return f"{self._registry}consent:{_part(tenant)}:{_part(consent_id)}"

    def consents(self, tenant: str) -> str:
        """Sorted set: ids of a tenant's consents by their place in the sequence."""
        return f"{self._registry}consents:{_part(tenant)}"

    def changes(self) -> str:
        """Stream: changes, heartbeats and acknowledgements, capped."""
        return self._registry + "changes"

    def pods(self) -> str:
        """Sorted set: names of pods by when they were last seen, in milliseconds of Redis' clock."""
        return self._registry + "pods"

    def results(self, digest: str) -> str:
        """Sorted set: keys of the speech of a recording by when it ends, in milliseconds of Redis' clock: an erasure finds
        by it what has to go, so nothing may evict it.  It goes with the voice."""
        return f"{VERSION_PREFIX}results:{self._scope}:{{{digest}}}"

    # Not stored at all.

    def whisper(self) -> str:
        """Channel: says at once what the stream says for sure, and which claims on features were resolved."""
        return self._registry + "whisper"

    # Cache: always a life time.

    def heat(self) -> str:
        """Sorted set: ``tenant/id`` of voices by popularity."""
        return self._registry + "heat"

    def features(self, digest: str) -> str:
        """Hash: feature key -> blob, for every encoder that has seen the recording."""
        return f"{VERSION_PREFIX}features:{self._scope}:{{{digest}}}"

    def result(self, key: str) -> str:
        """String: finished speech."""
        return f"{VERSION_PREFIX}result:{self._scope}:{{{key}}}"

    # Ephemeral: a short life time.

    def lease(self, digest: str) -> str:
        """String: token of the pod that extracts the features of the recording."""
        return f"{VERSION_PREFIX}lease:{self._scope}:{{{digest}}}"

    def failure(self, digest: str, key: str) -> str:
        """String: why the extraction failed a moment ago, as JSON."""
        return f"{VERSION_PREFIX}failure:{self._scope}:{{{digest}}}:{key}"

    def ready(self) -> str:
        """Sorted set: names of pods that are ready by when they last said so, in milliseconds of Redis' clock."""
        return self._registry + "ready"

    def result_lease(self, key: str) -> str:
        """Hash: token of the pod that makes the speech, and whether others wait for it."""
        return f"{VERSION_PREFIX}result_lease:{self._scope}:{{{key}}}"
