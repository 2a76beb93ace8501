"""The memory of a pod with a device: the device answers first, the host keeps what the device drops."""

import asyncio
import threading

import pytest

from tests.server.voicecache.pods import a_pod, forget_then_put, key_of
from tests.server.voicecache.tiers import Watcher, features
from timbre_server.domain.voice import Features
from timbre_server.voicecache.memory_tiers import MemoryTiers
from timbre_server.voicecache.storage import HostStorage
from timbre_server.voicecache.tier import Lease, Tier


async def test_the_device_is_asked_first() -> None:
    pod = a_pod(device_entries=2)
    assert [await pod.ask("a"), await pod.ask("a")] == ["extracted", "device"]


async def test_what_the_device_drops_comes_back_from_the_host() -> None:
    pod = a_pod(device_entries=1)
    assert pod.device is not None
    await pod.ask("a")
    await pod.ask("b")
    assert not pod.device.holds(key_of("a"))
    assert [await pod.ask("a"), await pod.ask("a")] == ["host", "device"]
    assert pod.engine.extracted == ["a", "b"]


async def test_the_device_copies_from_where_the_host_keeps_a_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    pod = a_pod(device_entries=1)
    assert pod.device is not None
    put, uploaded = pod.device.put, list[Features]()

    def noted(key: str, digest: str, features: Features, *, one_off: bool = False) -> Lease | None:
        uploaded.append(features)
        return put(key, digest, features, one_off=one_off)

    monkeypatch.setattr(pod.device, "put", noted)
    await pod.ask("a")
    kept = pod.host.get(key_of("a"))
    assert kept is not None
    assert uploaded[0] is kept.features
    kept.release()


async def test_callers_at_once_share_one_upload() -> None:
    pod = a_pod(device_entries=1)
    await pod.ask("a")
    await pod.ask("b")
    found = await asyncio.gather(*(pod.find("a") for _ in range(10)))
    assert {one.source for one in found} == {"host"}
    assert len({id(one.features) for one in found}) == 1
    assert pod.device is not None
    assert pod.device.entries == 1


async def test_filling_pushes_nobody_out() -> None:
    """A voice takes whole units of its memory: 400 bytes are 512, which 488 are not."""
    watcher = Watcher()
    tiers = [Tier(name, HostStorage(1000), capacity_bytes=1000, observer=watcher) for name in ("host", "device")]
    memory = MemoryTiers(*tiers)
    assert memory.fill_host("a", "a", features(500))
    assert await memory.fill_device("a", "a", features(500))
    assert not memory.fill_host("b", "b", features(400))
    assert not await memory.fill_device("b", "b", features(400))
    assert watcher.evicted == {}
    assert all(tier.holds("a") for tier in tiers)


async def test_a_full_device_leaves_the_voice_in_the_hosts_memory() -> None:
    pod = a_pod(device_entries=1)
    using = await pod.find("a")
    assert [await pod.ask("b"), await pod.ask("b")] == ["extracted", "host"]
    using.release()


async def test_erasure_reaches_both_memories() -> None:
    pod = a_pod(device_entries=1)
    await pod.ask("a")
    pod.cache.forget("a")
    assert pod.device is not None
    assert (pod.device.held_bytes, pod.host.held_bytes) == (0, 0)
    assert await pod.ask("a") == "extracted"


async def test_a_voice_erased_on_its_way_to_the_device_does_not_stay_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pod = a_pod(device_entries=1)
    forget_then_put(pod, monkeypatch)
    assert await pod.ask("a") == "extracted"
    assert pod.device is not None
    assert (pod.device.held_bytes, pod.host.held_bytes) == (0, 0)


async def test_who_leaves_during_an_upload_pins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pod = a_pod(device_entries=1)
    assert pod.device is not None
    uploading, go_on = threading.Event(), threading.Event()
    put = pod.device.put

    def slow(*arguments: object, **options: object) -> object:
        uploading.set()
        go_on.wait(20)
        return put(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(pod.device, "put", slow)
    asking = asyncio.create_task(pod.ask("a"))
    await asyncio.to_thread(uploading.wait, 20)
    await pod.cache.close()
    go_on.set()
    await asyncio.wait({asking})
    monkeypatch.setattr(pod.device, "put", put)
    while not pod.device.holds(key_of("a")):
        await asyncio.to_thread(lambda: None)
    assert [await pod.ask("b"), await pod.ask("b")] == ["extracted", "device"]  # "a" made room


async def test_a_voice_erased_on_its_way_from_the_host_does_not_stay_on_the_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pod = a_pod(device_entries=1)
    await pod.ask("a")
    await pod.ask("b")
    forget_then_put(pod, monkeypatch)
    assert await pod.ask("a") == "host"
    assert pod.device is not None
    assert not pod.device.holds(key_of("a"))
    assert not pod.host.holds(key_of("a"))


async def test_one_off_voices_that_come_twice_push_no_regular_from_the_device() -> None:
    pod = a_pod(device_entries=2)
    await pod.ask("a")
    await pod.ask("b")
    for number in range(10):
        assert await pod.ask(f"one-off {number}", one_off=True) == "extracted"
        assert await pod.ask(f"one-off {number}", one_off=True) == "host"
    assert [await pod.ask("a"), await pod.ask("b")] == ["device", "device"]


@pytest.mark.parametrize("known", [False, True])
async def test_an_upload_that_fails_pins_nothing(monkeypatch: pytest.MonkeyPatch, *, known: bool) -> None:
    pod = a_pod(device_entries=1)
    assert pod.device is not None
    if known:
        await pod.ask("a")
        await pod.ask("b")  # "a" is in the host's memory alone
    put = pod.device.put

    def broken(*arguments: object, **options: object) -> object:
        raise RuntimeError("the device is lost")

    monkeypatch.setattr(pod.device, "put", broken)
    with pytest.raises(RuntimeError, match="lost"):
        await pod.ask("a")
    monkeypatch.setattr(pod.device, "put", put)
    pod.cache.forget("a")
    async with asyncio.timeout(5):
        await pod.cache.unused("a")
