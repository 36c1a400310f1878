"""The quiz, in a real browser where there is one: by keyboard alone, on a phone, without a network, without scripts."""

import base64
import dataclasses
import json
import re
import shutil
import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from arena.answer.command import main
from arena.answer.humans import Quiz, judged_by, read_quiz
from arena.answer.runs import read_run
from arena.report.page import write_report
from arena.report.quiz import panelists, quiz_section
from tests.figures.drawable import drawable_run, keep_judged
from tests.report.browser import NAMES, Browser, find_browser
from tests.report.test_page import Page

SCREEN = 12
TECHNIQUES = {"cnn": 0.8, "forest": 0.6, "stack": 0.85}


@pytest.fixture(scope="module")
def quizzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = drawable_run(tmp_path_factory.mktemp("runs") / "run", rounds=1, techniques=TECHNIQUES, channels=3)
    write_report(run)
    return run


@pytest.fixture(scope="module")
def quiz(quizzed: Path) -> Quiz:
    quiz = read_quiz(read_run(quizzed))
    assert quiz is not None
    return quiz


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory):
    command = find_browser()
    if command is None:
        pytest.skip(f"no browser on the PATH: looked for {', '.join(NAMES)}")
    with Browser(command, tmp_path_factory.mktemp("browser")) as its:
        yield its


@pytest.fixture
def desktop(browser: Browser, quizzed: Path) -> Browser:
    browser.window(1280, 900)
    browser.open(quizzed / "report.html")
    return browser


def focused(browser: Browser) -> str:
    """Id of what has the focus, or its label."""
    return browser.evaluate("document.activeElement.id || document.activeElement.ariaLabel || ''")


def tab_to(browser: Browser, what: str) -> None:
    for _ in range(60):
        browser.press("Tab")
        if focused(browser) == what:
            return
    raise AssertionError(f"Tab does not reach {what}")


def answer_by_keyboard(browser: Browser, marks: list[bool]) -> None:
    """Every screen: to its first image, along it with the arrows, marking by Space and Enter in turn, and on."""
    tab_to(browser, f"Image 1 of {len(marks)}")
    for first in range(0, len(marks), SCREEN):
        for k in range(first, first + SCREEN):
            assert focused(browser) == f"Image {k + 1} of {len(marks)}"
            if marks[k]:
                browser.press(" " if k % 2 else "Enter")
            browser.press("ArrowRight")
        tab_to(browser, "quiz-finish" if first + SCREEN == len(marks) else "quiz-next")
        browser.press("Enter")


def test_answered_by_keyboard_scored_saved_and_taken_in(desktop, quizzed, quiz, capsys):
    truth = quiz.label == 0
    marks = [bool(real) != (k % 5 == 0 or k % 7 == 3) for k, real in enumerate(truth)]
    right = np.array(marks) == truth
    answer_by_keyboard(desktop, marks)
    assert focused(desktop) == "quiz-score-title"

    words = desktop.evaluate("document.getElementById('quiz-said').innerText")
    interval = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    low, high = round(100 * interval.low), round(100 * interval.high)
    assert f"right on {right.sum()} of 48 images: {100 * right.mean():.0f}% (95% interval {low}% to {high}%)" in words
    found, taken = int((right & truth).sum()), int((~right & ~truth).sum())
    assert f"Of {truth.sum()} real images you found {found} and missed {truth.sum() - found}" in words
    assert f"of {(~truth).sum()} fakes you took {taken} for real" in words

    rows = desktop.evaluate(
        "[...document.querySelectorAll('#quiz-table tr')].map(r => [...r.cells].map(c => c.innerText))"
    )
    balanced = (right[truth].mean() + right[~truth].mean()) / 2
    assert rows[0][0] == "you"
    assert float(rows[0][3]) == pytest.approx(balanced, abs=6e-4)
    judges = judged_by(read_run(quizzed), quiz)
    assert [row[0] for row in rows[1:]] == list(judges) == list(TECHNIQUES)
    for name, its_right, _, auc in rows[1:]:
        logit = np.mean([scores.score for scores in judges[name]], axis=0)
        assert its_right == f"{((logit > 0) == ~truth).sum()} of 48"
        fold = judges[name][0].fold
        pairs, each = [], []
        for number in np.unique(fold):
            here = fold == number
            pairs.append((~truth[here]).sum() * truth[here].sum())
            each.append(roc_auc_score(~truth[here], logit[here]))
        assert float(auc) == pytest.approx(np.average(each, weights=pairs), abs=6e-4)

    tab_to(desktop, "quiz-name")
    for letter in "Ada":
        desktop.press(letter)
    tab_to(desktop, "quiz-save")
    desktop.press("Enter")
    file = desktop.downloads / f"answers-{quiz.id}.json"
    desktop.wait(file.is_file)
    saved = json.loads(file.read_text())
    assert saved["name"] == "Ada"
    assert [saved["answers"][str(k + 1)] for k in range(48)] == ["real" if mark else "fake" for mark in marks]
    assert {line["request"]["url"].split(":")[0] for line in desktop.heard("Network.requestWillBeSent")} <= {
        "file",
        "data",
        "blob",
    }
    for trouble in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
        assert desktop.heard(trouble) == []

    before = (quizzed / "verdict.json").read_bytes()
    capsys.readouterr()
    assert main([str(quizzed), "--json", "--human", str(file)]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["verdict"]["techniques"]["human"]["auc"] == pytest.approx(balanced)
    assert (quizzed / "verdict.json").read_bytes() == before


def test_a_screen_reader_hears_names_states_and_the_score_and_no_truth_before(desktop, quiz):
    def tree() -> list[dict]:
        return [node for node in desktop("Accessibility.getFullAXTree")["nodes"] if not node.get("ignored")]

    def named(role: str) -> list[str]:
        return [node["name"]["value"] for node in tree() if node["role"]["value"] == role]

    images = [f"Image {k} of 48" for k in range(1, SCREEN + 1)]
    pressed = {}
    desktop.evaluate("document.querySelectorAll('#quiz .image')[2].click()")
    for node in tree():
        if node.get("name", {}).get("value", "").startswith("Image "):
            assert node["role"]["value"] == "button"
            states = {its["name"]: its["value"]["value"] for its in node["properties"]}
            pressed[node["name"]["value"]] = states["pressed"]
    assert list(pressed) == images
    assert [name for name, state in pressed.items() if state == "true"] == [images[2]]
    assert f"Images 1 to {SCREEN} of 48" in named("group")
    assert {"Next images", "Show my score"} <= set(named("button"))

    desktop.evaluate("document.getElementById('quiz-finish').click()")
    truth = [f"{'fake' if fake else 'real'}, you were" for fake in quiz.label[:SCREEN]]
    for name, image, said in zip([name for name in named("button") if "Image" in name], images, truth, strict=True):
        assert name.startswith(f"{image}: {said}")
    assert "Your name, if you like" in named("textbox")
    (status,) = [node for node in tree() if node["role"]["value"] == "status"]
    assert {its["name"]: its["value"]["value"] for its in status["properties"]}["live"] == "polite"


@pytest.mark.parametrize(("width", "across"), [(1280, 6), (390, 3), (320, 3)])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_the_window(browser, quizzed, width, across, dark):
    browser.window(width, 800, phone=width < 500, dark=dark)
    browser.open(quizzed / "report.html")
    boxes = "[...document.querySelectorAll('#quiz .image')].slice(0, 12).map(b => b.getBoundingClientRect().toJSON())"
    tiles = browser.evaluate(boxes)
    assert len({tile["y"] for tile in tiles[:across]}) == 1
    assert tiles[across]["y"] > tiles[0]["y"]
    assert min(tile["width"] for tile in tiles) >= 44  # a finger
    assert len({(round(tile["width"]), round(tile["height"])) for tile in tiles}) == 1
    for step in (
        "",
        "document.querySelectorAll('#quiz .image')[1].click()",
        "document.getElementById('quiz-finish').click()",
    ):
        browser.evaluate(step or "0")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
    down = "document.querySelectorAll('#quiz .image')[0].focus()"
    browser.open(quizzed / "report.html")
    browser.evaluate(down)
    for key, at in (
        ("ArrowDown", across),
        ("ArrowUp", 0),
        ("ArrowLeft", 0),
        ("End", 11),
        ("ArrowDown", 11),
        ("Home", 0),
    ):
        browser.press(key)
        assert focused(browser) == f"Image {at + 1} of 48"
    assert browser.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page, ring = browser.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.activeElement).outlineColor]"
    )
    assert contrast(page, ring) >= 3  # WCAG 2.2, 1.4.11


def contrast(*colours: str) -> float:
    """The contrast ratio of two CSS colours (WCAG 2.2)."""
    light = []
    for colour in colours:
        value = np.array([int(part) for part in re.findall(r"\d+", colour)[:3]]) / 255
        linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
        light.append(linear @ [0.2126, 0.7152, 0.0722] + 0.05)
    return max(light) / min(light)


def test_who_stops_early_is_scored_on_what_was_seen(desktop, quiz):
    desktop.evaluate("document.getElementById('quiz-next').click()")
    desktop.evaluate("document.getElementById('quiz-back').click()")
    desktop.evaluate("document.getElementById('quiz-finish').click()")
    right = (quiz.label[: 2 * SCREEN] == 1).sum()  # nothing marked: all called fake
    assert f"right on {right} of 24 images" in desktop.evaluate("document.getElementById('quiz-said').innerText")
    shown = "[...document.querySelectorAll('#quiz .images')].filter(s => s.offsetHeight).length"
    assert desktop.evaluate(shown) == 2
    desktop.evaluate("document.querySelectorAll('#quiz .image')[0].click()")  # the truth is out: too late
    assert desktop.evaluate("document.querySelectorAll('#quiz .image')[0].ariaPressed") is None


def test_without_scripts_it_says_so(browser, quizzed):
    browser("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(quizzed / "report.html")
        root = browser("DOM.getDocument")["root"]["nodeId"]
        found = {}
        for selector in ("#quiz noscript p", "#quiz-body"):
            node = browser("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
            found[selector] = node
        assert "JavaScript" in browser("DOM.getOuterHTML", nodeId=found["#quiz noscript p"])["outerHTML"]
        browser("DOM.getBoxModel", nodeId=found["#quiz noscript p"])  # has a place on the page
        with pytest.raises(AssertionError, match="box model"):
            browser("DOM.getBoxModel", nodeId=found["#quiz-body"])
    finally:
        browser("Emulation.setScriptExecutionDisabled", value=False)


def test_the_policy_of_the_page_allows_its_own_script_and_no_network(desktop):
    inserted = (
        "const s = document.createElement('script'); s.textContent = 'window.inserted = 1'; document.body.append(s)"
    )
    desktop.evaluate(inserted)
    assert desktop.evaluate("window.inserted === undefined")
    assert desktop.evaluate("fetch('data:,x').then(() => 'sent', () => 'refused')") == "refused"
    assert desktop.heard("Network.requestWillBeSent")[-1]["request"]["url"].startswith(("file:", "data:image"))


def test_nothing_about_an_image_but_its_pixels_tells_what_it_is(quizzed, quiz):
    html = (quizzed / "report.html").read_text(encoding="utf-8")
    (section,) = re.findall(r'<section id="quiz".*?</section>', html, re.DOTALL)
    images = Page(section).all("img")
    assert len(images) == 48
    assert {tuple((key, value) for key, value in its.items() if key != "src") for its in images} == {
        (("alt", ""), ("width", "8"), ("height", "8"), ("class", "pixelated"))
    }
    buttons = [its for its in Page(section).all("button") if "aria-label" in its]
    for k, its in enumerate(buttons):
        assert its == {
            "type": "button",
            "class": "image",
            "aria-pressed": "false",
            "aria-label": f"Image {k + 1} of 48",
        }
    for k, its in enumerate(images):
        content = base64.b64decode(its["src"].removeprefix("data:image/png;base64,"))
        assert chunks(content) == [b"IHDR", b"IDAT", b"IEND"]
        with Image.open(BytesIO(content)) as image:
            np.testing.assert_array_equal(np.asarray(image), quiz.images[k].transpose(1, 2, 0))


def chunks(png: bytes) -> list[bytes]:
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        found.append(png[at + 4 : at + 8])
        at += length + 12
    return found


def test_the_page_is_the_same_each_time_and_without_images_has_no_quiz(tmp_path):
    run = drawable_run(tmp_path / "run", rounds=0, techniques={"cnn": 0.5})
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first
    (run / "banks" / "judged.npz").unlink()
    without = write_report(run).read_text(encoding="utf-8")
    assert "<script" not in without
    assert "script-src\n&#39;none&#39;" in without
    assert "Can you tell" not in without


@pytest.mark.parametrize(
    ("side", "n", "across", "tile"),
    [(8, 48, 6, 136), (32, 48, 6, 128), (128, 48, 6, 128), (256, 24, 3, 256), (512, 24, 3, 300)],
)
def test_small_images_are_enlarged_by_whole_pixels_and_large_ones_given_room(quizzed, tmp_path, side, n, across, tile):
    run = shutil.copytree(quizzed, tmp_path / "run")
    keep_judged(run, side=side)
    section = quiz_section(read_run(run))
    assert section is not None
    html = section.html
    assert f"--across: {across}; --narrow: {(across + 1) // 2}; --tile: {tile}px" in html
    assert html.count('class="image"') == n
    assert ('class="pixelated"' in html) == (side <= 32)


def test_techniques_that_did_not_test_these_images_are_left_out(quizzed, quiz):
    run = read_run(quizzed)
    assert [its.name for its in panelists(run, quiz)] == list(TECHNIQUES)
    other = dataclasses.replace(quiz, image=quiz.image + 10_000)
    assert panelists(run, other) == []
