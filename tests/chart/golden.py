"""What the chart becomes for each file of values, to be read in a review: ``python -m tests.chart.golden`` writes it anew.

Certificates are different each time; CRD, rights, dashboards and alerts have files of their own, and a name stands for
each.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import yaml

from tests.chart.helm import VALUES_FILES, Helm, Manifest
from timbre_operator.rights import service_rights

FOLDER: Final = Path(__file__).parent / "golden"
LONGEST_GIVEN_BUNDLE: Final = 100
"""Of the files of values, in characters; a real certificate has a thousand."""
RIGHTS: Final = [right.to_rule() for right in service_rights()]
CASES: Final[dict[str, Path | None]] = {"default": None, **VALUES_FILES}


def readable(manifests: Iterable[Manifest]) -> str:
    """As YAML, in the order in which Helm applies it."""
    return yaml.safe_dump_all(map(_shortened, manifests), sort_keys=False, width=120)


def rendered(helm: Helm, case: str) -> str:
    """For one of the cases."""
    file = CASES[case]
    return readable(helm.template(*(("--values", file) if file else ())))


def _shortened(manifest: Manifest) -> Manifest:
    return manifest | _instead(manifest)


def _instead(manifest: Manifest) -> Manifest:
    """What stands in the place of its long parts."""
    metadata, spec = manifest["metadata"], manifest.get("spec", {})
    shown: Manifest = {}
    match manifest["kind"]:
        case "CustomResourceDefinition":
            shown = {"spec": "as in crds/voiceservices.yaml"}
        case "Secret":
            dated = metadata | {"annotations": dict.fromkeys(metadata["annotations"], "a date")}
            shown = {"metadata": dated, "data": dict.fromkeys(manifest["data"], "made at installation")}
        case "APIService" if len(spec.get("caBundle", "")) > LONGEST_GIVEN_BUNDLE:
            shown = {"spec": spec | {"caBundle": "made at installation"}}
        case "ClusterRole" | "Role" if manifest["rules"] == RIGHTS:
            shown = {"rules": "as in charts/timbre/files/rights.yaml"}
        case "ConfigMap":
            shown = {"data": dict.fromkeys(manifest["data"], "as in charts/timbre/dashboards")}
        case "PrometheusRule":
            shown = {"spec": {group["name"]: [rule["alert"] for rule in group["rules"]] for group in spec["groups"]}}
    return shown


def main() -> None:
    """Writes every file anew."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        helm = Helm(Path(home))
        for case in CASES:
            (FOLDER / f"{case}.yaml").write_text(rendered(helm, case), "utf-8")


if __name__ == "__main__":
    main()
