"""Lists: which page is asked for, and how does OpenAI write one?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import Query

After = Annotated[str | None, Query()]
"""The id behind which the page begins."""

Limit = Annotated[int, Query(ge=1, le=100)]
"""How many objects a page has; OpenAI's bounds for lists, whose default is 20."""

DEFAULT_LIMIT = 20


def to_page(objects: Sequence[Mapping[str, object]], *, has_more: bool) -> dict[str, object]:
    """The list object around a page of objects."""
    return {
        "object": "list",
        "data": objects,
        "first_id": objects[0]["id"] if objects else None,
        "last_id": objects[-1]["id"] if objects else None,
        "has_more": has_more,
    }
