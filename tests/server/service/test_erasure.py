"""What is left of a voice after its deletion: nothing, and somebody says so."""

from __future__ import annotations

import asyncio

import pytest

from tests.server.service.parts import HER_VOICE, HIS_VOICE, NOW, Parts, recorded
from timbre_server.errors import StoreUnavailable
from timbre_server.ports import Acknowledgements, ChangeKind, VoiceChange, VoiceName
from timbre_server.service.erasure import Erasure, ErasureReceipt
from timbre_server.service.voices import VoiceUpload
from timbre_server.store import AloneFleet

TENANT = "default"


async def test_a_receipt_says_what_went_and_who_confirmed_it(parts: Parts) -> None:
    voice = await parts.voices.enrol(TENANT, "narrator", VoiceUpload(recorded(HIS_VOICE)))
    receipt = await parts.voices.delete(TENANT, voice.id)
    assert receipt == ErasureReceipt(voice, int(NOW), 0, 0, Acknowledgements(acknowledged=("alone",)))
    assert receipt.complete


async def test_a_pod_confirms_a_deletion_only_when_nothing_of_it_is_in_use(parts: Parts) -> None:
    in_use = asyncio.Event()

    async def unused(_: str) -> None:
        await in_use.wait()

    parts.features.unused = unused  # type: ignore[method-assign]  # a request that is still speaking
    voice = await parts.voices.enrol(TENANT, "narrator", VoiceUpload(recorded(HIS_VOICE)))
    deleting = asyncio.create_task(parts.voices.delete(TENANT, voice.id))
    done, _ = await asyncio.wait({deleting}, timeout=0.05)
    assert not done
    in_use.set()
    assert (await deleting).pods.acknowledged == ("alone",)


async def test_a_replaced_recording_s_features_are_dropped_on_the_pods_that_hear_of_it(parts: Parts) -> None:
    voice = await parts.voices.enrol(TENANT, "narrator", VoiceUpload(recorded(HIS_VOICE)))
    held = parts.memory.held_bytes
    await parts.voices.replace(TENANT, voice.id, VoiceUpload(recorded(HER_VOICE)))
    assert parts.memory.held_bytes == held
    assert (await parts.voices.delete(TENANT, voice.id)).complete
    assert parts.memory.held_bytes == 0


@pytest.mark.parametrize("kind", [ChangeKind.DELETED, ChangeKind.REPLACED])
async def test_what_another_pod_changed_is_dropped_here(parts: Parts, kind: ChangeKind) -> None:
    fleet = AloneFleet()
    Erasure(store=parts.store, features=parts.features, fleet=fleet, clock=lambda: NOW)
    voice = await parts.voices.enrol(TENANT, "narrator", VoiceUpload(recorded(HIS_VOICE)))
    assert parts.memory.held_bytes > 0
    name = VoiceName(TENANT, voice.id)
    if kind is ChangeKind.DELETED:
        fleet.tell(VoiceChange(kind, name, 1, voice.digest, "1-0"))
    else:
        fleet.tell(VoiceChange(kind, name, 2, "another", "1-0", previous_digest=voice.digest))
    await fleet.acknowledged("1-0", timeout_seconds=5)
    assert parts.memory.held_bytes == 0


async def test_a_shared_tier_that_cannot_be_reached_makes_a_receipt_incomplete(parts: Parts) -> None:
    async def erase(_: str) -> int:
        raise StoreUnavailable("away")

    parts.features.erase = erase  # type: ignore[method-assign]  # Redis went away between two calls
    erasure = Erasure(store=parts.store, features=parts.features, fleet=AloneFleet(), clock=lambda: NOW)
    voice = await parts.voices.enrol(TENANT, "narrator", VoiceUpload(recorded(HIS_VOICE)))
    receipt = await erasure.delete(TENANT, voice.id)
    assert (receipt.shared_features, receipt.complete) == (None, False)


class Popularity:
    """A ``Heat`` that keeps what it was told."""

    def __init__(self) -> None:
        self.forgotten: list[VoiceName] = []

    def used(self, name: VoiceName) -> None:
        pass

    async def hottest(self, count: int) -> list[VoiceName]:
        return []

    def cooled(self, name: VoiceName) -> None:
        self.forgotten.append(name)


async def test_a_voice_that_was_deleted_on_any_pod_is_popular_no_more(parts: Parts) -> None:
    heat, fleet = Popularity(), AloneFleet()
    Erasure(store=parts.store, features=parts.features, fleet=fleet, heat=heat, clock=lambda: NOW)
    name = VoiceName(TENANT, "voice_elsewhere")
    fleet.tell(VoiceChange(ChangeKind.DELETED, name, 1, "digest", "1-0"))
    await fleet.acknowledged("1-0", timeout_seconds=5)
    assert heat.forgotten == [name]
