"""Writes what the chart takes from code: CRD, rights, dashboards, the table of values.  ``--check`` compares only.

Run it as ``python -m scripts.generate_chart``; ``make generate`` does.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from scripts.dashboards import build_dashboards, to_json
from timbre_operator.rights import home_rights, service_rights
from timbre_operator.voiceservice import build_crd
from timbre_operator.voiceservice.documents import to_yaml

ROOT: Final = Path(__file__).resolve().parents[1]
CHART: Final = ROOT / "charts" / "timbre"
LEASE_PLACEHOLDER: Final = "LEASE_NAME"
"""The template writes the release's own in its place."""
_TABLE: Final = re.compile(r"(<!-- values -->\n).*(<!-- /values -->)", re.DOTALL)


def crd_template() -> str:
    """``templates/crd.yaml``: the CRD, unless it is not wanted, and kept unless that is not wanted."""
    manifest = to_yaml([build_crd()]).removeprefix("---\n")
    assert "{{" not in manifest, "Helm would read it as a template"
    name = f"  name: {build_crd()['metadata']['name']}\n"
    keep = "  {{- if .Values.crds.keep }}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{- end }}\n"
    assert manifest.count(name) == 1
    body = manifest.replace(name, name + keep)
    head = "{{- /* Made by `make generate` from crds/voiceservices.yaml. */}}\n{{- if .Values.crds.install }}\n"
    return f"{head}{body}{{{{- end }}}}\n"


def rights_file() -> str:
    """``files/rights.yaml``: rules of the operator's roles."""
    rules = {
        "services": [right.to_rule() for right in service_rights()],
        "home": [right.to_rule() for right in home_rights(LEASE_PLACEHOLDER)],
    }
    head = "# Made by `make generate` from operator/timbre_operator/rights.py, which says why.\n"
    return head + yaml.safe_dump(rules, sort_keys=False, default_flow_style=None, width=120)


def readme() -> str:
    """``README.md`` with the table of values anew."""
    page = (CHART / "README.md").read_text("utf-8")
    rows = "".join(f"| `{name}` | `{default}` | {meaning} |\n" for name, default, meaning in values_table())
    return _TABLE.sub(lambda match: f"{match[1]}| value | default | meaning |\n|---|---|---|\n{rows}{match[2]}", page)


def values_table() -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of each value: a comment ``# -- meaning`` stands above it in ``values.yaml``."""
    text = (CHART / "values.yaml").read_text("utf-8")
    values = yaml.safe_load(text)
    path: list[str] = []
    meaning = ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# -- "):
            meaning = stripped.removeprefix("# -- ")
        elif found := re.match(r"( *)(\w+):", line):
            path = [*path[: len(found[1]) // 2], found[2]]
            if meaning:
                yield ".".join(path), json.dumps(_at(values, path)), meaning
                meaning = ""


def _at(values: Any, path: list[str]) -> Any:
    for name in path:
        values = values[name]
    return values


def _dashboard(name: str) -> Callable[[], str]:
    return lambda: to_json(build_dashboards()[name])


FILES: Final[dict[str, Callable[[], str]]] = {
    "templates/crd.yaml": crd_template,
    "files/rights.yaml": rights_file,
    "dashboards/service.json": _dashboard("service"),
    "dashboards/operator.json": _dashboard("operator"),
    "README.md": readme,
}


def main() -> int:
    """Writes or compares every file; 1 if one of them is out of date."""
    stale = []
    for name, make in FILES.items():
        path, text = CHART / name, make()
        if "--check" not in sys.argv:
            path.write_text(text, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != text:
            stale.append(f"charts/timbre/{name}")
    if stale:
        print(f"out of date: {', '.join(stale)}; run `make generate` and commit the result", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
