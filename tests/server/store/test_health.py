"""When is the log of changes trusted?"""

from timbre_server.store.health import HEALTHY_SECONDS, LogHealth


def a_followed_log(*, read_sent_at: float) -> LogHealth:
    health = LogHealth()
    health.whole()
    health.read(read_sent_at)
    return health


def test_a_log_that_was_never_read_is_not_healthy() -> None:
    health = LogHealth()
    assert not health.healthy(0.0)
    health.whole()
    assert not health.healthy(0.0)


def test_health_counts_from_the_sending_of_the_read() -> None:
    health = a_followed_log(read_sent_at=10.0)
    assert health.healthy(10.0 + HEALTHY_SECONDS - 0.001)
    assert not health.healthy(10.0 + HEALTHY_SECONDS)


def test_a_read_before_everything_was_compared_proves_nothing() -> None:
    health = LogHealth()
    health.read(10.0)
    health.whole()
    assert not health.healthy(10.0)
    assert health.known_up_to == float("-inf")


def test_a_broken_log_is_unhealthy_at_once_and_remembers_what_it_knew() -> None:
    health = a_followed_log(read_sent_at=10.0)
    health.broken()
    assert not health.healthy(10.0)
    assert health.known_up_to == 10.0


def test_an_answer_that_comes_late_does_not_turn_the_proof_back() -> None:
    health = a_followed_log(read_sent_at=10.0)
    health.read(9.0)
    assert health.known_up_to == 10.0
