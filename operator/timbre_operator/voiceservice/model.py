"""How is a part of the resource written down once, so that the typed resource and the CRD are the same thing?

Fields carry their bounds, defaults and meaning; a ``Rule`` says what several fields must be together, in CEL for the API
server and in Python for everybody else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from timbre_operator.voiceservice.measures import quantity


@dataclass(frozen=True)
class Rule:
    """What must hold for a part; ``message`` says what to write instead."""

    cel: str
    message: str
    holds: Callable[[Any], bool] | None = None
    """The same in Python; None where the rule compares with the old object, which only the API server has."""

    def to_schema(self) -> dict[str, str]:
        """As the CRD has it."""
        return {"rule": self.cel, "message": self.message}


class Model(BaseModel):
    """Immutable, camelCase outside, strict: what the API server refuses is refused here in the same words."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler.resolve_ref_schema(handler(schema))
        if cls.rules:
            described["x-kubernetes-validations"] = [rule.to_schema() for rule in cls.rules]
        return described

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        broken = [rule.message for rule in self.rules if rule.holds is not None and not rule.holds(self)]
        if broken:
            raise PydanticCustomError("rule", "{sentences}", {"sentences": "; ".join(broken)})
        return self


def extra(**keywords: Any) -> dict[str, Any]:
    """Kubernetes' own keywords for a field, ``x_kubernetes_list_type="map"``."""
    return {name.replace("_", "-"): value for name, value in keywords.items()}


def each_once(what: str) -> AfterValidator:
    """No two items of a list have one name, as the API server wants it of a list of type map."""

    def checked(items: tuple[Any, ...]) -> tuple[Any, ...]:
        if len({item.name for item in items}) < len(items):
            raise PydanticCustomError("twice", "{sentence}", {"sentence": f"write each {what} once"})
        return items

    return AfterValidator(checked)


Text = Annotated[str, Field(min_length=1, max_length=1024)]
# The longest name that an object can have: RFC 1123 subdomain, 253 characters.
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
KeyName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
Opaque = Annotated[dict[str, Any], Field(json_schema_extra=extra(x_kubernetes_preserve_unknown_fields=True))]
"""An object that passes through as it is."""


def _checked_quantity(value: int | str) -> int | str:
    try:
        quantity(str(value))
    except ValueError:
        raise PydanticCustomError("quantity", "write a quantity such as 500m, 2 or 1Gi") from None
    return value


Quantity = Annotated[
    int | str,
    AfterValidator(_checked_quantity),
    Field(
        json_schema_extra={
            "x-kubernetes-int-or-string": True,
            # The grammar that Kubernetes' own generator of CRDs writes for resource.Quantity.
            "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
            r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
        }
    ),
]
