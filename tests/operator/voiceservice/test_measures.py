"""Quantities, durations and shares are read exactly as Kubernetes reads them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity
from pydantic_core import PydanticCustomError

from timbre_operator.voiceservice.measures import Duration, Percent, Size, quantity, to_quantity


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", "0"), ("500ms", "0.5"), ("1m30s", "90"), ("1.5h", "5400"), ("24h", "86400"), ("1h1m1s1ms", "3661.001")],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, seconds: str) -> None:
    assert Duration.checked(text).seconds == Decimal(seconds)


@pytest.mark.parametrize("text", ["", "30", "30 s", "-1s", "1d", "1e3s", ".5s", "100000s", "1s1s1s1s1s", "1s\n"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(PydanticCustomError, match="write a duration"):
        Duration.checked(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("64Mi", 64 << 20), ("1.5Gi", 3 << 29), ("1k", 1000), ("0.5", 1), ("2G", 2_000_000_000)],
)
def test_a_size_is_a_number_of_bytes_rounded_up(text: str, size: int) -> None:
    assert Size.checked(text).bytes == size


@pytest.mark.parametrize("text", ["", "1GB", "-1", "1m", "1e9", "Gi", "1Ki ", "1ki", "\u0661Gi"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(PydanticCustomError, match="write a size"):
        Size.checked(text)


def test_a_percent_is_a_whole_number() -> None:
    assert Percent.checked("95%").percent == 95
    with pytest.raises(PydanticCustomError, match="write a share"):
        Percent.checked("96%")


_SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]


@given(st.decimals(min_value=0, max_value=10**6, places=3), st.sampled_from(_SUFFIXES))
def test_a_quantity_is_what_the_kubernetes_client_takes_it_for(number: Decimal, suffix: str) -> None:
    assert quantity(f"{number}{suffix}") == Fraction(parse_quantity(f"{number}{suffix}"))


@pytest.mark.parametrize(
    ("text", "value"), [("2e3", 2000), ("2E-2", Fraction(1, 50)), ("-500m", Fraction(-1, 2)), ("1.", 1)]
)
def test_a_quantity_may_have_an_exponent_or_a_sign(text: str, value: Fraction) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "1KI", "1e", "0x10", "1,5", "NaN"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        quantity(text)


@pytest.mark.parametrize(
    ("value", "written"), [(0.0, "0"), (2.0, "2"), (1.5, "1500m"), (0.0004, "1m"), (0.1 + 0.2, "300m"), (16.0, "16")]
)
def test_values_are_written_in_thousandths(value: float, written: str) -> None:
    assert to_quantity(value) == written


@given(st.floats(0.0, 1e6))
def test_a_quantity_is_the_value_rounded_up_to_a_thousandth(value: float) -> None:
    assert -1e-6 <= float(quantity(to_quantity(value))) - value <= 0.001
