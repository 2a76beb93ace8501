"""How do manifests become text, and text manifests?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml  # type: ignore[import-untyped]  # ships no types

from timbre_operator.errors import InvalidManifest


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # ships no types
    """Blocks for texts of several lines, and lists inside of their key, as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002  # PyYAML's signature
        del indentless
        super().increase_indent(flow, False)  # noqa: FBT003  # PyYAML's signature

    def ignore_aliases(self, data: Any) -> bool:  # anchors are legal and nobody reads them
        del data
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_multi_representer(str, lambda dumper, text: _represent_text(dumper, str(text)))


def to_yaml(manifests: Iterable[Mapping[str, Any]]) -> str:
    """One document each, in the order of their keys."""
    text: str = yaml.dump_all(
        [dict(manifest) for manifest in manifests],
        Dumper=_Dumper,
        sort_keys=False,
        explicit_start=True,
        allow_unicode=True,
        width=120,
    )
    return text


def from_yaml(text: str) -> list[dict[str, Any]]:
    """All documents that are objects.

    Raises:
        InvalidManifest: the text is no YAML or holds something else.
    """
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise InvalidManifest([f"this is no YAML: {place}{error.problem}"]) from error
    except yaml.YAMLError as error:
        raise InvalidManifest(["this is no YAML"]) from error
    if not all(isinstance(document, dict) for document in documents):
        raise InvalidManifest(["a document is no object; write apiVersion, kind, metadata and spec"])
    return documents
