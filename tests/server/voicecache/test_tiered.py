"""The tiered cache of one pod: the nearest tier answers, callers share what is under way, and erased means erased."""

import asyncio

import pytest

from tests.server.voicecache.pods import ENTRY_BYTES, a_pod
from timbre_server.errors import EngineError
from timbre_server.ports import FeatureName


async def turns(count: int = 5) -> None:
    """Lets everything run that can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_the_second_look_up_hits() -> None:
    pod = a_pod()
    assert [await pod.ask("a"), await pod.ask("a")] == ["extracted", "host"]
    assert (pod.host.hits, pod.host.misses, pod.recorder.events) == (1, 1, {"extracted for speech": 1})


async def test_callers_at_once_share_one_extraction_and_one_object() -> None:
    pod = a_pod()
    found = await asyncio.gather(*(pod.find("a") for _ in range(20)))
    assert pod.engine.extracted == ["a"]
    assert len({id(one.features) for one in found}) == 1
    again = await pod.find("a")
    assert again.features is found[0].features


async def test_a_caller_who_leaves_does_not_stop_the_extraction_for_the_others() -> None:
    pod = a_pod()
    pod.engine.gate.clear()
    leaver, stayer = (asyncio.create_task(pod.ask("a")) for _ in range(2))
    await pod.engine.started.wait()
    leaver.cancel()
    await turns()
    assert leaver.cancelled()
    pod.engine.gate.set()
    assert await stayer == "extracted"
    assert pod.engine.extracted == ["a"]


async def test_what_everybody_left_is_kept_for_the_next_and_pins_no_memory() -> None:
    pod = a_pod(host_entries=1)
    pod.engine.gate.clear()
    leaver = asyncio.create_task(pod.ask("a"))
    await pod.engine.started.wait()
    leaver.cancel()
    await turns()
    pod.engine.gate.set()
    await turns()
    assert await pod.ask("a") == "host"
    assert await pod.ask("b") == "extracted"
    assert await pod.ask("b") == "host"  # so "a" could make room


async def test_a_voice_in_use_does_not_make_room() -> None:
    pod = a_pod(host_entries=1)
    first, second = await asyncio.gather(pod.find("a"), pod.find("a"))
    first.release()
    first.release()
    assert [await pod.ask("b"), await pod.ask("a")] == ["extracted", "host"]
    second.release()
    assert [await pod.ask("b"), await pod.ask("b")] == ["extracted", "host"]


async def test_a_value_larger_than_the_budget_is_served_but_not_kept() -> None:
    pod = a_pod(host_entries=0)
    assert [await pod.ask("a"), await pod.ask("a")] == ["extracted", "extracted"]


async def test_a_failure_reaches_all_who_asked_and_the_next_tries_anew() -> None:
    pod = a_pod()
    pod.engine.failures = [EngineError("broken")]
    results = await asyncio.gather(pod.ask("a"), pod.ask("a"), return_exceptions=True)
    assert [type(result) for result in results] == [EngineError, EngineError]
    assert await pod.ask("a") == "extracted"


async def test_a_failure_that_nobody_waits_for_any_more_disturbs_nobody() -> None:
    pod = a_pod()
    pod.engine.gate.clear()
    pod.engine.failures = [EngineError("broken")]
    leaver = asyncio.create_task(pod.ask("a"))
    await pod.engine.started.wait()
    leaver.cancel()
    pod.engine.gate.set()
    await turns()
    assert await pod.ask("a") == "extracted"


async def test_a_forgotten_voice_is_extracted_anew() -> None:
    pod = a_pod()
    await pod.ask("a")
    await pod.ask("b")
    pod.cache.forget("a")
    assert [await pod.ask("b"), await pod.ask("a")] == ["host", "extracted"]
    assert pod.recorder.events["host erased"] == 1


async def test_a_voice_forgotten_in_mid_extraction_is_given_to_who_asked_but_not_kept() -> None:
    pod = a_pod()
    pod.engine.gate.clear()
    before = asyncio.create_task(pod.ask("a"))
    await pod.engine.started.wait()
    pod.cache.forget("a")
    after = asyncio.create_task(pod.ask("a"))
    await turns()
    pod.engine.gate.set()
    assert [await before, await after] == ["extracted", "extracted"]
    assert pod.recorder.events["host erased"] == 0  # nothing was kept even for a moment
    assert pod.engine.extracted == ["a", "a"]  # who asked after the erasure did not board the old flight
    assert await pod.ask("a") == "host"


async def test_who_learnt_of_a_recording_before_its_erasure_leaves_nothing_behind() -> None:
    pod = a_pod()
    erasures = pod.cache.erasures
    pod.cache.forget("a")
    assert await pod.ask("a", erasures=erasures) == "extracted"
    assert pod.host.held_bytes == 0
    assert await pod.ask("b", erasures=erasures) == "extracted"
    assert pod.host.held_bytes == ENTRY_BYTES


async def ends(task: asyncio.Task[None]) -> bool:
    await turns()
    return task.done()


async def test_a_forgotten_voice_is_unused_when_its_last_user_is_done() -> None:
    pod = a_pod()
    extracted = await pod.find("a")
    hit = await pod.find("a")
    pod.cache.forget("a")
    unused = asyncio.create_task(pod.cache.unused("a"))
    assert not await ends(unused)
    extracted.release()
    assert not await ends(unused)
    hit.release()
    assert await ends(unused)
    assert pod.host.held_bytes == 0


@pytest.mark.parametrize("late", [True, False], ids=["erased before it began", "erased under way"])
async def test_an_extraction_of_an_erased_voice_counts_as_a_use(*, late: bool) -> None:
    pod = a_pod()
    pod.engine.gate.clear()
    erasures = pod.cache.erasures
    if late:
        pod.cache.forget("a")
    finding = asyncio.create_task(pod.find("a", erasures=erasures))
    await pod.engine.started.wait()
    if not late:
        pod.cache.forget("a")
    unused = asyncio.create_task(pod.cache.unused("a"))
    pod.engine.gate.set()
    found = await finding
    assert not await ends(unused)
    found.release()
    assert await ends(unused)


async def test_a_voice_that_nobody_uses_is_unused_at_once() -> None:
    pod = a_pod()
    await pod.ask("a")
    pod.cache.forget("a")
    await pod.cache.unused("a")
    await pod.cache.unused("never seen")


async def test_closing_ends_what_is_under_way() -> None:
    pod = a_pod()
    pod.engine.gate.clear()
    asking = asyncio.create_task(pod.ask("a"))
    await pod.engine.started.wait()
    await pod.cache.close()
    await turns()
    assert asking.cancelled()
    await pod.cache.close()


async def test_alone_nothing_can_be_fetched_or_erased_elsewhere() -> None:
    pod = a_pod()
    assert await pod.cache.prefetch([FeatureName("a")]) == 0
    assert await pod.cache.erase("a") == 0
