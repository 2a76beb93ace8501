"""What was refused is remembered while it is tried, and no longer."""

from __future__ import annotations

from timbre_operator.errors import Forbidden
from timbre_operator.plan import Key
from timbre_operator.reconciler.memory import Refusals

ONE, OTHER = Key("Service", "studio", "narrator"), Key("Secret", "studio", "narrator")
NO = Forbidden("no")


def _refusals() -> Refusals:
    return Refusals(chance=lambda: 0.0)


def test_the_same_wish_is_refused_until_its_time_has_come() -> None:
    refusals = _refusals()
    failure = refusals.add(ONE, "a", NO, 0.0)
    assert refusals.standing(ONE, "a", 4.9) == failure
    assert refusals.standing(ONE, "a", 5.0) is None
    assert refusals.standing(ONE, "b", 0.0) is None


def test_another_wish_begins_a_row_of_its_own() -> None:
    refusals = _refusals()
    for what in ("a", "a", "b"):
        refusals.add(ONE, what, NO, 0.0)
    assert refusals.seconds_until_next(0.0) == 5.0


def test_what_is_tried_no_more_calls_for_nothing() -> None:
    refusals = _refusals()
    refusals.add(ONE, "a", NO, 0.0)
    refusals.add(OTHER, "a", NO, 1.0)
    refusals.keep({OTHER})
    assert refusals.seconds_until_next(1.0) == 5.0
    refusals.keep(())
    assert refusals.seconds_until_next(1.0) is None
