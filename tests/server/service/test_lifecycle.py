"""A server's life, step by step."""

import asyncio

import pytest

from timbre_server.errors import Draining, NotReady
from timbre_server.service.lifecycle import Lifecycle, State


def a_ready_server() -> Lifecycle:
    lifecycle = Lifecycle()
    lifecycle.warm("loading voices")
    lifecycle.become_ready()
    return lifecycle


async def test_a_starting_server_refuses_and_says_why() -> None:
    lifecycle = Lifecycle()
    with pytest.raises(NotReady, match="the engine is loading"):
        lifecycle.check_accepting()
    lifecycle.warm("loading voices")
    with pytest.raises(NotReady, match="loading voices"):
        lifecycle.check_accepting()


async def test_what_caches_may_answer_passes_once_they_are_open() -> None:
    lifecycle = Lifecycle()
    with pytest.raises(NotReady):
        lifecycle.check_accepting(caches_may_do=True)
    lifecycle.caches_open = True
    lifecycle.check_accepting(caches_may_do=True)
    with pytest.raises(NotReady):
        lifecycle.check_accepting()
    lifecycle.refuse()
    with pytest.raises(Draining):
        lifecycle.check_accepting(caches_may_do=True)


@pytest.mark.parametrize(("caches_open", "alone"), [(False, True), (True, False), (True, True)])
async def test_a_starting_server_is_ready_on_its_caches_only_where_no_other_is(
    *, caches_open: bool, alone: bool
) -> None:
    lifecycle = Lifecycle()
    lifecycle.caches_open, lifecycle.alone = caches_open, alone
    assert lifecycle.ready is (caches_open and alone)
    lifecycle.warm("loading voices")
    assert lifecycle.ready is (caches_open and alone)
    lifecycle.drain()
    assert not lifecycle.ready


async def test_the_engine_is_loaded_when_warming_begins() -> None:
    lifecycle = Lifecycle()
    waiting = asyncio.create_task(lifecycle.load())
    await asyncio.sleep(0)
    assert not lifecycle.engine_loaded
    lifecycle.warm("loading voices")
    await waiting
    assert lifecycle.engine_loaded


async def test_a_draining_server_is_not_ready_but_still_serves_with_a_closing_connection() -> None:
    lifecycle = a_ready_server()
    assert (lifecycle.ready, lifecycle.closing) == (True, False)
    lifecycle.drain()
    lifecycle.check_accepting()
    assert (lifecycle.ready, lifecycle.closing) == (False, True)


async def test_a_server_that_refuses_says_so_and_never_becomes_ready_again() -> None:
    lifecycle = a_ready_server()
    lifecycle.refuse()
    lifecycle.become_ready()
    with pytest.raises(Draining):
        lifecycle.check_accepting()
    assert lifecycle.state is State.DRAINING


async def test_a_drain_during_the_start_is_not_undone_by_readiness() -> None:
    lifecycle = Lifecycle()
    lifecycle.drain()
    lifecycle.become_ready()
    assert lifecycle.state is State.DRAINING


async def test_idle_comes_after_the_last_request_in_flight() -> None:
    lifecycle = a_ready_server()
    first, second = lifecycle.request(), lifecycle.request()
    with first:
        second.__enter__()
        waiting = asyncio.create_task(lifecycle.idle())
    done, _ = await asyncio.wait({waiting}, timeout=0)
    assert not done
    second.__exit__(None, None, None)
    await waiting
    assert lifecycle.in_flight == 0
