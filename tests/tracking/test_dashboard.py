"""The panels of the dashboard show what a race logs, read from an offline run."""

import builtins
import re
import subprocess
import sys
from pathlib import Path

import pytest

from arena.race.race import Race
from arena.tracking.dashboard import COLUMNS, LAYOUT, DashboardPanel, workspace
from tests.building import command
from tests.offline import OfflineRun, offline_runs

pytestmark = pytest.mark.slow

main = command("dashboard")

PANELS = [pytest.param(panel, id=f"{section.name}: {panel.title}") for section in LAYOUT for panel in section.panels]
DOCUMENT = Path(__file__).parents[2] / "docs" / "dashboard.md"


@pytest.fixture(scope="module")
def offline(tracked: Race) -> OfflineRun:
    (written,) = offline_runs(tracked.run)
    return written


def values(offline: OfflineRun, pattern: str) -> dict[str, object]:
    """Values logged, or in the summary, under names that match as a whole."""
    logged = {key: row[key] for row in offline.history for key in row} | offline.summary
    return {key: value for key, value in logged.items() if re.fullmatch(pattern, key)}


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_shows_what_a_race_logs(panel: DashboardPanel, offline: OfflineRun):
    for metric in panel.metrics:
        logged = values(offline, metric if panel.kind == "lines" else re.escape(metric))
        assert logged, metric
        kinds = {value["_type"] if isinstance(value, dict) else type(value).__name__ for value in logged.values()}
        expected = {"pictures": {"image-file"}, "table": {"table-file"}}.get(panel.kind, {"int", "float"})
        assert kinds <= expected
        if panel.kind == "lines" and panel.axis == "round":
            rows = [row for row in offline.history if row.keys() & logged.keys()]
            assert all("round" in row for row in rows)
        if panel.within and panel.kind == "lines":
            low, high = panel.within
            assert all(low <= row[key] <= high for row in offline.history for key in row.keys() & logged.keys())


def test_every_column_is_in_the_summary(offline: OfflineRun):
    assert set(COLUMNS) <= offline.summary.keys()


def test_nothing_but_details_is_left_off_the_dashboard(offline: OfflineRun):
    """A new family of curves needs a panel, or a name here."""
    patterns = [
        metric if panel.kind == "lines" else re.escape(metric)
        for section in LAYOUT
        for panel in section.panels
        for metric in panel.metrics
    ]
    left_off = {key for key in offline.metrics if not any(re.fullmatch(pattern, key) for pattern in patterns)}
    details = (
        r"round|strongest/technique|quality/(real_)?(precision|density|frechet_distance)|seconds/(warm_up|calibrate)"
    )
    details += r"|.+/images|round_.+/(coverage|gan/augmentation)|figures/(margins|mixing|rounds|training)"
    assert [key for key in sorted(left_off) if not re.fullmatch(details, key)] == []


def test_the_workspace_is_the_layout(offline: OfflineRun):
    """In the form that is sent to W&B."""
    sent = workspace("team", "arena", "arms race")._to_model().model_dump(by_alias=True)
    section = sent["spec"]["section"]
    placed = section["panelBankConfig"]["sections"]
    assert [made["name"] for made in placed] == [expected.name for expected in LAYOUT]
    for made_section, expected in zip(placed, LAYOUT, strict=True):
        assert len(made_section["panels"]) == len(expected.panels)
        flow = made_section["flowConfig"]
        assert flow["columnsPerPage"] * flow["rowsPerPage"] >= len(expected.panels)
        for made, panel in zip(made_section["panels"], expected.panels, strict=True):
            config = made["config"]
            match panel.kind:
                case "lines":
                    assert config["useMetricRegex"]
                    chosen = {name for name in offline.metrics if re.search(config["metricRegex"], name)}
                    assert chosen == {name for metric in panel.metrics for name in values(offline, metric)}
                    assert config["xAxis"] == {"Step": "_step"}.get(panel.axis, panel.axis)
                case "bars":
                    assert config["metrics"] == [*panel.metrics]
                case "points":
                    assert [config["xAxis"], config["yAxis"]] == [f"summary:{name}" for name in panel.metrics]
                case "pictures":
                    assert config["mediaKeys"] == [*panel.metrics]
                case "table":
                    assert panel.metrics[0] in str(config)
    (runs,) = section["runSets"]
    assert runs["runFeed"]["columnOrder"] == ["run:displayName", *(f"summary:{name}" for name in COLUMNS)]


def test_the_document_describes_every_section():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [section.name for section in LAYOUT if f"\n| {section.name} | " not in text] == []


def test_a_dry_run_prints_every_panel_with_its_metrics(capsys):
    assert main(["--entity", "team", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    for panel in (panel for section in LAYOUT for panel in section.panels):
        (line,) = [line for line in printed.splitlines() if line.strip().startswith(f"{panel.title}: ")]
        assert all(metric in line for metric in panel.metrics)


def test_without_a_key_one_line(tmp_path, monkeypatch, capfd):
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert main(["--entity", "team"]) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == ["arena: W&B did not create the view: no API key: `wandb login` stores one"]


def test_without_the_extra_one_line(monkeypatch, capfd):
    whole = builtins.__import__

    def without(name, *rest):
        if name.startswith("wandb_workspaces"):
            raise ImportError(name)
        return whole(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "arena.tracking.dashboard", raising=False)
    assert main(["--entity", "team"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert 'pip install "arena-race[dashboard]"' in line


def test_a_refusal_of_wandb_is_one_line(monkeypatch, capfd):
    import wandb
    import wandb_workspaces.workspaces as workspaces

    def refuse(_):
        raise PermissionError("403\nand a page of HTML")

    monkeypatch.setattr(wandb, "login", lambda **_: True)
    monkeypatch.setattr(workspaces.Workspace, "save", refuse)
    assert main(["--entity", "team"]) == 2
    assert capfd.readouterr().err.splitlines() == ["arena: W&B did not create the view: 403"]


def test_it_needs_no_torch():
    code = "import sys, arena.tracking.dashboard; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0
