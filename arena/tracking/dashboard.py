"""Lay out a W&B project for the races of a team."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, assert_never

from arena.core.errors import ArenaError, first_line

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2.interface import PanelTypes
    from wandb_workspaces.workspaces import Workspace

Kind = Literal["lines", "bars", "points", "pictures", "table"]


@dataclass(frozen=True)
class DashboardPanel:
    """One panel.

    Args:
        title: text above it.
        kind: lines over an axis, bars (one a run), points (two numbers of each run's summary), pictures, or a table.
        metrics: of lines a regular expression, since names hold techniques and rounds; otherwise whole names. Of points
            the x and the y.
        axis: of lines, a metric or W&B's own ``Step``.
        within: range of an AUC or a share; None for the range of the data.
    """

    title: str
    kind: Kind
    metrics: tuple[str, ...]
    axis: str = "round"
    within: tuple[float, float] | None = None


class DashboardSection(NamedTuple):
    """Panels under a heading, ``across`` of them side by side."""

    name: str
    across: int
    panels: Sequence[DashboardPanel]


TIMEOUT = 5
"""Seconds to wait for the check of the API key."""
COLUMNS = ("verdict/answer", "verdict/strongest/technique", "verdict/strongest/auc")
COLUMNS += tuple(f"verdict/guards/{guard}/holds" for guard in ("quality", "variety", "classes", "memorisation"))
"""Columns of the list of runs, after their names: keys of the summary."""


def _lines(title: str, metric: str, axis: str = "round") -> DashboardPanel:
    return DashboardPanel(title, "lines", (metric,), axis)


def _shares(title: str, metric: str, axis: str = "round") -> DashboardPanel:
    return DashboardPanel(title, "lines", (metric,), axis, within=(0.0, 1.0))


def _picture(title: str, key: str) -> DashboardPanel:
    return DashboardPanel(title, "pictures", (key,))


_GAN = "round_[0-9]+/(warm-up|respond)"
_VERDICT = (
    DashboardPanel("AUC of the strongest fresh judge", "bars", ("verdict/strongest/auc",), within=(0.0, 1.0)),
    DashboardPanel(
        "quality guard (right: worse) against detectability",
        "points",
        ("verdict/guards/quality/figure", "verdict/strongest/auc"),
    ),
    _picture("timeline", "figures/timeline"),
    DashboardPanel("scores", "table", ("scores",)),
)
_DETECTABILITY = (
    _shares("fresh judges: AUC", "auc/fresh/.+"),
    _shares("frozen: AUC of last round's detectors", "auc/frozen/.+"),
    _shares("retrained: AUC of the same on these fakes", "auc/retrained/.+"),
    _shares("strongest fresh judge [95%]", "strongest/(auc|low|high)"),
    _shares("stack over all fresh judges", "auc/fresh/stack"),
)
_LIMIT = (
    _picture("fresh judges by round and the laws fitted", "figures/limit"),
    _picture("images from one source judged together", "figures/bags"),
)
_PAYOFF = (
    _picture("so far: fakes of each round against detectors of each round", "payoff"),
    _picture("whole battery, at the end", "figures/payoff"),
)
_QUALITY = (
    _lines("kernel distance, of held-out reals and of the unit", "quality/(real_|unit_)?kernel_.+"),
    _shares("recall and coverage, and of reals", "quality/(real_)?(recall|coverage)"),
    _shares("memorisation [95%], chance 1/2", "quality/memorisation.*"),
    _shares("near, exact and possible copies", "quality/(near_copies|exact_copies|copied_at_most)"),
    _shares("classes: distance, and share not recognised", "quality/(class_distance|unrecognised)"),
    _picture("against detectability, guards drawn", "figures/quality"),
)
_TRAINING = (
    _lines("warm-up and responses: losses", f"{_GAN}/gan/.+_(adversarial|penalty|detector_loss)", "Step"),
    _lines(
        "warm-up and responses: discriminator", f"{_GAN}/gan/discriminator_(real_logit|fake_logit|overfitting)", "Step"
    ),
    _lines("warm-up and responses: kernel distance", f"{_GAN}/kernel_distance", "Step"),
    _shares("retraining: validation AUC", "round_[0-9]+/retrain/.+/validation_auc", "Step"),
    _lines("retraining: loss", "round_[0-9]+/retrain/.+/loss", "Step"),
)
_COST = (
    _lines("seconds of each phase", "seconds/(forge|confront|retrain|judge|margin|measure|respond)"),
    _lines("seconds of the race so far", "seconds/race"),
)
LAYOUT = (
    DashboardSection("Verdict", 2, _VERDICT),
    DashboardSection("Detectability", 3, _DETECTABILITY),
    DashboardSection("Limit", 2, _LIMIT),
    DashboardSection("Faces", 1, (_picture("reals above the fakes of the round", "faces"),)),
    DashboardSection("Payoff", 2, _PAYOFF),
    DashboardSection("Quality and guards", 3, _QUALITY),
    DashboardSection("Training", 3, _TRAINING),
    DashboardSection("Cost", 2, _COST),
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
    """Create a view with the layout on W&B, and return its address. The arguments are those of ``workspace``.

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
