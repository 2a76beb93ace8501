"""What do "2Gi", "30s" and "20%" mean, exactly?

Manifests hold no floats: a measure is a text, read exactly as Kubernetes reads it.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any, ClassVar, Final, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

MAX_LENGTH: Final = 32
"""Longest text of a measure: bounds what the API server has to compute for the rules below."""

# k8s.io/apimachinery/pkg/api/resource/suffix.go
_FACTORS: Final = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": Fraction(1),
    **{suffix: Fraction(1000**power) for power, suffix in enumerate("kMGTPE", 1)},
    **{f"{suffix}i": Fraction(1024**power) for power, suffix in enumerate("KMGTPE", 1)},
}  # fmt: skip
_QUANTITY: Final = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)(?:([eE])([+-]?\d{1,3})|([KMGTPE]i|[numkMGTPE]?))", re.ASCII)

# At most five digits: beyond 292 years Go's durations, which CEL computes with, are no more.
_DURATION: Final = "^([0-9]{1,5}([.][0-9]{1,3})?(ms|s|m|h)){1,4}$"
_DURATION_PART: Final = re.compile(r"([0-9.]+)(ms|s|m|h)")
_SECONDS: Final = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
# Without milli and with an end: a size is a number of bytes.
_SIZE: Final = "^[0-9]{1,13}([.][0-9]{1,3})?(k|M|G|T|Ki|Mi|Gi|Ti)?$"
_PERCENT: Final = "^([0-9]|[1-8][0-9]|9[0-5])%$"


def quantity(text: str) -> Fraction:
    """The exact value of a Kubernetes quantity: 1/2 for "500m".

    Raises:
        ValueError: it is none.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no quantity")
    sign, number, exponential, exponent, suffix = match.groups()
    factor = Fraction(10) ** int(exponent) if exponential else _FACTORS[suffix]
    return Fraction(number.rstrip(".")) * factor * (-1 if sign == "-" else 1)


def to_milli(value: float) -> int:
    """In thousandths, rounded up, as autoscalers read quantities."""
    # A sum of floats that is a trillionth above a thousandth is that thousandth.
    return ceil(round(value * 1000, 6))


def to_quantity(value: float) -> str:
    """In thousandths where it must, as Kubernetes writes it: 1500m, 2, 0."""
    milli = to_milli(value)
    return f"{milli}m" if milli % 1000 else str(milli // 1000)


class _Measure(str):
    """A text of one grammar; the CRD states the same grammar as a rule."""

    __slots__ = ()
    PATTERN: ClassVar[str]
    _advice: ClassVar[str]

    @classmethod
    def checked(cls, text: str) -> Self:
        """Raises: PydanticCustomError: the text is not of this grammar; it says what to write."""
        if re.fullmatch(cls.PATTERN, text) is None:
            raise PydanticCustomError("measure", "{advice}", {"advice": cls._advice})
        return cls(text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source, handler
        # Somebody who writes 30 for 30s is to be told of units, not of texts.
        text = core_schema.custom_error_schema(
            core_schema.str_schema(max_length=MAX_LENGTH),
            "measure",
            custom_error_message="{advice}",
            custom_error_context={"advice": cls._advice},
        )
        return core_schema.no_info_after_validator_function(cls.checked, text)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        escaped = cls.PATTERN.replace("\\", "\\\\")
        rule = {"rule": f"self.matches('{escaped}')", "message": cls._advice}
        return {**handler(schema), "x-kubernetes-validations": [rule]}


class Duration(_Measure):
    """A length of time, as ``1m30s``."""

    __slots__ = ()
    PATTERN = _DURATION
    _advice = "write a duration such as 500ms, 30s, 10m or 1m30s"

    @property
    def seconds(self) -> Decimal:
        """Its exact length."""
        return sum((Decimal(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(self)), Decimal(0))


class Size(_Measure):
    """A number of bytes, as ``2Gi``."""

    __slots__ = ()
    PATTERN = _SIZE
    _advice = "write a size such as 512Mi or 2Gi"

    @property
    def bytes(self) -> int:
        """Rounded up, as Kubernetes does it."""
        return ceil(quantity(self))


class Percent(_Measure):
    """A share, as ``20%``."""

    __slots__ = ()
    PATTERN = _PERCENT
    _advice = "write a share from 0% to 95%"

    @property
    def percent(self) -> int:
        """The number before the sign."""
        return int(self[:-1])
