"""The sections and panels of the dashboard, by the names a race logs: what is documented in ``docs/dashboard.md``."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["lines", "bars", "points", "pictures", "table"]


@dataclass(frozen=True)
class Panel:
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
class Section:
    """Panels under a heading, ``across`` of them side by side."""

    name: str
    panels: tuple[Panel, ...]
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

LAYOUT = (
    Section(
        "Verdict",
        (
            Panel("AUC of the strongest fresh judge", "bars", ("verdict/strongest/auc",), within=_SHARE),
            Panel(
                "quality guard (right: worse) against detectability",
                "points",
                ("verdict/guards/quality/figure", "verdict/strongest/auc"),
            ),
            Panel("timeline", "pictures", ("figures/timeline",)),
            Panel("scores", "table", ("scores",)),
        ),
        across=2,
    ),
    Section(
        "Detectability",
        (
            Panel("fresh judges: AUC", "lines", ("auc/fresh/.+",), within=_SHARE),
            Panel("frozen: AUC of last round's detectors", "lines", ("auc/frozen/.+",), within=_SHARE),
            Panel("retrained: AUC of the same on these fakes", "lines", ("auc/retrained/.+",), within=_SHARE),
            Panel("strongest fresh judge [95%]", "lines", ("strongest/(auc|low|high)",), within=_SHARE),
            Panel("stack over all fresh judges", "lines", ("auc/fresh/stack",), within=_SHARE),
        ),
    ),
    Section(
        "Limit",
        (
            Panel("fresh judges by round and the laws fitted", "pictures", ("figures/limit",)),
            Panel("images from one source judged together", "pictures", ("figures/bags",)),
        ),
        across=2,
    ),
    Section("Faces", (Panel("reals above the fakes of the round", "pictures", ("faces",)),), across=1),
    Section(
        "Payoff",
        (
            Panel("so far: fakes of each round before detectors of each round", "pictures", ("payoff",)),
            Panel("whole battery, at the end", "pictures", ("figures/payoff",)),
        ),
        across=2,
    ),
    Section(
        "Quality and guards",
        (
            Panel(
                "kernel distance, of held-out and of blurred reals", "lines", ("quality/(real_|blurred_)?kernel_.+",)
            ),
            Panel("recall and coverage, and of reals", "lines", ("quality/(real_)?(recall|coverage)",), within=_SHARE),
            Panel("memorisation [95%], chance 1/2", "lines", ("quality/memorisation.*",), within=_SHARE),
            Panel("against detectability, guards drawn", "pictures", ("figures/quality",)),
        ),
    ),
    Section(
        "Training",
        (
            Panel(
                "warm-up and responses: losses",
                "lines",
                ("round_[0-9]+/(warm-up|respond)/gan/.+_(adversarial|penalty|pressure)",),
                axis="Step",
            ),
            Panel(
                "warm-up and responses: what the discriminator tells",
                "lines",
                ("round_[0-9]+/(warm-up|respond)/gan/discriminator_(real_logit|fake_logit|overfitting)",),
                axis="Step",
            ),
            Panel(
                "warm-up and responses: kernel distance",
                "lines",
                ("round_[0-9]+/(warm-up|respond)/kernel_distance",),
                axis="Step",
            ),
            Panel(
                "retraining: validation AUC",
                "lines",
                ("round_[0-9]+/retrain/.+/validation_auc",),
                "Step",
                within=_SHARE,
            ),
            Panel("retraining: loss", "lines", ("round_[0-9]+/retrain/.+/loss",), axis="Step"),
        ),
        across=3,
    ),
    Section(
        "Cost",
        (
            Panel("seconds of each phase", "lines", ("seconds/(forge|confront|retrain|judge|margin|measure|respond)",)),
            Panel("seconds of the race so far", "lines", ("seconds/race",)),
        ),
        across=2,
    ),
)
