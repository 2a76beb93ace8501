"""How does a panel look?  One builder for each sort of question, so that all panels of a sort look the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import common, dashboard, stat, table, timeseries
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
GOOD, WARNING, BAD, PLAIN = "green", "orange", "red", "text"
_GRAPH_WIDTH, _GRAPH_HEIGHT = 8, 8
_NUMBER_WIDTH, _NUMBER_HEIGHT = 4, 4
"""Grafana's grid has 24 columns: three graphs or six numbers in a row."""

Steps = tuple[tuple[float | None, str], ...]
"""From which value on which colour; the first has no value."""
AnyPanel = timeseries.Panel | stat.Panel | table.Panel
Panel = TypeVar("Panel", timeseries.Panel, stat.Panel, table.Panel)


@dataclass(frozen=True)
class Query:
    """One expression; ``legend`` names its series."""

    expression: str
    legend: str


def board(title: str, uid: str, meaning: str) -> dashboard.Dashboard:
    """An empty one that asks which Prometheus it reads."""
    made = dashboard.Dashboard(title).uid(uid).tags(["timbre"]).readonly().annotations([])
    made = made.description(f"{meaning} Made by code, scripts/dashboards: copy it to change it.")
    made = made.time("now-1h", "now").refresh("30s").tooltip(model.DashboardCursorSync.CROSSHAIR)
    return made.with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))


def choice(name: str, label: str, query: str) -> dashboard.QueryVariable:
    """A variable with the values that there are."""
    variable = dashboard.QueryVariable(name).label(label).query(query).datasource(DATASOURCE)
    variable = variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    return variable.sort(model.VariableSort.ALPHABETICAL_ASC)


def graph(
    title: str,
    meaning: str,
    *queries: Query,
    unit: str,
    stacked: bool = False,
    limit: float | None = None,
    most: float | None = None,
) -> timeseries.Panel:
    """A course over time, from 0; ``limit`` is drawn as a line: there somebody is called."""
    panel = timeseries.Panel().fill_opacity(20 if stacked else 8).show_points(options.VisibilityMode.NEVER).min(0)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))
    if most is not None:
        panel = panel.max(most)
    if limit is not None:
        panel = panel.thresholds(_steps(((None, "transparent"), (limit, BAD)))).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(options.GraphThresholdsStyleMode.DASHED)
        )
    legend = common.VizLegendOptions().show_legend(True).display_mode(options.LegendDisplayMode.LIST)  # noqa: FBT003
    panel = panel.legend(legend.placement(options.LegendPlacement.BOTTOM).calcs([]))
    panel = panel.tooltip(
        common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING)
    )
    return _asking(panel.span(_GRAPH_WIDTH).height(_GRAPH_HEIGHT), title, meaning, unit, queries)


def number(title: str, meaning: str, query: Query, *, unit: str, steps: Steps = ((None, PLAIN),)) -> stat.Panel:
    """What it is now, with the course behind it; ``steps`` colour it."""
    panel = stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel = panel.graph_mode(options.BigValueGraphMode.AREA).color_mode(options.BigValueColorMode.VALUE)
    panel = panel.thresholds(_steps(steps)).no_value("-")
    return _asking(panel.span(_NUMBER_WIDTH).height(_NUMBER_HEIGHT), title, meaning, unit, (query,))


def words(title: str, meaning: str, query: Query) -> stat.Panel:
    """Names of the series that are there now, as a reason."""
    panel = stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel = panel.graph_mode(options.BigValueGraphMode.NONE).text_mode(options.BigValueTextMode.NAME).no_value("-")
    panel = panel.color_mode(options.BigValueColorMode.NONE)
    return _asking(panel.span(_NUMBER_WIDTH).height(_NUMBER_HEIGHT), title, meaning, "none", (query,))


def rows(title: str, meaning: str, query: Query, columns: Iterable[str], *, width: int = 24) -> table.Panel:
    """Labels of the series that are there now, one series a row."""
    shown = {name: index for index, name in enumerate(columns)}
    only = model.DataTransformerConfig(id_val="filterFieldsByName", options={"include": {"names": list(shown)}})
    order = model.DataTransformerConfig(id_val="organize", options={"indexByName": shown})
    panel = table.Panel().with_transformation(only).with_transformation(order).span(width).height(_GRAPH_HEIGHT)
    panel = _described(panel, title, meaning).no_value("-")
    return panel.with_target(_target(query, "A").instant().format(PromQueryFormat.TABLE))


def numbered(made: model.Dashboard) -> model.Dashboard:
    """The same with an id for each panel: links to a panel use it."""
    for index, panel in enumerate(made.panels or (), start=1):
        panel.id_val = index
    return made


def _asking(panel: Panel, title: str, meaning: str, unit: str, queries: Iterable[Query]) -> Panel:
    panel = _described(panel, title, meaning).unit(unit)
    for letter, query in zip("ABCDEF", queries, strict=False):
        panel = panel.with_target(_target(query, letter))
    return panel


def _described(panel: Panel, title: str, meaning: str) -> Panel:
    return panel.title(title).description(meaning).datasource(DATASOURCE)


def _target(query: Query, letter: str) -> Dataquery:
    return Dataquery().expr(query.expression).legend_format(query.legend).ref_id(letter).datasource(DATASOURCE)


def _steps(steps: Steps) -> dashboard.ThresholdsConfig:
    made = [model.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)
