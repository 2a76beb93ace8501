"""Is silence held against the engine only while it works, and not before it had time enough?"""

from __future__ import annotations

from timbre_server.batching.progress import LEAST_PATIENCE_SECONDS, PATIENCE_FACTOR, Progress


def test_an_idle_engine_owes_nobody_a_sign() -> None:
    progress = Progress()
    assert progress.stalled(1e6) is None
    progress.begin(1.0, now=0.0)
    progress.end()
    assert progress.stalled(1e6) is None


def test_a_short_batch_has_a_minute_from_its_last_sign() -> None:
    progress = Progress()
    progress.begin(0.1, now=5.0)
    progress.note(50.0)
    assert progress.stalled(50.0 + LEAST_PATIENCE_SECONDS) is None
    assert progress.stalled(51.0 + LEAST_PATIENCE_SECONDS) is not None


def test_a_long_batch_has_many_times_its_prediction() -> None:
    progress = Progress()
    progress.begin(30.0, now=0.0)
    assert progress.stalled(PATIENCE_FACTOR * 30.0) is None
    assert progress.stalled(PATIENCE_FACTOR * 30.0 + 1.0) is not None
