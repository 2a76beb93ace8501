"""How do the pods get the voices that the service declares?

A list in a ConfigMap and the recordings beside it, in one projected volume.  The server follows it: another transcript or
another recording in a Secret needs no new pods, another voice in the list is another volume, and that does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from timbre_contract import labels
from timbre_operator.desired.inputs import Inputs, Manifest
from timbre_operator.desired.ownership import child
from timbre_operator.voiceservice import VoiceService
from timbre_operator.voiceservice.names import VOICES_SUFFIX
from timbre_operator.voiceservice.voices import DeclaredVoice

VOLUME: Final = "voices"
FOLDER: Final = "/etc/timbre/voices"
_LIST: Final = "manifest.jsonl"
"""As ``timbre-server voices import`` calls it."""


def build_voice_list(inputs: Inputs) -> Manifest | None:
    """The list; None where no voice is declared."""
    service = inputs.service
    if not service.spec.voices:
        return None
    text = "".join(f"{json.dumps(_line(voice), sort_keys=True)}\n" for voice in service.spec.voices)
    return child(
        service, "v1", "ConfigMap", suffix=VOICES_SUFFIX, component=labels.SERVER_COMPONENT, data={_LIST: text}
    )


def voices_environment(service: VoiceService) -> list[Manifest]:
    """What tells the server of them."""
    return [{"name": "TIMBRE_VOICES__PRELOAD", "value": FOLDER}] if service.spec.voices else []


def voices_mounts(service: VoiceService) -> list[Manifest]:
    """Where they lie."""
    return [{"name": VOLUME, "mountPath": FOLDER, "readOnly": True}] if service.spec.voices else []


def voices_volumes(service: VoiceService) -> list[Manifest]:
    """The list, and what it names.

    Nothing of it has to be there: a missing recording keeps one voice away and no pod from starting, and is taken as soon
    as it comes.
    """
    if not service.spec.voices:
        return []
    listed = {"name": f"{service.name}{VOICES_SUFFIX}", "items": [{"key": _LIST, "path": _LIST}], "optional": True}
    sources = [{"configMap": listed}, *_recordings(service)]
    return [{"name": VOLUME, "projected": {"defaultMode": 0o440, "sources": sources}}]


def _recordings(service: VoiceService) -> Iterator[Manifest]:
    for voice in service.spec.voices or ():
        secret, config_map = voice.recording.secret_ref, voice.recording.config_map_ref
        for kind, reference in (("secret", secret), ("configMap", config_map)):
            if reference is not None:
                items = [{"key": reference.key, "path": _place(voice)}]
                yield {kind: {"name": reference.name, "items": items, "optional": True}}


def _line(voice: DeclaredVoice) -> dict[str, str]:
    line = {"id": voice.id, "name": voice.name, "audio": voice.recording.path or _place(voice)}
    if voice.transcript:
        line["transcript"] = voice.transcript
    if voice.consent:
        line["consent"] = voice.consent
    return line


def _place(voice: DeclaredVoice) -> str:
    return f"recordings/{voice.name}"
