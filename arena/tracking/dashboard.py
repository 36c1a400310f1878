"""Lay out a W&B project for the races of a team."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, assert_never

from arena.core.errors import ArenaError, first_line

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2.interface import PanelTypes
    from wandb_workspaces.workspaces import Workspace

Kind = Literal["lines", "bars", "points", "pictures", "table"]


@dataclass(frozen=True)
class DashboardPanel:
    """One panel.

    Args:
        title: above it.
        kind: lines over an axis, bars (one a run), points (two figures of each run's summary), pictures, or a table.
        metrics: of lines regular expressions, since their names hold techniques and rounds; else whole names. Of
            points the x and the y.
        axis: of lines, a metric or W&B's own ``Step``.
        within: range of an AUC or a share; None for what the data span.
    """

    title: str
    kind: Kind
    metrics: tuple[str, ...]
    axis: str = "round"
    within: tuple[float, float] | None = None


@dataclass(frozen=True)
class DashboardSection:
    """Panels under a heading, ``across`` of them side by side."""

    name: str
    panels: tuple[DashboardPanel, ...]
    across: int = 3


COLUMNS = (
    "verdict/answer",
    "verdict/strongest/technique",
    "verdict/strongest/auc",
    "verdict/guards/quality/holds",
    "verdict/guards/variety/holds",
    "verdict/guards/memorisation/holds",
)
"""Of the list of runs, after their names: figures of the summary."""

_SHARE = (0.0, 1.0)
TIMEOUT = 5
"""Seconds to wait for the check of the API key."""

LAYOUT = (
    DashboardSection(
        "Verdict",
        (
            DashboardPanel("AUC of the strongest fresh judge", "bars", ("verdict/strongest/auc",), within=_SHARE),
            DashboardPanel(
                "quality guard (right: worse) against detectability",
                "points",
                ("verdict/guards/quality/figure", "verdict/strongest/auc"),
            ),
            DashboardPanel("timeline", "pictures", ("figures/timeline",)),
            DashboardPanel("scores", "table", ("scores",)),
        ),
        across=2,
    ),
    DashboardSection(
        "Detectability",
        (
            DashboardPanel("fresh judges: AUC", "lines", ("auc/fresh/.+",), within=_SHARE),
            DashboardPanel("frozen: AUC of last round's detectors", "lines", ("auc/frozen/.+",), within=_SHARE),
            DashboardPanel("retrained: AUC of the same on these fakes", "lines", ("auc/retrained/.+",), within=_SHARE),
            DashboardPanel("strongest fresh judge [95%]", "lines", ("strongest/(auc|low|high)",), within=_SHARE),
            DashboardPanel("stack over all fresh judges", "lines", ("auc/fresh/stack",), within=_SHARE),
        ),
    ),
    DashboardSection(
        "Limit",
        (
            DashboardPanel("fresh judges by round and the laws fitted", "pictures", ("figures/limit",)),
            DashboardPanel("images from one source judged together", "pictures", ("figures/bags",)),
        ),
        across=2,
    ),
    DashboardSection(
        "Faces", (DashboardPanel("reals above the fakes of the round", "pictures", ("faces",)),), across=1
    ),
    DashboardSection(
        "Payoff",
        (
            DashboardPanel("so far: fakes of each round before detectors of each round", "pictures", ("payoff",)),
            DashboardPanel("whole battery, at the end", "pictures", ("figures/payoff",)),
        ),
        across=2,
    ),
    DashboardSection(
        "Quality and guards",
        (
            DashboardPanel(
                "kernel distance, of held-out and of blurred reals", "lines", ("quality/(real_|blurred_)?kernel_.+",)
            ),
            DashboardPanel(
                "recall and coverage, and of reals", "lines", ("quality/(real_)?(recall|coverage)",), within=_SHARE
            ),
            DashboardPanel("memorisation [95%], chance 1/2", "lines", ("quality/memorisation.*",), within=_SHARE),
            DashboardPanel("against detectability, guards drawn", "pictures", ("figures/quality",)),
        ),
    ),
    DashboardSection(
        "Training",
        (
            DashboardPanel(
                "warm-up and responses: losses",
                "lines",
                ("round_[0-9]+/(warm-up|respond)/gan/.+_(adversarial|penalty|detector_loss)",),
                axis="Step",
            ),
            DashboardPanel(
                "warm-up and responses: what the discriminator tells",
                "lines",
                ("round_[0-9]+/(warm-up|respond)/gan/discriminator_(real_logit|fake_logit|overfitting)",),
                axis="Step",
            ),
            DashboardPanel(
                "warm-up and responses: kernel distance",
                "lines",
                ("round_[0-9]+/(warm-up|respond)/kernel_distance",),
                axis="Step",
            ),
            DashboardPanel(
                "retraining: validation AUC",
                "lines",
                ("round_[0-9]+/retrain/.+/validation_auc",),
                "Step",
                within=_SHARE,
            ),
            DashboardPanel("retraining: loss", "lines", ("round_[0-9]+/retrain/.+/loss",), axis="Step"),
        ),
        across=3,
    ),
    DashboardSection(
        "Cost",
        (
            DashboardPanel(
                "seconds of each phase", "lines", ("seconds/(forge|confront|retrain|judge|margin|measure|respond)",)
            ),
            DashboardPanel("seconds of the race so far", "lines", ("seconds/race",)),
        ),
        across=2,
    ),
)


def layout_lines() -> Iterator[str]:
    """Yield the layout as text, one line per panel."""
    yield f"columns: {', '.join(COLUMNS)}"
    for section in LAYOUT:
        yield section.name
        for panel in section.panels:
            axis = f" over {panel.axis}" if panel.kind == "lines" else ""
            yield f"  {panel.title}: {panel.kind} of {', '.join(panel.metrics)}{axis}"


def create_view(entity: str, project: str, name: str) -> str:
    """Create a view with the layout on W&B, and return its address.

    Args:
        entity: user or team on W&B.
        project: the ``logger.project`` of the races.
        name: of the view.

    Raises:
        ArenaError: without wandb-workspaces, without an API key, or if W&B refuses the view.
    """
    import wandb

    try:
        view = workspace(entity, project, name)
    except ImportError as error:
        raise ArenaError('wandb-workspaces: not installed (pip install "arena-race[dashboard]")') from error
    try:
        wandb.setup(settings=wandb.Settings(silent=True))
        if not wandb.login(prompt=False, timeout=TIMEOUT):
            raise ConnectionError("no API key: `wandb login` stores one")
        return view.save().url
    except Exception as error:  # W&B's client and server raise errors of many types
        raise ArenaError(f"W&B did not create the view: {first_line(error)}") from error


def workspace(entity: str, project: str, name: str) -> "Workspace":
    """Return the layout as a view that is not saved yet. W&B is not contacted.

    Args:
        entity: user or team on W&B.
        project: on W&B, the ``logger.project`` of its races.
        name: of the saved view.
    """
    from wandb_workspaces import workspaces

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


def drawn(panel: DashboardPanel) -> "PanelTypes":
    """Return a panel as W&B's own object."""
    import wandb_workspaces.reports.v2 as panels

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
