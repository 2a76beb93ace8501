"""What does this pod itself hold of a voice, on its device and in its own memory?"""

from __future__ import annotations

import asyncio
from typing import Final

from timbre_server.domain.voice import Features
from timbre_server.ports import FoundFeatures
from timbre_server.voicecache.flights import Landing
from timbre_server.voicecache.tier import Lease, Tier

HOST: Final = "host"
DEVICE: Final = "device"


class MemoryTiers:
    """The host's tier, and the device's in front of it where there is one; lives on one event loop.

    What the device drops stays in the host's memory, from where it comes back without Redis.
    """

    def __init__(self, host: Tier, device: Tier | None = None) -> None:
        self._host = host
        self._device = device
        self._nearest = host if device is None else device
        self._source = HOST if device is None else DEVICE

    def nearest(self, key: str) -> FoundFeatures | None:
        """The features where the engine wants them, or None; costs no I/O."""
        lease = self._nearest.get(key)
        return None if lease is None else FoundFeatures(lease.features, self._source, lease.release)

    def holds(self, key: str) -> bool:
        """Whether a look-up would hit; counts nothing."""
        return self._nearest.holds(key) or self._host.holds(key)

    def adopted(self, key: str) -> Lease | None:
        """Makes a one-off voice a regular one: what the host has of it, if that was one-off until now."""
        if self._device is not None and (held := self._device.adopted(key)):
            held.release()
        return self._host.adopted(key)

    async def promoted(self, key: str, digest: str, *, one_off: bool = False) -> Landing | None:
        """Features that the host has, copied to the device in front of it."""
        if self._device is None:
            return None
        held = self._host.get(key)
        if held is None:
            return None
        try:
            lease = await self._on_device(self._device, key, digest, held.features, one_off=one_off)
        except BaseException:
            held.release()
            raise
        if lease is None:
            return Landing(held.features, HOST, held.release)
        held.release()
        return Landing(lease.features, HOST, lease.release)

    async def keep(self, key: str, digest: str, features: Features, *, source: str, one_off: bool = False) -> Landing:
        """Features that came from ``source``, kept in every tier that takes them."""
        lease = self._host.put(key, digest, features, one_off=one_off)
        if lease is not None:
            features = lease.features  # from where the device copies by itself, if from anywhere
        if self._device is not None:
            try:
                uploaded = await self._on_device(self._device, key, digest, features, one_off=one_off)
            except BaseException:
                if lease is not None:
                    lease.release()
                raise
            if uploaded is not None:
                if lease is not None:
                    lease.release()
                lease = uploaded
        if lease is None:
            return Landing(features, source, _nothing)
        return Landing(lease.features, source, lease.release)

    def fill_host(self, key: str, digest: str, features: Features) -> bool:
        """Keeps features in the host's memory if nothing must go for them; False if there is no room."""
        lease = self._host.put(key, digest, features, evicts=False)
        if lease is None:
            return False
        lease.release()
        return True

    @property
    def device_free_bytes(self) -> int:
        """What the device takes without an eviction; 0 without a device."""
        return 0 if self._device is None else self._device.free_bytes

    async def fill_device(self, key: str, digest: str, features: Features) -> bool:
        """As ``fill_host``, on the device."""
        if self._device is None:
            return False
        lease = await self._on_device(self._device, key, digest, features, evicts=False)
        if lease is None:
            return False
        lease.release()
        return True

    def forget(self, digest: str) -> None:
        """Drops all copies; those in use end with their last user."""
        for tier in self._tiers():
            tier.forget(digest)

    async def unused(self, digest: str) -> None:
        """Returns when nobody uses a copy any more that was forgotten or evicted."""
        for tier in self._tiers():
            await tier.unused(digest)

    def check_integrity(self) -> None:
        """Asserts that the counts of each tier are those of its entries."""
        for tier in self._tiers():
            tier.check_integrity()

    def _tiers(self) -> tuple[Tier, ...]:
        return (self._host,) if self._device is None else (self._device, self._host)

    async def _on_device(self, device: Tier, key: str, digest: str, features: Features, **how: bool) -> Lease | None:
        """``Tier.put`` in a thread: the loop does not wait for the bus."""
        uploading = asyncio.ensure_future(asyncio.to_thread(device.put, key, digest, features, **how))
        try:
            return await asyncio.shield(uploading)
        except asyncio.CancelledError:
            uploading.add_done_callback(_released)  # the thread goes on, and nobody else would end its lease
            raise


def _released(uploading: asyncio.Future[Lease | None]) -> None:
    if not uploading.cancelled() and uploading.exception() is None and (lease := uploading.result()):
        lease.release()


def _nothing() -> None:
    pass
