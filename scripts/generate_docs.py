"""Writes the documentation that is made from code: settings, metrics, third-party licences.  ``--check`` compares only."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from pydantic import BaseModel

from timbre_contract.metrics import SERVER_METRICS, MetricSpec
from timbre_contract.operator_metrics import OPERATOR_METRICS
from timbre_operator.app.flags import FLAGS, SWITCH, WITHOUT_METRICS_API
from timbre_operator.rights import Right, home_rights, service_rights
from timbre_operator.settings import default_release
from timbre_operator.voiceservice import build_crd
from timbre_operator.voiceservice.reference import to_reference
from timbre_server.settings import Settings, variables

ROOT = Path(__file__).resolve().parents[1]
_MADE = "<!-- Made by `make generate`; edit the source that is named below, not this page. -->\n"


def settings_page() -> str:
    """``docs/settings.md``: every variable with its default and meaning."""
    lines = [
        "# Settings of the server",
        "",
        _MADE,
        "Source: `server/timbre_server/settings.py`. Every setting is an environment variable; an unknown one with the",
        "prefix `TIMBRE_` stops the start with exit code 2. `timbre-server --help` prints the same list. In a",
        "`VoiceService` those that have no field go into [its podTemplate](operations.md#settings-without-a-field).",
    ]
    group = ""
    for name, field in variables():
        current = name.removeprefix("TIMBRE_").split("__")[0].lower()
        if current != group:
            group = current
            lines += ["", f"## {group}", "", *_words_of(Settings.model_fields[group].annotation)]
            lines += ["| variable | default | meaning |", "|---|---|---|"]
        default = field.get_default(call_default_factory=True)
        shown = "" if default in (None, "") else f"`{str(default).lower() if isinstance(default, bool) else default}`"
        lines.append(f"| `{name}` | {shown} | {field.description} |")
    return "\n".join(lines) + "\n"


def _words_of(annotation: object) -> list[str]:
    """A group's own docstring; a setting that stands alone is a plain type, whose docstring is Python's."""
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return []
    return [(annotation.__doc__ or "").strip(), ""]


def metrics_page() -> str:
    """``docs/metrics.md``: every metric of ``/metrics``, the server's and the operator's."""
    lines = [
        "# Metrics",
        "",
        _MADE,
        "The dashboards of the chart show them (`charts/timbre/dashboards/`), its alerts are in [runbooks](runbooks/README.md).",
        "",
        "## Of the server",
        "",
        "Source: `server/timbre_contract/metrics.py`. Exported at `/metrics` on the admin port (9000) of each pod.",
        "",
        *_table_of(SERVER_METRICS),
        "",
        "## Of the operator",
        "",
        "Source: `server/timbre_contract/operator_metrics.py`. Exported at `/metrics` on the admin port (8080) of each replica.",
        "Those about a service come from every replica alike: take their maximum.",
        "",
        *_table_of(OPERATOR_METRICS),
    ]
    return "\n".join(lines) + "\n"


def _table_of(specs: Iterable[MetricSpec]) -> Iterator[str]:
    yield "| metric | kind | labels | meaning |"
    yield "|---|---|---|---|"
    for spec in specs:
        labels = ", ".join(f"`{label}`" for label in spec.labels)
        yield f"| `{spec.name}` | {spec.kind} | {labels} | {spec.help} |"


def _licence_of(package: str) -> str:
    try:
        data = metadata(package)
    except PackageNotFoundError:  # a package for another Python: async-timeout, which redis needs before 3.11.3
        return "Apache-2.0" if package == "async-timeout" else "see the package"
    if expression := data.get("License-Expression"):
        return expression
    classifiers = [line.split(" :: ")[-1] for line in data.get_all("Classifier") or [] if line.startswith("License ::")]
    if classifiers:
        return " / ".join(sorted(set(classifiers)))
    return (data.get("License") or "see the package").strip().split("\n")[0][:80]


def licences_page() -> str:
    """``THIRD_PARTY_LICENSES.md``: what a server installs, and what the repository carries."""
    intro = (ROOT / "docs" / "third-party-intro.md").read_text("utf-8")
    locked = (ROOT / "requirements" / "server.txt").read_text("utf-8")
    packages: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", locked, re.MULTILINE):
        packages.setdefault(name, []).append(version)
    rows = [f"| {name} | {', '.join(versions)} | {_licence_of(name)} |" for name, versions in sorted(packages.items())]
    return "\n".join([intro.rstrip(), "", "| package | version | licence |", "|---|---|---|", *rows]) + "\n"


def voiceservice_page() -> str:
    """``docs/voiceservice.md``: every field of the resource."""
    intro = [
        "# The VoiceService resource",
        "",
        _MADE,
        "Source: `operator/timbre_operator/voiceservice/`. `kubectl explain voiceservice.spec` says the same; `examples/` shows",
        "whole ones, and `timbre-operator render FILE` what becomes of one. What `status.conditions` say is in",
        "[conditions.md](conditions.md).",
    ]
    return "\n".join(intro) + "\n" + to_reference(build_crd())


def operator_settings_page() -> str:
    """``docs/operator-settings.md``: every flag and every right of the operator."""
    lines = [
        "# Settings and rights of the operator",
        "",
        _MADE,
        "Sources: `operator/timbre_operator/app/flags.py` and `rights.py`. What the operator does is in",
        "[operator.md](operator.md).",
        "",
        "## Settings of `timbre-operator run`",
        "",
        "A flag wins over its variable. An unknown variable with the prefix `TIMBRE_OPERATOR_` stops the start with exit code 2.",
        "",
        "| flag | variable | default | meaning |",
        "|---|---|---|---|",
    ]
    for flag in FLAGS:
        default = _DEFAULTS_ELSEWHERE.get(flag.name) or flag.default({}, default_release("VERSION"))
        shown = f"`{default}`" if default and flag.name not in _DEFAULTS_ELSEWHERE else default
        lines.append(f"| `--{flag.name} {flag.metavar}` | `{flag.variable}` | {shown} | {flag.help} |")
    lines.append(f"| `--{WITHOUT_METRICS_API}` | `{SWITCH}` | `false` | do not serve custom.metrics.k8s.io |")
    lines += [
        "",
        "## Rights",
        "",
        "`timbre-operator rbac` prints them as roles with their bindings: in the namespaces that `--namespace` names, or for the",
        "whole cluster. The operator reads Secrets because it makes those of its Redis and reads those that",
        "`spec.redis.external` and `spec.resultCache` name; RBAC cannot tell them from others.",
        "",
        "| where | API group | resources | verbs | why |",
        "|---|---|---|---|---|",
        *_rights_rows("VoiceServices live", service_rights()),
        *_rights_rows("the operator runs", home_rights()),
    ]
    lines.append(
        "| `kube-system` | | ConfigMap `extension-apiserver-authentication` | get | who speaks for the API server |"
    )
    return "\n".join(lines) + "\n"


_DEFAULTS_ELSEWHERE = {
    "identity": "the pod's name, or the host's",
    "operator-namespace": "that of its own pod",
    "metrics-url": "port 8080 of the Service `timbre-operator`",
}


def _rights_rows(where: str, rights: Iterable[Right]) -> Iterator[str]:
    for right in rights:
        names = f" called `{', '.join(right.names)}`" if right.names else ""
        resources = ", ".join(f"`{resource}`" for resource in right.resources) + names
        yield f"| where {where} | {right.group or 'core'} | {resources} | {', '.join(right.verbs)} | {right.why} |"


PAGES = {
    "docs/operator-settings.md": operator_settings_page,
    "docs/voiceservice.md": voiceservice_page,
    "docs/settings.md": settings_page,
    "docs/metrics.md": metrics_page,
    "THIRD_PARTY_LICENSES.md": licences_page,
}


def _comparable(page: str) -> str:
    """Without the licence column: what a package says of itself may differ between the versions for two Pythons."""
    return re.sub(r"^(\| [a-z0-9-]+ \| [0-9][^|]*\|).*$", r"\1", page, flags=re.MULTILINE)


def main() -> int:
    """Writes or compares every page; 1 if one of them is out of date."""
    stale = []
    for name, page in PAGES.items():
        path, text = ROOT / name, page()
        if "--check" not in sys.argv:
            path.write_text(text, "utf-8")
        elif not path.exists() or _comparable(path.read_text("utf-8")) != _comparable(text):
            stale.append(name)
    if stale:
        print(f"out of date: {', '.join(stale)}; run `make generate` and commit the result", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
