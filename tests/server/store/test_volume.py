"""Finished speech in a folder: whole or not at all, bounded, and no failure of the disk is anybody's failure."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.server.resultcache.shared_memory import SharedMemory, World
from tests.server.store.results_conformance import (
    BUILT_IN,
    NAME,
    OTHERS,
    SECOND,
    VOICE,
    Make,
    SharedResultsConformance,
    found,
    stored,
)
from timbre_server.errors import ConfigurationError, StoreUnavailable
from timbre_server.ports import ResultName
from timbre_server.resultcache.codec import CorruptResult, decode
from timbre_server.store import volume as module
from timbre_server.store.lone_leases import LoneLeases
from timbre_server.store.stored_results import StoredResults
from timbre_server.store.volume import VolumeResults

TTL_SECONDS = 1000
NOW = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def a_volume(folder: Path, *, max_bytes: int = 1 << 30, clock: Clock | None = None) -> VolumeResults:
    return VolumeResults(folder, max_bytes=max_bytes, ttl_seconds=TTL_SECONDS, clock=clock or Clock())


class TestVolumeWithLeasesElsewhere(SharedResultsConformance):
    """Pods that share a volume and agree somewhere else."""

    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        world = World()
        return lambda: StoredResults(a_volume(tmp_path), SharedMemory(world))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def left(folder: Path) -> list[Path]:
    """Folders too."""
    return list(folder.iterdir())


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


async def test_each_recording_has_a_folder(tmp_path: Path) -> None:
    volume = a_volume(tmp_path)
    for name in (NAME, SECOND, OTHERS, BUILT_IN):
        await volume.put(name, b"speech")
    assert files(tmp_path) == sorted(
        f"{name.digest or 'built-in'}/{name.key}" for name in (NAME, SECOND, OTHERS, BUILT_IN)
    )


async def test_what_has_outlived_its_time_is_not_found_and_goes(tmp_path: Path) -> None:
    clock = Clock()
    volume = a_volume(tmp_path, clock=clock)
    await volume.put(NAME, b"speech")
    clock.now += TTL_SECONDS - 1
    assert await volume.get(NAME) == b"speech"
    clock.now += 1
    assert await volume.get(NAME) is None
    assert files(tmp_path) == []


async def test_what_nobody_asks_for_goes_when_its_time_is_up_too(tmp_path: Path) -> None:
    clock = Clock()
    volume = a_volume(tmp_path, clock=clock)
    await volume.put(NAME, b"speech")
    (tmp_path / VOICE / "left.by.a.dead.pod.part").write_bytes(b"half")
    os.utime(tmp_path / VOICE / "left.by.a.dead.pod.part", (NOW, NOW))
    clock.now += TTL_SECONDS
    await volume.put(OTHERS, b"speech")
    assert files(tmp_path) == [f"{OTHERS.digest}/{OTHERS.key}"]


async def test_the_oldest_go_when_there_are_too_many_bytes(tmp_path: Path) -> None:
    clock = Clock()
    volume = a_volume(tmp_path, max_bytes=10_000, clock=clock)
    names = [ResultName(f"{number:064x}", VOICE) for number in range(30)]
    for name in names:
        clock.now += 1
        await volume.put(name, bytes(1000))
        assert size_of(tmp_path) <= 10_000
    kept = [name for name in names if await volume.get(name) is not None]
    assert kept == names[-len(kept) :]
    assert len(kept) >= 8


async def test_pods_that_share_a_volume_keep_its_limit_together(tmp_path: Path) -> None:
    clock = Clock()
    volumes = [a_volume(tmp_path, max_bytes=10_000, clock=clock) for _ in range(2)]
    for number in range(40):
        clock.now += 1
        await volumes[number % 2].put(ResultName(f"{number:064x}", VOICE), bytes(400))
    assert size_of(tmp_path) <= 10_000 * 1.1


async def test_a_file_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = a_volume(tmp_path)
    await volume.put(NAME, b"old")

    def broken(self: Path, target: Path) -> None:
        raise OSError("the power is gone")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(StoreUnavailable):
        await volume.put(NAME, b"new")
    assert await volume.get(NAME) == b"old"
    assert files(tmp_path) == [f"{VOICE}/{NAME.key}"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a device that is always full")
async def test_a_full_disk_is_a_place_that_cannot_be_reached_and_leaves_nothing_behind(tmp_path: Path) -> None:
    volume = a_volume(tmp_path)
    (tmp_path / VOICE).mkdir()
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(Path, "write_bytes", lambda _, blob: _fill(blob))
        with pytest.raises(StoreUnavailable):
            await volume.put(NAME, bytes(1 << 20))
    assert files(tmp_path) == []


def _fill(blob: bytes) -> int:
    with Path("/dev/full").open("wb", buffering=0) as full:
        return full.write(blob) or 0


async def test_a_folder_that_is_erased_while_a_pod_writes_into_it_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume, erasing = a_volume(tmp_path), [True]
    replace = Path.replace

    def erased_first(self: Path, target: Path) -> Path:
        if erasing.pop() if erasing else False:
            self.unlink()
            self.parent.rmdir()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", erased_first)
    await volume.put(NAME, b"speech")
    assert await volume.get(NAME) == b"speech"


async def test_a_file_that_was_damaged_on_disk_is_told_from_speech(tmp_path: Path) -> None:
    volume = a_volume(tmp_path)
    await volume.put(NAME, b"no speech")
    blob = await volume.get(NAME)
    assert blob is not None
    with pytest.raises(CorruptResult):
        decode(blob, key=NAME.key)


async def test_an_erasure_that_a_disk_refused_is_not_called_one_and_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = a_volume(tmp_path)
    await volume.put(NAME, b"speech")
    await volume.put(SECOND, b"speech")
    unlink = Path.unlink

    def refused(self: Path, **options: bool) -> None:
        if self.name == SECOND.key:
            raise OSError("busy")
        unlink(self, **options)

    with monkeypatch.context() as patching:
        patching.setattr(Path, "unlink", refused)
        for _ in range(2):  # whoever asks again is not told that nothing is left
            with pytest.raises(StoreUnavailable):
                await volume.erase(VOICE)
    assert await volume.get(SECOND) is None
    assert await volume.erase(VOICE) == 1
    assert left(tmp_path) == []


async def test_pods_that_erase_one_voice_at_once_do_not_hinder_each_other(tmp_path: Path) -> None:
    volumes = [a_volume(tmp_path) for _ in range(8)]
    for number in range(100):
        await volumes[0].put(ResultName(f"{number:064x}", VOICE), b"speech")
    await asyncio.gather(*(volume.erase(VOICE) for volume in volumes))
    assert left(tmp_path) == []


async def test_an_erasure_meanwhile_does_not_keep_a_pod_from_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = a_volume(tmp_path)
    await volume.put(OTHERS, b"speech")
    scandir = os.scandir

    def erased_first(path: str | int) -> object:
        if isinstance(path, str) and path.endswith(OTHERS.digest):
            shutil.rmtree(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", erased_first)
    await a_volume(tmp_path).put(NAME, b"speech")
    monkeypatch.undo()
    assert files(tmp_path) == [f"{VOICE}/{NAME.key}"]


@pytest.mark.parametrize("digest", ["../outside", "a/b", "A", "."])
async def test_nobody_writes_beside_the_folder_by_a_forged_record(tmp_path: Path, digest: str) -> None:
    volume = a_volume(tmp_path / "volume")
    for call in (
        volume.put(ResultName(NAME.key, digest), b"x"),
        volume.erase(digest),
        volume.get(ResultName("..", "")),
    ):
        with pytest.raises(StoreUnavailable):
            await call
    assert files(tmp_path) == []


def test_a_folder_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="finished speech"):
        a_volume(tmp_path / "file" / "below")


class TestAlone:
    """A pod with a volume of its own and nobody to agree with."""

    @pytest.fixture
    def shared(self, tmp_path: Path) -> StoredResults:
        return StoredResults(a_volume(tmp_path), LoneLeases())

    async def test_what_was_said_is_there_after_a_restart(self, shared: StoredResults, tmp_path: Path) -> None:
        await stored(shared, NAME)
        assert await found(StoredResults(a_volume(tmp_path), LoneLeases())) == b"speech"

    async def test_nobody_waits_for_a_pod_that_is_not_there(self, shared: StoredResults) -> None:
        await shared.claim(NAME)
        await stored(shared, NAME)

    async def test_what_is_made_while_its_voice_is_erased_is_not_stored(self, shared: StoredResults) -> None:
        claim = await shared.claim(NAME)
        token = getattr(claim, "token", "")
        assert await shared.erase(VOICE) == 0
        assert not await shared.publish(NAME, b"speech", token)
        assert await found(shared) is None


async def test_pods_hear_of_a_new_take_that_lies_where_nobody_is_told(tmp_path: Path) -> None:
    world = World()
    shared = StoredResults(a_volume(tmp_path), SharedMemory(world))
    await stored(shared, NAME)
    assert world.retaken == []
    await shared.publish(NAME, b"a new take", None)
    assert world.retaken == [NAME]


async def test_an_erasure_between_storing_and_the_end_of_the_lease_wins(tmp_path: Path) -> None:
    world = World()
    volume, leases = a_volume(tmp_path), SharedMemory(world)
    shared = StoredResults(volume, leases)
    token = getattr(await shared.claim(NAME), "token", "")
    put = volume.put

    async def erased_after(name: ResultName, blob: bytes) -> None:
        await put(name, blob)
        await SharedMemory(world).erase(
            VOICE
        )  # another pod has taken the lease, and its look at the folder came too early

    volume.put = erased_after  # type: ignore[method-assign]
    assert not await shared.publish(NAME, b"speech", token)
    assert files(tmp_path) == []


async def test_who_has_lost_the_lease_stores_nothing_not_even_for_a_moment(tmp_path: Path) -> None:
    world = World()
    volume, leases = a_volume(tmp_path), SharedMemory(world)
    shared = StoredResults(volume, leases)
    token = getattr(await shared.claim(NAME), "token", "")
    world.leases.clear()
    await volume.put(NAME, b"of the pod that took over")
    assert not await shared.publish(NAME, b"speech", token)
    assert await found(shared) == b"of the pod that took over"


async def test_what_was_published_between_a_look_and_a_claim_is_held(tmp_path: Path) -> None:
    world = World()
    volume = a_volume(tmp_path)
    leases = SharedMemory(world)
    claim = leases.claim

    async def published_first(name: ResultName) -> object:
        await volume.put(name, b"speech")
        return await claim(name)

    leases.claim = published_first  # type: ignore[assignment,method-assign]
    held = await StoredResults(volume, leases).claim(NAME)
    assert getattr(held, "blob", None) == b"speech"
    assert world.leases == {}


def test_one_look_at_all_files_serves_many_new_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    monkeypatch.setattr(module.VolumeResults, "_tidy", lambda _, size: looks.append(size))

    async def write() -> None:
        volume = a_volume(tmp_path, max_bytes=1 << 20)
        await asyncio.gather(*(volume.put(ResultName(f"{n:064x}", VOICE), bytes(1000)) for n in range(100)))

    asyncio.run(write())
    assert 1 <= len(looks) <= 4
