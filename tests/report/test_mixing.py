from arena.report.page import write_report
from tests.figures.drawable import drawable_run
from tests.figures.test_mixing import write_grid


def test_mixed_styles_are_shown_with_the_images(tmp_path):
    run = drawable_run(tmp_path / "run", rounds=0, techniques={"cnn": 0.5})
    assert "Style mixing" not in write_report(run).read_text(encoding="utf-8")
    write_grid(run, 0)
    page = write_report(run).read_text(encoding="utf-8")
    assert page.index("The images") < page.index("2 sources by 3 destinations") < page.index("Style mixing")
