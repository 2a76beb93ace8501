"""What does a VoiceService say about finished speech: how long it is kept, where, and who may have it?"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from timbre_operator.voiceservice.measures import Duration, Size
from timbre_operator.voiceservice.model import KeyName, Model, ObjectName, Rule, Text
from timbre_operator.voiceservice.redis import SecretName

_BUCKET: Final = "^[a-z][a-z0-9]*://[^/@[:space:]]+(/[^[:space:]]*)?$"
_WEEK: Final = 7 * 24 * 3600
"""The longest that a link may hold; S3 bounds its own so."""


class ResultMemory(Model):
    """Finished speech in the memory of the pod."""

    max_bytes: Size = Size("64Mi")
    """The most; 0 = keep none there, only where pods share it.  The container's memory limit bounds it too."""


class ResultVolume(Model):
    """A volume that all pods mount."""

    claim_name: ObjectName
    """An existing PersistentVolumeClaim in the namespace of the VoiceService; ReadWriteMany where pods run on several nodes."""
    max_bytes: Size | None = None
    """Most bytes in it, 4Gi where it is not written; then the oldest speech goes."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.maxBytes) || !isQuantity(self.maxBytes) || quantity(self.maxBytes).compareTo(quantity('1Mi')) >= 0",
            "write a maxBytes of 1Mi or more",
            lambda volume: volume.max_bytes is None or volume.max_bytes.bytes >= Size("1Mi").bytes,
        ),
    )


class ResultBucket(Model):
    """A bucket."""

    url: Text
    """Its address, such as s3://bucket/prefix; gs:// and az:// too."""
    credentials_secret_ref: SecretName | None = None
    """A Secret whose keys are the cloud's usual variables, such as AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and
    AWS_ENDPOINT; without it pods use what their service account or node gives them."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"self.url.matches('{_BUCKET}')",
            "write url as s3://bucket/prefix, without credentials",
            lambda bucket: re.fullmatch(_BUCKET.replace("[:space:]", r"\s"), bucket.url) is not None,
        ),
    )


class ResultKey(Model):
    """A key of a Secret in the namespace of the VoiceService; pods read it when they start."""

    name: ObjectName
    """The Secret."""
    key: KeyName
    """Its key."""


class ResultLinks(Model):
    """Links to finished speech, which answers carry."""

    keys_secret_ref: ResultKey
    """Where the keys are that sign links: 32 bytes in base64 in each line; the first signs, all are good."""
    ttl: Duration | None = None
    """How long a link holds, 1h where it is not written."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"!has(self.ttl) || !self.ttl.matches('{Duration.PATTERN}')"
            " || duration(self.ttl) >= duration('1s') && duration(self.ttl) <= duration('168h')",
            "write a ttl of 1s to 168h",
            lambda links: links.ttl is None or 1 <= links.ttl.seconds <= _WEEK,
        ),
    )


class ResultCache(Model):
    """How long finished speech is kept, so that what was said once is not made again."""

    enabled: bool = True
    """Whether it is kept, and whether equal requests at one time share one synthesis."""
    ttl: Duration = Duration("24h")
    """How long after it was made, however often it is heard."""
    max_entry_bytes: Size = Size("4Mi")
    """Most bytes of one speech, as samples: 4Mi are 87 s at 24 kHz; what is longer is not kept."""
    speed_tolerance_percent: Annotated[int, Field(ge=0, le=50)] = 0
    """By how much speed may differ for speech to count as equal, in percent; 0 = not at all."""
    similar_text: bool = False
    """Whether speech is heard for English texts too that say the same words, but are written otherwise."""
    host: ResultMemory = ResultMemory()
    """Finished speech in the pod's memory, beside what pods share."""
    storage: Literal["Redis", "Volume", "Bucket"] = "Redis"
    """Where pods share it: the Redis of the voices, a volume or a bucket; they agree in Redis on who makes what."""
    volume: ResultVolume | None = None
    """The volume, for Volume."""
    bucket: ResultBucket | None = None
    """The bucket, for Bucket."""
    encryption_key_secret_ref: ResultKey | None = None
    """Where the key is, 32 bytes in base64, with which shared speech is encrypted (AES-256-GCM); not written = it is not."""
    links: ResultLinks | None = None
    """Links to finished speech; not written = there are none."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"!self.ttl.matches('{Duration.PATTERN}') || duration(self.ttl) >= duration('1s')",
            "write a ttl of 1s or more, or enabled: false",
            lambda cache: cache.ttl.seconds >= 1,
        ),
        Rule(
            "!isQuantity(self.maxEntryBytes) || quantity(self.maxEntryBytes).compareTo(quantity('64Ki')) >= 0",
            "write a maxEntryBytes of 64Ki or more; a second of speech has 47Ki",
            lambda cache: cache.max_entry_bytes.bytes >= Size("64Ki").bytes,
        ),
        Rule(
            "self.storage != 'Volume' || has(self.volume)",
            "write volume.claimName, a claim that all pods can mount, or storage: Redis",
            lambda cache: cache.storage != "Volume" or cache.volume is not None,
        ),
        Rule(
            "self.storage != 'Bucket' || has(self.bucket)",
            "write bucket.url, or storage: Redis",
            lambda cache: cache.storage != "Bucket" or cache.bucket is not None,
        ),
        Rule(
            "self.storage != 'Redis' || !has(self.volume) && !has(self.bucket)",
            "write storage: Volume or storage: Bucket, or remove volume and bucket",
            lambda cache: cache.storage != "Redis" or (cache.volume is None and cache.bucket is None),
        ),
    )
