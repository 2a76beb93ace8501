"""What was published of a recording while it was replaced is not left where pods share it."""

from __future__ import annotations

from tests.server.resultcache.shared_memory import World
from tests.server.resultcache.stage import a_pod
from tests.server.service.parts import NOW, Parts
from timbre_server.ports import ChangeKind, ResultName, VoiceChange, VoiceName
from timbre_server.service.erasure import Erasure
from timbre_server.store import AloneFleet


async def test_each_pod_that_hears_of_a_replacement_erases_what_is_left_of_the_old_recording(parts: Parts) -> None:
    old, new = ResultName("1" * 64, "d" * 64), ResultName("2" * 64, "e" * 64)
    world, fleet = World(blobs={old: b"late", new: b"speech"}), AloneFleet()
    Erasure(store=parts.store, features=parts.features, results=a_pod(world).cache, fleet=fleet, clock=lambda: NOW)
    change = VoiceChange(
        ChangeKind.REPLACED, VoiceName("default", "voice_a"), 2, new.digest, "1-0", previous_digest=old.digest
    )
    fleet.tell(change)
    await fleet.acknowledged("1-0", timeout_seconds=5)
    assert list(world.blobs) == [new]
