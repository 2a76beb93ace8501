"""Under which address does the API server have an object, and how is a selection of objects written?"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from timbre_operator.ports import Kind


def path_of(kind: Kind, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """Of one object, or of all of a kind where ``name`` is empty; in all namespaces where none is named."""
    root = "/api" if "/" not in kind.api_version else "/apis"
    parts = [kind.api_version, *(("namespaces", quote(namespace, safe="")) if namespace else ()), kind.plural]
    parts += [quote(part, safe="") for part in (name, subresource) if part]
    return "/".join([root, *parts])


def with_query(path: str, parameters: Mapping[str, str]) -> str:
    """The path with those parameters that have a value."""
    given = {name: value for name, value in parameters.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def selector(pairs: Mapping[str, str] | None) -> str:
    """As ``labelSelector`` and ``fieldSelector`` are written."""
    return ",".join(f"{name}={value}" for name, value in sorted((pairs or {}).items()))
