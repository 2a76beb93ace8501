"""The loop gives memory back as the device needs it, through NVML itself, and lets nothing hold it up."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.server.voicecache.nvml_library import build, needs_compiler
from tests.server.voicecache.pressure import ENTRY_BYTES, LIMITS, MIB, TOTAL_BYTES, Heard, Moment
from tests.virtual_time import in_virtual_time
from timbre_server.voicecache.device_storage import DeviceStorage, HostSlabMemory
from timbre_server.voicecache.nvml import DeviceReading
from timbre_server.voicecache.sizing import DEMAND, OUT_OF_MEMORY, PRESSURE
from timbre_server.voicecache.sizing_loop import ANSWER_SECONDS, PERIOD_SECONDS, SizingLoop, in_daemon_thread
from timbre_server.voicecache.tier import Tier

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"))


def played(name: str, library: Path, folder: Path) -> list[Moment]:
    file = folder / "device"
    environment = {**os.environ, "LD_LIBRARY_PATH": str(library.parent), "FAKE_NVML_FILE": str(file)}
    command = [sys.executable, "-m", "tests.server.voicecache.pressure", name, str(file)]
    ran = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    moments = [Moment(**{**moment, "resizes": tuple(moment["resizes"])}) for moment in json.loads(ran.stdout)]
    assert all(moment.held_bytes <= moment.capacity_bytes + ENTRY_BYTES for moment in moments)
    assert all(moment.reserved_bytes <= moment.capacity_bytes for moment in moments)
    return moments


@needs_compiler
def test_a_step_of_pressure_is_answered_by_the_next_tick(tmp_path: Path, library: Path) -> None:
    moments = played("step", library, tmp_path)
    after = [moment for moment in moments if moment.seconds >= 1]
    assert all(moment.capacity_bytes == LIMITS.max_bytes for moment in moments if moment.seconds < 1)
    assert [reason for moment in after for reason in moment.resizes] == [PRESSURE]
    assert all(moment.headroom_bytes >= 0 for moment in after)
    assert after[0].reserved_bytes < LIMITS.max_bytes


@needs_compiler
def test_a_ramp_of_pressure_is_followed_by_few_resizes(tmp_path: Path, library: Path) -> None:
    moments = played("ramp", library, tmp_path)
    times = [moment.seconds for moment in moments if moment.resizes]
    assert 2 <= len(times) <= 20 * MIB // LIMITS.step_bytes + 1
    assert all(moment.headroom_bytes >= 0 for moment in moments)


@needs_compiler
def test_noise_at_the_edge_resizes_at_most_once_a_dwell(tmp_path: Path, library: Path) -> None:
    times = [moment.seconds for moment in played("noise", library, tmp_path) if moment.resizes]
    assert len(times) >= 1
    assert all(later - earlier >= LIMITS.dwell_seconds for earlier, later in pairwise(times))


@needs_compiler
def test_what_another_process_grabs_is_taken_back_by_demand_once_it_leaves(tmp_path: Path, library: Path) -> None:
    moments = played("grab", library, tmp_path)
    grabbed = [moment for moment in moments if 1 <= moment.seconds < 3]
    assert [reason for moment in grabbed for reason in moment.resizes] == [PRESSURE]
    assert all(moment.headroom_bytes >= 0 for moment in grabbed)
    assert all(moment.reserved_bytes < LIMITS.max_bytes / 4 for moment in grabbed)
    grown = [moment for moment in moments if DEMAND in moment.resizes]
    assert len(grown) >= 2
    assert grown[0].seconds >= 3 + LIMITS.dwell_seconds
    assert all(later.seconds - earlier.seconds >= LIMITS.dwell_seconds for earlier, later in pairwise(grown))
    assert all(later.capacity_bytes - earlier.capacity_bytes <= LIMITS.step_bytes for earlier, later in pairwise(grown))


class Device:
    """A reader of a device that a test sets."""

    def __init__(self, free_bytes: int = TOTAL_BYTES) -> None:
        self.free_bytes: int | None = free_bytes
        self.loads: list[bool] = []

    def read(self, *, load: bool = True) -> DeviceReading | None:
        self.loads.append(load)
        if self.free_bytes is None:
            return None
        return DeviceReading(TOTAL_BYTES, self.free_bytes, TOTAL_BYTES - self.free_bytes, utilization=0.5)


class Cache:
    """A tier full of voices and the loop that sizes it; ``now`` is the test's."""

    def __init__(
        self,
        device: Device | None,
        *,
        memory: HostSlabMemory | None = None,
        storage: type[DeviceStorage] = DeviceStorage,
        **options: Any,
    ) -> None:
        self.heard, self.now, limits = Heard(), 0.0, LIMITS
        self.storage = storage(
            memory or HostSlabMemory(), capacity_bytes=limits.max_bytes, slab_bytes=limits.quantum_bytes
        )
        self.tier = Tier("device", self.storage, capacity_bytes=limits.max_bytes, observer=self.heard)
        self.loop = SizingLoop(
            self.tier, self.storage, device, limits, observer=self.heard, clock=lambda: self.now, **options
        )

    def filled(self, size_bytes: Callable[[int], int] = lambda _: ENTRY_BYTES) -> Cache:
        for voice in range(2 * self.tier.capacity_bytes // size_bytes(0)):
            lease = self.tier.put(str(voice), str(voice), {"a": np.zeros(size_bytes(voice), np.uint8)})
            assert lease is not None
            lease.release()
        return self


def test_the_first_budget_is_what_the_device_has_to_spare() -> None:
    assert Cache(Device()).tier.capacity_bytes == LIMITS.max_bytes
    assert Cache(Device(free_bytes=60 * MIB)).tier.capacity_bytes == LIMITS.min_bytes
    assert Cache(Device()).heard.resizes == []


def test_each_resize_is_counted_and_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    device = Device()
    cache = Cache(device).filled()
    device.free_bytes = 40 * MIB
    caplog.clear()  # the first budget was logged, where an earlier test left the level at info
    with caplog.at_level(logging.INFO, "timbre.voicecache"):
        cache.loop.tick()
    assert cache.heard.resizes == [PRESSURE]
    (record,) = caplog.records
    fields = record.__dict__["fields"]
    assert fields["reason"] == PRESSURE
    assert fields["from_bytes"] == LIMITS.max_bytes
    assert fields["to_bytes"] == cache.tier.capacity_bytes
    assert fields["given_back_bytes"] == LIMITS.max_bytes - cache.storage.reserved_bytes


def test_a_budget_that_stays_is_neither_counted_nor_logged(caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache(Device()).filled()
    caplog.clear()  # the first budget was logged, where an earlier test left the level at info
    with caplog.at_level(logging.INFO, "timbre.voicecache"):
        cache.loop.tick()
    assert cache.heard.resizes == []
    assert caplog.records == []


def test_load_is_read_once_a_second_and_memory_each_time() -> None:
    device = Device()
    cache = Cache(device)
    for _ in range(40):
        cache.loop.tick()
    assert Counter(device.loads) == {False: 38, True: 3}
    assert len(cache.heard.readings) == 3
    assert cache.heard.readings[0]["total"] == TOTAL_BYTES


def test_a_device_that_gives_no_reading_changes_nothing() -> None:
    device = Device()
    cache = Cache(device).filled()
    cache.loop.out_of_memory()
    capacity = cache.tier.capacity_bytes
    device.free_bytes = None
    for turn in range(200):
        cache.now = float(turn)
        for voice in range(1000 if turn > LIMITS.hold_seconds else 0):  # with a reading this demand would be answered
            cache.tier.get(str(voice))
        cache.loop.tick()
    assert cache.tier.capacity_bytes == capacity < LIMITS.max_bytes


def test_voices_of_mixed_sizes_leave_no_slab_above_the_budget() -> None:
    device = Device()
    cache = Cache(device).filled(lambda voice: (300 if voice * 7919 % 5 < 3 else 460) << 10)
    device.free_bytes = 40 * MIB
    cache.loop.tick()
    assert cache.tier.capacity_bytes < LIMITS.max_bytes
    assert cache.storage.reserved_bytes <= cache.tier.capacity_bytes
    assert cache.tier.held_bytes > cache.tier.capacity_bytes / 2, "not for nothing"


def test_where_voices_do_not_pack_more_of_them_go_and_the_budget_stays() -> None:
    class Unmovable(DeviceStorage):
        def settle(self) -> int:
            return 0  # no slab can be cleared into the holes of others

    budgets = []
    for storage in (DeviceStorage, Unmovable):
        device = Device()
        cache = Cache(device, storage=storage).filled()
        for voice in range(0, 2000, 2):  # what stays is spread over all slabs
            if lease := cache.tier.get(str(voice)):
                lease.release()
        device.free_bytes = 40 * MIB
        cache.loop.tick()
        budgets.append(cache.tier.capacity_bytes)
        assert cache.storage.reserved_bytes <= budgets[-1]
    assert budgets[0] == budgets[1] < LIMITS.max_bytes


def test_memory_of_voices_in_use_comes_back_after_their_last_user_without_another_eviction() -> None:
    class Trimmed(HostSlabMemory):
        trims = 0

        def trim(self) -> None:
            self.trims += 1

    device, memory = Device(), Trimmed()
    cache = Cache(device, memory=memory).filled()
    leases = [lease for voice in range(10_000) if (lease := cache.tier.get(str(voice)))]
    device.free_bytes = 0
    cache.loop.tick()
    assert cache.storage.reserved_bytes > cache.tier.capacity_bytes
    assert cache.tier.entries > 0, "what fits the least budget stays"
    evicted, trims = cache.heard.evictions, memory.trims
    for lease in leases:
        lease.release()
    device.free_bytes = 51 * MIB
    cache.loop.tick()
    assert cache.storage.reserved_bytes <= cache.tier.capacity_bytes == LIMITS.min_bytes
    assert cache.heard.evictions == evicted
    assert memory.trims == trims + 1
    cache.loop.tick()
    assert memory.trims == trims + 1, "then nothing is owed any more"


def test_out_of_memory_gives_memory_back_before_it_returns() -> None:
    cache = Cache(Device()).filled()
    assert cache.loop.out_of_memory()
    assert cache.heard.resizes == [OUT_OF_MEMORY]
    assert cache.storage.reserved_bytes <= LIMITS.max_bytes * 3 // 4


def test_out_of_memory_with_nothing_to_give_says_so() -> None:
    cache = Cache(Device(free_bytes=0))
    assert not cache.loop.out_of_memory()


def test_without_a_device_to_read_out_of_memory_still_gives_back() -> None:
    cache = Cache(None).filled()
    cache.loop.tick()
    assert cache.tier.capacity_bytes == LIMITS.max_bytes
    assert cache.loop.out_of_memory()


@in_virtual_time
async def test_the_device_is_read_every_50_milliseconds() -> None:
    async def at_once(call: Callable[[], None]) -> None:
        call()

    device = Device()
    cache = Cache(device, in_thread=at_once)
    running = asyncio.create_task(cache.loop.run())
    await asyncio.sleep(10.5 * PERIOD_SECONDS)
    assert len(device.loads) == 12
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@in_virtual_time
async def test_a_driver_that_hangs_is_reported_and_not_asked_again_until_it_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answered = asyncio.Event()
    calls = 0

    async def hanging(call: Callable[[], None]) -> None:
        nonlocal calls
        calls += 1
        await answered.wait()

    cache = Cache(Device(), in_thread=hanging)
    running = asyncio.create_task(cache.loop.run())
    await asyncio.sleep(3 * ANSWER_SECONDS)
    assert calls == 1
    assert len([record for record in caplog.records if "does not answer" in record.message]) == 1
    answered.set()
    await asyncio.sleep(2 * PERIOD_SECONDS)
    assert calls > 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_who_cancels_waits_for_the_tick_that_runs() -> None:
    """Else the driver could be closed while somebody reads it."""
    entered, go_on, left = threading.Event(), threading.Event(), threading.Event()

    class Slow(Device):
        def read(self, *, load: bool = True) -> DeviceReading | None:
            if self.loads:  # not the first one, which sets the budget
                entered.set()
                assert go_on.wait(10)
                left.set()
            return super().read(load=load)

    running = asyncio.create_task(Cache(Slow()).loop.run())
    await asyncio.to_thread(entered.wait, 10)
    running.cancel()
    await asyncio.sleep(0)  # the cancellation has arrived
    assert not running.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert left.is_set()


async def test_a_call_aside_runs_on_a_thread_that_no_exit_waits_for() -> None:
    threads: list[threading.Thread] = []
    await in_daemon_thread(lambda: threads.append(threading.current_thread()))
    assert threads[0] is not threading.main_thread()
    assert threads[0].daemon


async def test_what_a_call_aside_raises_reaches_who_awaits_it() -> None:
    def fail() -> None:
        raise RuntimeError("the device is lost")

    with pytest.raises(RuntimeError, match="lost"):
        await in_daemon_thread(fail)
