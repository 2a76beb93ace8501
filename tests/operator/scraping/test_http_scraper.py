"""A pod's answer is a sample, and whatever else it does is none."""

from __future__ import annotations

import asyncio
import json
import urllib.request

import pytest

from examples.local_redis import free_port
from examples.local_server import LocalServer
from tests.operator.scraping.admin_port import an_admin_port
from timbre_contract import metrics
from timbre_operator.observed import PodSample, VoiceHeat, sample_key
from timbre_operator.scaling.counters import EXTRACTION, EXTRACTIONS, IN_FLIGHT, QUEUED, SYNTHESIS, TRANSFER
from timbre_operator.scraping import HttpScraper
from timbre_operator.scraping.http_scraper import MAX_BYTES


async def test_a_pod_s_answers_are_a_sample() -> None:
    async with an_admin_port() as port, HttpScraper() as scraper:
        assert await scraper.scrape(port.address) == PodSample(
            counters={"timbre_queued_requests": 3.0}, held=(VoiceHeat(digest="d1", heat=2.5),)
        )


@pytest.mark.parametrize(
    "answers",
    [
        {"status": 503},
        {"cache": b"not json"},
        {"cache": b"[]"},
        {"metrics": b"x" * (MAX_BYTES + 1)},
        {"cache": b" " * (MAX_BYTES + 1)},
    ],
    ids=["an error", "no JSON", "other JSON", "too many metrics", "too long a list"],
)
async def test_what_no_server_would_answer_is_no_sample(answers: dict[str, object]) -> None:
    async with an_admin_port(**answers) as port, HttpScraper() as scraper:
        assert await scraper.scrape(port.address) is None


async def test_a_redirect_is_not_followed() -> None:
    async with an_admin_port() as elsewhere, an_admin_port(location=f"http://{elsewhere.address}/metrics") as port:
        async with HttpScraper() as scraper:
            assert await scraper.scrape(port.address) is None
        assert not elsewhere.asked


async def test_a_pod_that_is_away_is_no_sample() -> None:
    async with HttpScraper() as scraper:
        assert await scraper.scrape(f"127.0.0.1:{free_port()}") is None


async def test_a_pod_that_hangs_is_no_sample() -> None:
    async with an_admin_port(hangs=True) as port, HttpScraper(timeout_seconds=0.05) as scraper:
        assert await scraper.scrape(port.address) is None


async def test_pods_that_hang_keep_no_other_waiting() -> None:
    async with (
        an_admin_port(hangs=True) as hanging,
        an_admin_port() as port,
        HttpScraper(timeout_seconds=60) as scraper,
    ):
        slow = [asyncio.create_task(scraper.scrape(hanging.address)) for _ in range(100)]
        assert await scraper.scrape(port.address) is not None
        assert not any(task.done() for task in slow)
        for task in slow:
            task.cancel()
        await asyncio.wait(slow)


async def test_what_a_pod_holds_is_asked_more_rarely_and_over_the_same_connection() -> None:
    async with an_admin_port() as port, HttpScraper() as scraper:
        samples = [await scraper.scrape(port.address) for _ in range(5)]
        assert port.asked == {"/metrics": 5, "/cache": 1}
        assert len(port.connections) == 1
        assert len({sample.held for sample in samples if sample}) == 1


async def test_a_pod_whose_warm_up_was_cut_off_says_so() -> None:
    async with an_admin_port(cache=b'{"warm_up": "cut_off"}') as port, HttpScraper() as scraper:
        sample = await scraper.scrape(port.address)
        assert sample is not None
        assert not sample.warm


async def test_a_pod_that_cannot_enrol_a_declared_voice_says_which() -> None:
    refused = [{"voice": "voice_ann", "reason": "this is no audio"}, {"voice": "", "reason": "x" * 9000}] * 20
    cache = json.dumps({"preload": {"present": 1, "waiting": 0, "refused": refused}}).encode()
    async with an_admin_port(cache=cache) as port, HttpScraper() as scraper:
        sample = await scraper.scrape(port.address)
    assert sample is not None
    assert sample.refused_voices == ("voice_ann: this is no audio", "x" * 200) * 8


@pytest.mark.parametrize(
    "cache", [b'{"preload": [1]}', b'{"preload": {"refused": [{"voice": "a"}]}}', b'{"preload": {"refused": 1}}']
)
async def test_nonsense_about_declared_voices_is_none_of_ours(cache: bytes) -> None:
    async with an_admin_port(cache=cache) as port, HttpScraper() as scraper:
        assert await scraper.scrape(port.address) is None


async def test_each_scrape_is_told_with_its_result() -> None:
    told: list[str] = []
    async with an_admin_port() as port, HttpScraper(told=told.append) as scraper:
        await scraper.scrape(port.address)
        await scraper.scrape(f"127.0.0.1:{free_port()}")
    assert told == ["ok", "failed"]


async def test_a_real_server_is_read() -> None:
    with LocalServer({"ENGINE__NAME": "stub"}) as server:
        body = b'{"model": "tts-1", "voice": "alloy", "input": "Hello."}'
        request = urllib.request.Request(
            f"{server.url}/v1/audio/speech", body, {"Content-Type": "application/json"}, method="POST"
        )
        with await asyncio.to_thread(urllib.request.urlopen, request) as answer:
            answer.read()
        async with HttpScraper() as scraper:
            sample = await scraper.scrape(server.admin_url.removeprefix("http://"))
    assert sample is not None
    assert sample.counters[SYNTHESIS] > 0
    assert {sample.counters[name] for name in (EXTRACTION, TRANSFER, EXTRACTIONS, QUEUED, IN_FLIGHT)} == {0.0}
    assert sample.counters[sample_key(metrics.VOICE_CACHE_LOOKUPS, "host", "miss")] == 0.0
    assert (sample.held, sample.warm) == ((), True)
