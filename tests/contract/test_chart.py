"""The chart is of this version, carries this CRD and these rights, and documents every value."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from scripts.generate_chart import values_table
from tests.chart.alert_rules import release_groups
from timbre_operator.app.flags import LOG_LEVELS
from timbre_operator.desired.alerts import RUNBOOKS
from timbre_operator.settings import default_release
from timbre_operator.voiceservice import build_crd, from_manifest

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "timbre"
ABOUT: dict[str, Any] = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text("utf-8"))


def _annotation(name: str) -> Any:
    return yaml.safe_load(ABOUT["annotations"][f"artifacthub.io/{name}"])


def test_generated_files_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.generate_chart", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_crd_of_the_chart_is_the_crd() -> None:
    template = (CHART / "templates" / "crd.yaml").read_text("utf-8")
    manifest = yaml.safe_load(re.sub(r"^ *\{\{.*\}\}\n", "", template, flags=re.MULTILINE))
    assert manifest["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert manifest == yaml.safe_load((ROOT / "crds" / "voiceservices.yaml").read_text("utf-8"))


def test_helm_installs_no_crd_that_it_could_not_upgrade() -> None:
    """What lies in ``crds/`` of a chart is installed once and never again."""
    assert not (CHART / "crds").exists()


def test_the_chart_is_of_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert ABOUT["version"] == ABOUT["appVersion"] == project["version"]


def test_artifact_hub_is_told_of_every_image() -> None:
    release = default_release(ABOUT["appVersion"])
    told = {image["image"] for image in _annotation("images")}
    ours = {release.server_image, release.torch_image, release.redis_image, release.exporter_image}
    assert told - ours == {f"ghcr.io/timbre-dev/timbre-operator:{ABOUT['appVersion']}"}
    assert ours <= told
    assert (VALUES["images"]["redis"], VALUES["images"]["exporter"]) == (release.redis_image, release.exporter_image)


def test_artifact_hub_is_told_of_the_crd_with_an_example_that_can_be() -> None:
    (crd,) = _annotation("crds")
    spec = build_crd()["spec"]
    assert (crd["kind"], crd["name"]) == (spec["names"]["kind"], f"{spec['names']['plural']}.{spec['group']}")
    assert crd["version"] == spec["versions"][0]["name"]
    for example in _annotation("crdsExamples"):
        from_manifest(example)


def test_every_value_has_a_meaning() -> None:
    """``# -- meaning`` above it; where that is an object whose keys are free, or Kubernetes' own, it has one for all."""
    documented = {name for name, _, _ in values_table()}
    undocumented = [
        leaf for leaf in _leaves(VALUES) if not any(leaf == name or leaf.startswith(f"{name}.") for name in documented)
    ]
    assert undocumented == []
    assert all(meaning for _, _, meaning in values_table())


def test_the_schema_knows_every_value_and_nothing_else() -> None:
    for name, schema, values in _objects(SCHEMA, VALUES):
        assert schema["additionalProperties"] is False, name
        extra = {"": {"global"}, "resources": {"claims"}, "metricsApi.certificate.issuerRef": {"kind", "name", "group"}}
        assert set(schema["properties"]) - set(values) == extra.get(name, set()), name
        assert set(values) <= set(schema["properties"]), name


def test_the_schema_and_the_operator_agree_on_log_levels() -> None:
    assert tuple(SCHEMA["properties"]["logLevel"]["enum"]) == LOG_LEVELS


def test_both_sorts_of_alerts_lead_to_the_same_runbooks() -> None:
    urls = [rule["annotations"]["runbook_url"] for group in release_groups() for rule in group["rules"]]
    assert all(url.startswith(f"{RUNBOOKS}/") for url in urls)


def _leaves(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def _objects(
    schema: dict[str, Any], values: dict[str, Any], path: str = ""
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Objects whose keys are fixed."""
    yield path, schema, values
    for name, part in schema["properties"].items():
        if "properties" in part:
            yield from _objects(part, values[name], f"{path}.{name}".removeprefix("."))
