"""Which voices does a service bring along, and where are their recordings?"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field

from timbre_operator.voiceservice.model import KeyName, Model, ObjectName, Rule, Text

MAX_VOICES: Final = 100
"""Each is looked at by every pod; whoever has thousands imports them once, by ``timbre-server voices import``."""
VOICE_PREFIX: Final = "voice_"
"""Ids of voices begin so; that of a declared one ends with its name."""


class RecordingKey(Model):
    """A key of an object in the namespace of the VoiceService."""

    name: ObjectName
    """The object."""
    key: KeyName
    """The key that holds the audio file."""


class Recording(Model):
    """Where a recording is; a Secret or a ConfigMap holds at most 1 MiB, a minute of Opus."""

    secret_ref: RecordingKey | None = None
    """In a Secret."""
    config_map_ref: RecordingKey | None = None
    """In a ConfigMap, below binaryData."""
    path: Text | None = None
    """A file in the container; podTemplate mounts its volume."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "(has(self.secretRef) ? 1 : 0) + (has(self.configMapRef) ? 1 : 0) + (has(self.path) ? 1 : 0) == 1",
            "write one of secretRef, configMapRef and path",
            lambda recording: [recording.secret_ref, recording.config_map_ref, recording.path].count(None) == 2,
        ),
        Rule(
            "!has(self.path) || self.path.startsWith('/')",
            "write path from the root on, such as /recordings/ann.wav",
            lambda recording: recording.path is None or recording.path.startswith("/"),
        ),
    )


class DeclaredVoice(Model):
    """A voice that is enrolled at the start, and replaced when its recording changes."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Its name; requests ask for voice_<name>."""
    recording: Recording
    """Where its recording is: 3 to 30 s of one speaker."""
    transcript: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    """What is said in it; some engines use it."""
    consent: Annotated[str, Field(max_length=69, pattern=r"^cons_[A-Za-z0-9_-]{1,64}$")] | None = None
    """Id of the speaker's consent, where the service requires one."""

    @property
    def id(self) -> str:
        """Under which requests ask for it."""
        return f"{VOICE_PREFIX}{self.name}"
