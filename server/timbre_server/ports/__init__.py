"""The seams: what does each inner part promise to those who use it?

A contract (effect, shape, error) is written once here; adapters are short and silent, are imported by the
composition root only, and pass one conformance suite per port.
"""

from timbre_server.ports.dispatch import Dispatcher, Permit, RowTimings
from timbre_server.ports.engine import Engine, EngineDescriptor, EngineWorker, Piece, TensorSpec, Utterance
from timbre_server.ports.features import (
    Blob,
    Claim,
    Failed,
    FeatureName,
    FeatureSource,
    FoundFeatures,
    Granted,
    Heat,
    Held,
    LoadReference,
    SharedFeatures,
    Taken,
)
from timbre_server.ports.results import Saying, VoiceIdentity
from timbre_server.ports.speakers import SpeakerVerifier
from timbre_server.ports.voices import (
    Acknowledgements,
    ChangeKind,
    ChangeListener,
    Deletion,
    Fleet,
    Replacement,
    VoiceChange,
    VoiceName,
    VoiceStore,
)

__all__ = [
    "Acknowledgements",
    "Blob",
    "ChangeKind",
    "ChangeListener",
    "Claim",
    "Deletion",
    "Dispatcher",
    "Engine",
    "EngineDescriptor",
    "EngineWorker",
    "Failed",
    "FeatureName",
    "FeatureSource",
    "Fleet",
    "FoundFeatures",
    "Granted",
    "Heat",
    "Held",
    "LoadReference",
    "Permit",
    "Piece",
    "Replacement",
    "RowTimings",
    "Saying",
    "SharedFeatures",
    "SpeakerVerifier",
    "Taken",
    "TensorSpec",
    "Utterance",
    "VoiceChange",
    "VoiceIdentity",
    "VoiceName",
    "VoiceStore",
]
