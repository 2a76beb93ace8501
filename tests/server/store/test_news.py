"""Who waits is woken by what is said from the question on, and by nothing older."""

import asyncio

import pytest

from tests.virtual_time import in_virtual_time
from timbre_server.store.news import News


@in_virtual_time
async def test_news_wake_who_waits_for_that_subject() -> None:
    news = News()
    waiting = asyncio.create_task(news.wait("a", timeout_seconds=60))
    await asyncio.sleep(0)
    news.heard("b")
    await asyncio.sleep(1)
    assert not waiting.done()
    news.heard("a")
    await waiting
    assert asyncio.get_running_loop().time() == 1


@in_virtual_time
async def test_what_was_said_between_the_question_and_the_wait_is_not_missed() -> None:
    news = News()
    news.expect("a")
    news.heard("a")
    await news.wait("a", timeout_seconds=60)
    assert asyncio.get_running_loop().time() == 0


@in_virtual_time
async def test_what_was_said_before_the_question_is_old() -> None:
    news = News()
    news.expect("a")
    news.heard("a")
    news.expect("a")
    await news.wait("a", timeout_seconds=60)
    assert asyncio.get_running_loop().time() == 60


@in_virtual_time
async def test_all_who_wait_are_woken() -> None:
    news = News()
    waiting = [asyncio.create_task(news.wait("a", timeout_seconds=60)) for _ in range(3)]
    await asyncio.sleep(0)
    news.heard("a")
    await asyncio.gather(*waiting)
    assert asyncio.get_running_loop().time() == 0


@in_virtual_time
async def test_nothing_is_kept_of_what_nobody_waits_for() -> None:
    news = News()
    news.expect("a")
    news.ignore("a")
    await news.wait("b", timeout_seconds=1)
    news.heard("c")
    with pytest.raises(ConnectionError), news.expecting("d"):
        raise ConnectionError
    assert news._subjects == {}


@in_virtual_time
async def test_who_does_not_wait_after_all_keeps_no_news_from_who_does() -> None:
    news = News()
    long = asyncio.create_task(news.wait("a", timeout_seconds=60))
    short = asyncio.create_task(news.wait("a", timeout_seconds=1))
    await short
    with news.expecting("a"):
        news.ignore("a")
    news.heard("a")
    await long
    assert asyncio.get_running_loop().time() == 1
