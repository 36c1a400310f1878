import base64
import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
import yaml
from PIL import Image

from arena.answer.answer import read_answer
from arena.report.page import write_report
from tests.building import command
from tests.figures.drawable import drawable_run, write_grid

main = command("report")

HOSTILE = "<script>alert(1)</script>"


class ParsedPage(HTMLParser):
    """Tags with their attributes, and the text in reading order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.within: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        self.within.append(tag)

    def handle_endtag(self, tag):
        while self.within and self.within.pop() != tag:
            pass

    def handle_data(self, data):
        if data.strip() and not {"style", "title"} & set(self.within):
            self.words.append(" ".join(data.split()))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    techniques = {"cnn": 0.8, HOSTILE: 0.5, "stack": 0.85}
    run = drawable_run(tmp_path_factory.mktemp("runs") / "a & b", rounds=1, techniques=techniques)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["environment"] |= {"overrides": ["seed=0", "data.path=my faces"], "processor": "<b>fast</b>"}
    (run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    write_report(read_answer(run))
    return run


@pytest.fixture(scope="module")
def html(hostile: Path) -> str:
    return (hostile / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_sentence_comes_first(hostile, html):
    words = ParsedPage(html).words
    assert words[0] in ("Passes all", "Caught", "Undecided", "Invalid")
    assert " ".join(words[1:3]) == " ".join(read_answer(hostile).verdict.sentence.split())  # a heading and the rest


def test_the_page_needs_nothing_but_itself(html):
    for _, attributes in ParsedPage(html).tags:
        for key in ("src", "href", "srcset", "data", "action"):
            assert attributes.get(key, "data:").startswith(("data:", "#"))
    assert "url(" not in html
    assert "@import" not in html
    assert re.findall(r"https?://", html) == []


def test_names_are_escaped(html):
    page = ParsedPage(html)
    assert page.all("script") == [{"type": "application/json", "id": "quiz-data"}, {}]
    assert HOSTILE not in html
    assert page.all("b") == []
    assert "&lt;script&gt;" in html
    assert "<b>fast</b>" in page.words


def test_every_picture_opens_and_has_a_text_alternative(html):
    page = ParsedPage(html)
    pictures = [picture for picture in page.all("img") if picture["alt"]]  # those of the quiz have no text
    assert len(pictures) == 5  # race, images, limit, bags, payoff
    for attributes in pictures:
        assert len(attributes["alt"]) > 40
    for uri in [p["src"] for p in pictures] + [s["srcset"] for s in page.all("source")]:
        Image.open(BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))).verify()


def test_findings_guards_controls_and_settings_are_there(hostile, html):
    words = ParsedPage(html).words
    verdict = read_answer(hostile).verdict
    for name, test in verdict.techniques.items():
        row = words[words.index(name) :]
        assert row[1] == test.finding
    for guard in ("quality", "variety", "classes", "memorisation", "judges", "provenance", "oracle", "checkerboard"):
        assert guard in words
    assert "arena seed=0 'data.path=my faces'" in words
    assert words[words.index("race.rounds") + 1] == "1"


def test_the_page_suits_light_dark_and_a_phone(html):
    assert "prefers-color-scheme: dark" in html
    assert any(m.get("name") == "viewport" for m in ParsedPage(html).all("meta"))
    assert ParsedPage(html).all("html") == [{"lang": "en"}]


def test_a_run_without_banks_or_responses_shows_the_timeline_and_the_bags_alone(tmp_path):
    run = drawable_run(tmp_path / "run", rounds=0, techniques={"cnn": 0.5})
    for bank in (run / "banks").iterdir():
        bank.unlink()
    assert len(ParsedPage(write_report(read_answer(run)).read_text(encoding="utf-8")).all("img")) == 2


def test_a_path_that_is_no_finished_run_is_one_line_and_exit_code_2(tmp_path, capsys):
    assert main([str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_mixed_styles_are_shown_with_the_images(tmp_path):
    run = drawable_run(tmp_path / "run", rounds=0, techniques={"cnn": 0.5})
    assert "Style mixing" not in write_report(read_answer(run)).read_text(encoding="utf-8")
    write_grid(run, 0)
    page = write_report(read_answer(run)).read_text(encoding="utf-8")
    assert page.index("The images") < page.index("2 sources by 3 destinations") < page.index("Style mixing")
