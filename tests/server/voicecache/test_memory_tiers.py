"""The memory of a pod with a device: the device answers first, the host keeps what the device drops."""

import asyncio
import threading

import pytest

from tests.server.voicecache.pods import Pod, a_pod, key_of


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


async def test_callers_at_once_share_one_upload() -> None:
    pod = a_pod(device_entries=1)
    await pod.ask("a")
    await pod.ask("b")
    found = await asyncio.gather(*(pod.find("a") for _ in range(10)))
    assert {one.source for one in found} == {"host"}
    assert len({id(one.features) for one in found}) == 1
    assert pod.device is not None
    assert pod.device.entries == 1


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


def forget_then_put(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    """The erasure comes in between the look-up and the thread that uploads."""
    assert pod.device is not None
    upload = asyncio.to_thread

    async def late(*arguments: object, **options: object) -> object:
        pod.cache.forget("a")
        return await upload(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("timbre_server.voicecache.memory_tiers.asyncio.to_thread", late)
