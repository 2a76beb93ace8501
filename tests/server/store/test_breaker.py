"""When nobody asks any more, and when everybody asks again."""

import pytest

from timbre_server.store.breaker import Breaker


@pytest.mark.parametrize("failures_to_open", [1, 2, 5])
def test_it_opens_at_that_many_failures_in_a_row(failures_to_open: int) -> None:
    breaker = Breaker(failures_to_open)
    opened = [breaker.failed() for _ in range(failures_to_open)]
    assert opened == [False] * (failures_to_open - 1) + [True]
    assert breaker.is_open


def test_a_success_between_them_starts_the_count_again() -> None:
    breaker = Breaker(2)
    breaker.failed()
    breaker.succeeded()
    assert not breaker.failed()
    assert not breaker.is_open


def test_only_the_failure_that_opens_it_says_so() -> None:
    breaker = Breaker(1)
    assert breaker.failed()
    assert not breaker.failed()


def test_an_answer_from_before_does_not_close_it_but_a_probe_does() -> None:
    breaker = Breaker(1)
    breaker.failed()
    breaker.succeeded()
    assert breaker.is_open
    breaker.probed()
    assert not breaker.is_open


def test_after_a_probe_the_count_starts_again() -> None:
    breaker = Breaker(2)
    breaker.failed()
    breaker.failed()
    breaker.probed()
    assert not breaker.failed()
