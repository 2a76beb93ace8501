"""Manifests that must be refused, and what is said about them: for the typed resource, and for a real API server."""

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
