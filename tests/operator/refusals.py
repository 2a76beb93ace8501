"""Manifests that must be refused, and what is said about them, and their neighbours that must not be.

For the typed resource and for a real API server alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.operator.manifests import a_service, merged

_COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Refusal:
    """One mistake."""

    patch: dict[str, Any]
    """Onto the smallest manifest."""
    said: str
    """Part of the sentence, here and by the API server."""
    rule: bool = True
    """Whether a rule of ours says it; bounds and types are reported in the API server's own words."""

    @property
    def manifest(self) -> dict[str, Any]:
        return merged(a_service().manifest, self.patch)


def _spec(said: str, *, rule: bool = True, **spec: Any) -> Refusal:
    return Refusal({"spec": spec}, said, rule)


def _voices(**fields: Any) -> list[dict[str, Any]]:
    return [{"name": "ann", "recording": {"path": "/recordings/ann.wav"}, **fields}]


REFUSALS: dict[str, Refusal] = {
    "name of 41 characters": Refusal({"metadata": {"name": "n" * 41}}, "write a metadata.name of at most 40"),
    "name that begins with a digit": Refusal({"metadata": {"name": "1st"}}, "a letter first"),
    "name with a dot": Refusal({"metadata": {"name": "a.b"}}, "a letter first"),
    "name like the Redis of another": Refusal({"metadata": {"name": "a-redis"}}, "does not end with -redis"),
    "name like the headless Service of another": Refusal({"metadata": {"name": "a-headless"}}, "does not end with"),
    "engine that does not exist": _spec("embedded", engine={"name": "xtts"}, rule=False),
    "model for an engine that brings its own": _spec(
        "write name: pocket-tts", engine={"name": "stub", "model": {"path": "/m"}}
    ),
    "pocket-tts without a model": _spec("pocket-tts brings no model along", engine={"name": "pocket-tts"}),
    "model by id and by path": _spec(
        "either id, with revision, or path",
        engine={"name": "pocket-tts", "model": {"id": "kyutai/pocket-tts", "revision": _COMMIT, "path": "/m"}},
    ),
    "model without id and path": _spec("either id", engine={"name": "pocket-tts", "model": {"revision": _COMMIT}}),
    "model by id without a revision": _spec(
        "40 digits of a commit", engine={"name": "pocket-tts", "model": {"id": "kyutai/pocket-tts"}}
    ),
    "model at a branch": _spec(
        "40 digits of a commit", engine={"name": "pocket-tts", "model": {"id": "kyutai/x", "revision": "main"}}
    ),
    "model at a relative path": _spec("from the root on", engine={"name": "pocket-tts", "model": {"path": "models"}}),
    "speech that is kept for no time": _spec("ttl of 1s or more", resultCache={"ttl": "500ms"}),
    "speech of which none fits": _spec("maxEntryBytes of 64Ki or more", resultCache={"maxEntryBytes": "1Ki"}),
    "any speed for any other": _spec("speedTolerancePercent", resultCache={"speedTolerancePercent": 51}, rule=False),
    "speech on no volume": _spec("write volume.claimName", resultCache={"storage": "Volume"}),
    "speech in no bucket": _spec("write bucket.url", resultCache={"storage": "Bucket"}),
    "speech in a bucket although on a volume": _spec(
        "write bucket.url", resultCache={"storage": "Bucket", "volume": {"claimName": "speech"}}
    ),
    "volume that nobody uses": _spec(
        "write storage: Volume or storage: Bucket", resultCache={"volume": {"claimName": "speech"}}
    ),
    "bucket that nobody uses": _spec("or remove volume and bucket", resultCache={"bucket": {"url": "s3://speech"}}),
    "volume for nothing": _spec(
        "maxBytes of 1Mi or more", resultCache={"storage": "Volume", "volume": {"claimName": "a", "maxBytes": "1Ki"}}
    ),
    "volume without a claim": _spec("claimName", resultCache={"storage": "Volume", "volume": {}}, rule=False),
    "bucket without a scheme": _spec(
        "s3://bucket/prefix", resultCache={"storage": "Bucket", "bucket": {"url": "speech"}}
    ),
    "bucket with a password": _spec(
        "without credentials", resultCache={"storage": "Bucket", "bucket": {"url": "s3://a:b@speech"}}
    ),
    "storage that does not exist": _spec("Redis", resultCache={"storage": "Disk"}, rule=False),
    "links without keys": _spec("keysSecretRef", resultCache={"links": {}}, rule=False),
    "links for a month": _spec(
        "ttl of 1s to 168h", resultCache={"links": {"keysSecretRef": {"name": "a", "key": "b"}, "ttl": "169h"}}
    ),
    "voice without a recording": _spec("write one of secretRef, configMapRef and path", voices=_voices(recording={})),
    "voice with two recordings": _spec(
        "write one of secretRef, configMapRef and path",
        voices=_voices(recording={"path": "/a.wav", "secretRef": {"name": "a", "key": "b"}}),
    ),
    "recording at a relative path": _spec("write path from the root on", voices=_voices(recording={"path": "a.wav"})),
    "recording in nobody's key": _spec("key", voices=_voices(recording={"secretRef": {"name": "a"}}), rule=False),
    "voice with a large letter": _spec("name", voices=_voices(name="Ann"), rule=False),
    "consent that is none": _spec("consent", voices=_voices(consent="yes"), rule=False),
    "image with a space": _spec("without spaces", image="timbre server:1"),
    "fewer pods than none": _spec("replicas", replicas=-1, rule=False),
    "number as a text": _spec("replicas", replicas="2", rule=False),
    "quantity that is none": _spec("cpu", resources={"limits": {"cpu": "two"}}, rule=False),
    "duration without a unit": _spec("write a duration such as", batching={"maxPending": "30"}),
    "duration with a space": _spec("write a duration such as", drain={"timeout": "1 m"}),
    "no room for work that waits": _spec("maxPending of more than 0s", batching={"maxPending": "0s"}),
    "delay of more than ten seconds": _spec("maxQueueDelay of at most 10s", batching={"maxQueueDelay": "11s"}),
    "batch of nothing": _spec("maxBatchSize", batching={"maxBatchSize": 0}, rule=False),
    "size with a wrong unit": _spec("write a size such as", voiceCache={"host": {"maxBytes": "1GB"}}),
    "size below zero": _spec("write a size such as", voiceCache={"host": {"maxBytes": "-1Gi"}}),
    "least above the most": _spec(
        "minBytes that is not larger than maxBytes", voiceCache={"device": {"minBytes": "3Gi"}}
    ),
    "share without a sign": _spec("write a share", voiceCache={"device": {"keepFree": "20"}}),
    "share of everything": _spec("write a share", voiceCache={"device": {"keepFree": "100%"}}),
    "managed and external Redis": _spec(
        "either managed or external", redis={"managed": {}, "external": {"address": "a:1"}}
    ),
    "external Redis without an address": _spec("address", redis={"external": {}}, rule=False),
    "address with a scheme": _spec("without redis://", redis={"external": {"address": "redis://cache:6379"}}),
    "address with a password": _spec("without a password", redis={"external": {"address": "user:secret@cache:6379"}}),
    "two addresses of one server": _spec("mode: Cluster for several", redis={"external": {"address": "a:1,b:1"}}),
    "second database of a cluster": _spec(
        "database 0 only", redis={"external": {"mode": "Cluster", "address": "a:1", "database": 2}}
    ),
    "Sentinels of a single server": _spec(
        "mode: Sentinel", redis={"external": {"address": "a:1", "sentinel": {"master": "m"}}}
    ),
    "Redis without memory": _spec("maxMemory of 64Mi or more", redis={"managed": {"maxMemory": "1Mi"}}),
    "volume that the file outgrows": _spec(
        "three times maxMemory", redis={"managed": {"maxMemory": "2Gi", "storage": {"size": "5Gi"}}}
    ),
    "volume below three times the default": _spec(
        "three times maxMemory", redis={"managed": {"storage": {"size": "2Gi"}}}
    ),
    "autoscaler that does not exist": _spec("HPA", autoscaling={"class": "VPA"}, rule=False),
    "no pod at all": _spec("minReplicas", autoscaling={"minReplicas": 0}, rule=False),
    "more at least than at most": _spec("minReplicas that is not larger", autoscaling={"minReplicas": 6}),
    "hit rate of everything": _spec("hitRatePercent", autoscaling={"targets": {"hitRatePercent": 100}}, rule=False),
    "pace of an unknown kind": _spec(
        "Pods",
        autoscaling={"behavior": {"scaleUp": {"policies": [{"type": "Nodes", "value": 1, "periodSeconds": 15}]}}},
        rule=False,
    ),
    "start within a second": _spec("startBudget of 10s or more", rollout={"startBudget": "1s"}),
    "leaving for an hour": _spec("accept of at most 5m", drain={"accept": "1h"}),
}

ACCEPTED: dict[str, dict[str, Any]] = {
    "nothing at all": {},
    "name of 40 characters": {"metadata": {"name": "n" * 40}},
    "delay of ten seconds": {"spec": {"batching": {"maxQueueDelay": "10s"}}},
    "no cache on the device": {"spec": {"voiceCache": {"device": {"maxBytes": "0"}}}},
    "least that is the most": {"spec": {"voiceCache": {"device": {"minBytes": "2048Mi"}}}},
    "nearly everything kept free": {"spec": {"voiceCache": {"device": {"keepFree": "95%"}}}},
    "volume of exactly three times the memory": {
        "spec": {"redis": {"managed": {"maxMemory": "2Gi", "storage": {"size": "6144Mi"}}}}
    },
    "smallest memory": {"spec": {"redis": {"managed": {"maxMemory": "64Mi"}}}},
    "one number of pods": {"spec": {"autoscaling": {"minReplicas": 5}}},
    "no pods, by hand": {"spec": {"replicas": 0, "autoscaling": {"class": "None"}}},
    "IPv6 and a host without a port": {
        "spec": {"redis": {"external": {"mode": "Cluster", "address": "[2001:db8::1]:6379,redis"}}}
    },
    "TLS with the certificates of the system": {"spec": {"redis": {"external": {"address": "a:1", "tls": {}}}}},
    "model in the options": {"spec": {"engine": {"name": "pocket-tts", "options": {"path": "/m", "x": 1.5}}}},
    "quantities as numbers and as texts": {"spec": {"resources": {"limits": {"nvidia.com/gpu": 1, "memory": "1.5Gi"}}}},
    "finished speech for a second": {"spec": {"resultCache": {"ttl": "1s", "maxEntryBytes": "64Ki"}}},
    "no finished speech in memory": {"spec": {"resultCache": {"host": {"maxBytes": "0"}}}},
    "finished speech on a volume": {
        "spec": {"resultCache": {"storage": "Volume", "volume": {"claimName": "speech", "maxBytes": "1Mi"}}}
    },
    "finished speech in a bucket, encrypted, with links": {
        "spec": {
            "resultCache": {
                "storage": "Bucket",
                "bucket": {"url": "s3://speech/below/it", "credentialsSecretRef": {"name": "cloud"}},
                "encryptionKeySecretRef": {"name": "keys", "key": "speech"},
                "links": {"keysSecretRef": {"name": "keys", "key": "links"}, "ttl": "168h"},
            }
        }
    },
    "voices from everywhere": {
        "spec": {
            "voices": [
                {"name": "a", "recording": {"secretRef": {"name": "s", "key": "a.ogg"}}, "transcript": "A."},
                {"name": "b-2", "recording": {"configMapRef": {"name": "c", "key": "b.flac"}}, "consent": "cons_1"},
                {"name": "n" * 63, "recording": {"path": "/recordings/n.wav"}},
            ]
        }
    },
    "any part of a pod": {"spec": {"podTemplate": {"spec": {"anything": [{"goes": None}]}}}},
}
"""Patches onto the smallest manifest."""


@dataclass(frozen=True)
class Transition:
    """One change of ``spec.redis``, which only an API server can judge: it has the old object."""

    before: dict[str, Any] | None
    after: dict[str, Any] | None
    said: str = ""
    """Part of the refusal; empty = accepted."""


def _storage(**fields: str) -> dict[str, Any]:
    return {"managed": {"storage": fields}}


_CLASS_STAYS = "write the redis.managed.storage.className that it had"
TRANSITIONS: dict[str, Transition] = {
    "from managed to external": Transition({"managed": {}}, {"external": {"address": "a:1"}}),
    "from external to nothing": Transition({"external": {"address": "a:1"}}, None),
    "a volume grows": Transition(_storage(size="4Gi"), _storage(size="4097Mi")),
    "a volume in another spelling": Transition(_storage(size="4Gi"), _storage(size="4096Mi")),
    "a size is written down": Transition(_storage(onDelete="Retain"), _storage(size="9Gi")),
    "a volume shrinks": Transition(_storage(size="4.5Gi"), _storage(size="4Gi"), "a volume cannot shrink"),
    "a storage class that stays": Transition(_storage(className="a"), _storage(className="a", size="9Gi")),
    "another storage class": Transition(_storage(className="a"), _storage(className="b"), _CLASS_STAYS),
    "a storage class at last": Transition(_storage(size="4Gi"), _storage(size="4Gi", className="b"), _CLASS_STAYS),
    "a storage class where nothing was written": Transition(None, _storage(className="b"), _CLASS_STAYS),
    "a storage class no more": Transition(_storage(className="a"), {"managed": {}}, _CLASS_STAYS),
    "a storage class of a new volume": Transition({"external": {"address": "a:1"}}, _storage(className="b")),
    "no volume any more": Transition(_storage(className="a"), {"external": {"address": "a:1"}}),
}
