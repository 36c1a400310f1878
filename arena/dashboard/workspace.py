"""The layout as a workspace of W&B; needs the extra ``dashboard`` (``wandb-workspaces``)."""

from typing import assert_never

import wandb_workspaces.reports.v2 as panels
import wandb_workspaces.workspaces as workspaces
from wandb_workspaces.reports.v2.interface import PanelTypes

from arena.dashboard.layout import COLUMNS, LAYOUT, Panel


def workspace(entity: str, project: str, name: str) -> workspaces.Workspace:
    """The documented layout, not yet saved; W&B is asked for nothing.

    Args:
        entity: user or team on W&B.
        project: on W&B, the ``logger.project`` of its races.
        name: of the saved view.
    """
    sections = []
    for section in LAYOUT:
        rows = -(-len(section.panels) // section.across)
        sections.append(
            workspaces.Section(
                name=section.name,
                panels=[drawn(panel) for panel in section.panels],
                is_open=True,
                layout_settings=workspaces.SectionLayoutSettings(columns=section.across, rows=rows),
            )
        )
    runs = workspaces.RunsetSettings(pinned_columns=["run:displayName", *(f"summary:{name}" for name in COLUMNS)])
    return workspaces.Workspace(entity=entity, project=project, name=name, sections=sections, runset_settings=runs)


def drawn(panel: Panel) -> PanelTypes:
    """A panel as W&B's own object."""
    low, high = panel.within or (None, None)
    match panel.kind:
        case "lines":
            pattern = "|".join(f"^{metric}$" for metric in panel.metrics)
            return panels.LinePlot(title=panel.title, x=panel.axis, metric_regex=pattern, range_y=(low, high))
        case "bars":
            return panels.BarPlot(title=panel.title, metrics=[*panel.metrics], range_x=(low, high))
        case "points":
            x, y = (panels.SummaryMetric(name) for name in panel.metrics)
            return panels.ScatterPlot(title=panel.title, x=x, y=y)
        case "pictures":
            return panels.MediaBrowser(title=panel.title, media_keys=[*panel.metrics], num_columns=1)
        case "table":
            (table,) = panel.metrics
            return panels.WeavePanelSummaryTable(table_name=table)
        case never:
            assert_never(never)
