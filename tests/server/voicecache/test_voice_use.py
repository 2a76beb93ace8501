"""The hit rate and the working set are those of the look-ups that were made."""

from tests.server.voicecache.pods import ENTRY_BYTES, a_pod


async def test_the_share_of_look_ups_without_an_extraction_is_told() -> None:
    pod = a_pod()
    for digest in "aab":
        await pod.ask(digest)
    await pod.ask("c", one_off=True)
    assert pod.recorder.hit_ratio() == 1 / 4


async def test_the_working_set_is_that_of_voices_that_come_again() -> None:
    pod = a_pod()
    for number in range(200):
        await pod.ask("ab"[number % 2])
        await pod.ask(f"one-off {number}", one_off=True)
    assert 2 * ENTRY_BYTES <= pod.recorder.working_set_bytes() <= 2.1 * ENTRY_BYTES
