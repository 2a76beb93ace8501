"""The device tier as the server builds it, over slabs in host memory."""

from __future__ import annotations

import numpy as np

from tests.server.voicecache.descriptors import DESCRIPTOR
from timbre_server.app.device_tier import DeviceTier
from timbre_server.domain.voice import Features
from timbre_server.settings import VoiceCacheSettings
from timbre_server.telemetry.metrics import Metrics
from timbre_server.voicecache.arena import HugePages
from timbre_server.voicecache.device_storage import HostSlabMemory

MIB = 1 << 20
SETTINGS = VoiceCacheSettings(device_min_bytes=16 * MIB, device_max_bytes=64 * MIB)


def a_voice() -> Features:
    return {"embedding": np.zeros(5 * MIB // 4, np.float32)}


async def test_an_engine_without_a_device_has_no_such_tier() -> None:
    assert DeviceTier.build(DESCRIPTOR, SETTINGS, Metrics()) is None


class Reachable(HostSlabMemory):
    """A device that copies from some of this process' memory by itself."""

    def __init__(self) -> None:
        self.host = HugePages()


async def test_voices_lie_where_the_device_can_copy_them_unless_the_settings_forbid_it() -> None:
    memory = Reachable()
    assert DeviceTier(memory, DESCRIPTOR, SETTINGS, Metrics()).host_memory is memory.host
    forbidden = SETTINGS.model_copy(update={"host_pinned": False})
    assert DeviceTier(memory, DESCRIPTOR, forbidden, Metrics()).host_memory is None


async def test_without_nvml_the_budget_is_what_was_set_until_the_engine_finds_no_memory() -> None:
    device = DeviceTier(HostSlabMemory(), DESCRIPTOR, SETTINGS, Metrics())
    assert not device.out_of_memory()  # not started: there is nothing to give
    device.start()
    try:
        assert device.tier.capacity_bytes == 64 * MIB
        for number in range(12):
            lease = device.tier.put(f"key-{number}", f"digest-{number}", a_voice())
            assert lease is not None
            lease.release()
        held = device.tier.held_bytes
        assert device.out_of_memory()
        assert device.tier.held_bytes < held
        assert device.health() is None
    finally:
        await device.stop()
        await device.stop()
