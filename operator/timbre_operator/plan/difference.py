"""Is what was found what is wanted, and where is the first difference?

Only what is wanted is compared: a field that somebody else set is theirs.  What the API server rewrites is the same as
what was sent: quantities in another unit, empty values that it drops, defaults that it adds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from timbre_operator.voiceservice.measures import quantity

_QUANTITY_PARENTS: Final = {"limits", "requests"}
_QUANTITY_FIELDS: Final = {"averageValue", "sizeLimit"}
_KEYS: Final = ("name", "containerPort", "port", "topologyKey", "type", "mountPath")
"""What tells the items of a list apart, the most telling first; lists without such a thing are compared by place."""


def first_difference(wanted: Any, found: Any, path: tuple[str, ...] = ()) -> str | None:
    """The path of the first difference with both values, as ``spec.replicas: 2, was 1``; None where there is none.

    Values below ``data`` are not shown: they may be secret.
    """
    if _empty(wanted) and _empty(found):
        return None
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return _first(first_difference(value, found.get(name), (*path, str(name))) for name, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return _list_difference(wanted, found, path)
    return None if _same(wanted, found, path) else _sentence(wanted, found, path)


def _same(wanted: Any, found: Any, path: tuple[str, ...]) -> bool:
    if _is_quantity(path):
        number = _number(wanted)
        return wanted == found or (number is not None and number == _number(found))
    return bool(wanted == found) and isinstance(wanted, bool) == isinstance(found, bool)


def _sentence(wanted: Any, found: Any, path: tuple[str, ...]) -> str:
    where = ".".join(path)
    if "data" in path:
        return f"{where}: another value"
    return f"{where}: {_shown(wanted)}, was {_shown(found)}"


def _list_difference(wanted: Sequence[Any], found: Sequence[Any], path: tuple[str, ...]) -> str | None:
    key = _key(wanted)
    if key is None:
        if len(wanted) != len(found):
            return f"{'.'.join(path)}: {len(wanted)} items, was {len(found)}"
        pairs = [(f"[{place}]", want, have) for place, (want, have) in enumerate(zip(wanted, found, strict=True))]
    else:
        there = {item.get(key): item for item in found if isinstance(item, Mapping)}
        pairs = [(f"[{item[key]}]", item, there.get(item[key])) for item in wanted]
    return _first(
        first_difference(want, have, (*path[:-1], (path[-1] if path else "") + place)) for place, want, have in pairs
    )


def _key(items: Sequence[Any]) -> str | None:
    """The name of what tells all items apart."""
    for key in _KEYS:
        if all(isinstance(item, Mapping) and key in item for item in items) and len(
            {item[key] for item in items}
        ) == len(items):
            return key
    return None


def _first(differences: Iterable[str | None]) -> str | None:
    return next((difference for difference in differences if difference is not None), None)


def _empty(value: Any) -> bool:
    """Whether the API server would leave it out: nothing, an empty text, list or object; not false, not zero."""
    return value is None or value in ("", [], {})


def _is_quantity(path: tuple[str, ...]) -> bool:
    return bool(_QUANTITY_FIELDS & set(path[-1:])) or bool(_QUANTITY_PARENTS & set(path[-2:-1]))


def _number(value: Any) -> Fraction | None:
    try:
        return quantity(str(value))
    except ValueError:
        return None


def _shown(value: Any) -> str:
    text = "not there" if value is None else json.dumps(value, sort_keys=True)
    return text if len(text) <= 80 else text[:77] + "..."
