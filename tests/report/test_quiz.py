"""The quiz in Debian's Chromium where it is installed: by keyboard, on a phone, without a network, without scripts."""

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
from playwright.sync_api import Browser, Page
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from arena.answer.answer import read_answer
from arena.answer.humans import Quiz, judged_by, read_quiz
from arena.answer.runs import read_run
from arena.figures.axes import contrast
from arena.report.page import write_report
from arena.report.quiz import panelists, quiz_section
from tests.building import command
from tests.figures.drawable import drawable_run, keep_judged
from tests.report.test_page import ParsedPage

pytestmark = pytest.mark.slow

main = command("answer")

SCREEN = 12
TECHNIQUES = {"cnn": 0.8, "forest": 0.6, "stack": 0.85}


@pytest.fixture(scope="module")
def quizzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = drawable_run(tmp_path_factory.mktemp("runs") / "run", rounds=1, techniques=TECHNIQUES, channels=3)
    write_report(read_answer(run))
    return run


@pytest.fixture(scope="module")
def quiz(quizzed: Path) -> Quiz:
    quiz = read_quiz(read_run(quizzed))
    assert quiz is not None
    return quiz


@pytest.fixture
def window(browser: Browser, quizzed: Path):
    """Opens the report in a window of its own; the options are those of a browser context of Playwright."""
    contexts = []

    def opened(**options) -> Page:
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.goto((quizzed / "report.html").as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def desktop(window) -> Page:
    return window(viewport={"width": 1280, "height": 900})


def focused(page: Page) -> str:
    """Id of the focused element, or its label."""
    return page.evaluate("document.activeElement.id || document.activeElement.ariaLabel || ''")


def tab_to(page: Page, target: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if focused(page) == target:
            return
    raise AssertionError(f"Tab does not reach {target}")


def answer_by_keyboard(page: Page, marks: list[bool]) -> None:
    """Every screen: to its first image, along it with the arrows, marking by Space and Enter in turn, and on."""
    tab_to(page, f"Image 1 of {len(marks)}")
    for first in range(0, len(marks), SCREEN):
        for k in range(first, first + SCREEN):
            assert focused(page) == f"Image {k + 1} of {len(marks)}"
            if marks[k]:
                page.keyboard.press("Space" if k % 2 else "Enter")
            page.keyboard.press("ArrowRight")
        tab_to(page, "quiz-finish" if first + SCREEN == len(marks) else "quiz-next")
        page.keyboard.press("Enter")


def test_answered_by_keyboard_scored_saved_and_taken_in(window, quizzed, quiz, tmp_path, capsys):
    desktop = window(viewport={"width": 1280, "height": 900})
    requests, trouble = [], []
    desktop.on("request", lambda request: requests.append(request.url.split(":")[0]))
    desktop.on("console", lambda message: trouble.append(message.text))
    desktop.on("pageerror", lambda error: trouble.append(str(error)))
    desktop.reload()
    truth = quiz.label == 0
    marks = [bool(real) != (k % 5 == 0 or k % 7 == 3) for k, real in enumerate(truth)]
    right = np.array(marks) == truth
    answer_by_keyboard(desktop, marks)
    assert focused(desktop) == "quiz-score-title"

    words = desktop.inner_text("#quiz-said")
    interval = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    low, high = round(100 * interval.low), round(100 * interval.high)
    assert f"right on {right.sum()} of 48 images: {100 * right.mean():.0f}% (95% interval {low}% to {high}%)" in words
    recognised, mistaken = int((right & truth).sum()), int((~right & ~truth).sum())
    assert f"Of {truth.sum()} real images you found {recognised} and missed {truth.sum() - recognised}" in words
    assert f"of {(~truth).sum()} fakes you took {mistaken} for real" in words

    rows = [row.locator("th, td").all_inner_texts() for row in desktop.locator("#quiz-table tr").all()]
    balanced = (right[truth].mean() + right[~truth].mean()) / 2
    assert rows[0][0] == "you"
    assert float(rows[0][3]) == pytest.approx(balanced, abs=6e-4)
    judges = judged_by(read_run(quizzed), quiz)
    assert [row[0] for row in rows[1:]] == list(judges) == list(TECHNIQUES)
    for name, rightly, _, auc in rows[1:]:
        logit = judges[name][0].score
        assert rightly == f"{((logit > 0) == ~truth).sum()} of 48"
        fold = judges[name][0].fold
        pairs, each = [], []
        for number in np.unique(fold):
            here = fold == number
            pairs.append((~truth[here]).sum() * truth[here].sum())
            each.append(roc_auc_score(~truth[here], logit[here]))
        assert float(auc) == pytest.approx(np.average(each, weights=pairs), abs=6e-4)

    tab_to(desktop, "quiz-name")
    desktop.keyboard.type("Ada")
    tab_to(desktop, "quiz-save")
    with desktop.expect_download() as download:
        desktop.keyboard.press("Enter")
    file = tmp_path / download.value.suggested_filename
    assert file.name == f"answers-{quiz.id}.json"
    download.value.save_as(file)
    saved = json.loads(file.read_text())
    assert saved["name"] == "Ada"
    assert [saved["answers"][str(k + 1)] for k in range(48)] == ["real" if mark else "fake" for mark in marks]
    assert set(requests) <= {"file", "data", "blob"}
    assert trouble == []

    before = (quizzed / "verdict.json").read_bytes()
    capsys.readouterr()
    assert main([str(quizzed), "--json", "--human", str(file)]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["verdict"]["techniques"]["human"]["auc"] == pytest.approx(balanced)
    assert (quizzed / "verdict.json").read_bytes() == before


def test_a_screen_reader_hears_names_states_and_the_score_and_no_truth_before(desktop, quiz):
    desktop.locator("#quiz .image").nth(2).click()
    heard = desktop.locator("#quiz").aria_snapshot()
    images = re.findall(r'- button "(Image \d+ of 48)"( \[pressed\])?', heard)
    assert images == [(f"Image {k} of 48", " [pressed]" if k == 3 else "") for k in range(1, SCREEN + 1)]
    assert f'- group "Images 1 to {SCREEN} of 48"' in heard
    assert '- button "Next images"' in heard

    desktop.get_by_role("button", name="Show my score").click()
    heard = desktop.locator("#quiz").aria_snapshot()
    for k, fake in enumerate(quiz.label[:SCREEN], 1):
        assert f'button "Image {k} of 48: {"fake" if fake else "real"}, you were' in heard
    assert 'textbox "Your name, if you like"' in heard
    assert desktop.get_by_role("status").get_attribute("aria-live") == "polite"


@pytest.mark.parametrize(("width", "across"), [(1280, 6), (390, 3), (320, 3)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_window(window, width, across, scheme):
    phone = width < 500
    page = window(viewport={"width": width, "height": 800}, is_mobile=phone, has_touch=phone, color_scheme=scheme)
    images = page.locator("#quiz .image")

    def fits() -> bool:
        return page.evaluate("document.documentElement.scrollWidth") <= width

    tiles = page.evaluate(
        "[...document.querySelectorAll('#quiz .image')].slice(0, 12).map(b => b.getBoundingClientRect().toJSON())"
    )
    assert len({tile["y"] for tile in tiles[:across]}) == 1
    assert tiles[across]["y"] > tiles[0]["y"]
    assert min(tile["width"] for tile in tiles) >= 44  # a finger
    assert len({(round(tile["width"]), round(tile["height"])) for tile in tiles}) == 1
    assert fits()
    images.nth(0).focus()
    moves = [("ArrowDown", across), ("ArrowUp", 0), ("ArrowLeft", 0), ("End", 11), ("ArrowDown", 11), ("Home", 0)]
    for key, at in moves:
        page.keyboard.press(key)
        assert focused(page) == f"Image {at + 1} of 48"
    ground, style, ring = page.evaluate(
        """() => {
            const focus = getComputedStyle(document.activeElement);
            return [getComputedStyle(document.body).backgroundColor, focus.outlineStyle, focus.outlineColor];
        }"""
    )
    assert style == "solid"
    colours = [np.array(re.findall(r"\d+", colour)[:3], float) / 255 for colour in (ground, ring)]
    assert contrast(*map(tuple, colours)) >= 3  # WCAG 2.2, 1.4.11
    images.nth(1).click()
    assert fits()
    page.locator("#quiz-finish").click()
    assert fits()


def test_a_player_who_stops_early_is_scored_on_the_images_seen(desktop, quiz):
    for step in ("next", "back", "finish"):
        desktop.locator(f"#quiz-{step}").click()
    right = (quiz.label[: 2 * SCREEN] == 1).sum()  # nothing marked: all called fake
    assert f"right on {right} of 24 images" in desktop.inner_text("#quiz-said")
    assert desktop.locator("#quiz .images:visible").count() == 2
    image = desktop.locator("#quiz .image").first
    image.click(force=True)  # the truth is shown: too late
    assert image.get_attribute("aria-pressed") is None


def test_without_scripts_it_says_so(window):
    page = window(java_script_enabled=False)
    assert "JavaScript" in page.inner_text("#quiz noscript p")
    assert page.locator("#quiz noscript p").is_visible()
    assert not page.locator("#quiz-body").is_visible()


def test_the_policy_of_the_page_allows_its_own_script_and_no_network(desktop):
    requests = []
    desktop.on("request", lambda request: requests.append(request.url))
    desktop.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'inserted = 1'; document.body.append(s) }"
    )
    assert desktop.evaluate("typeof inserted") == "undefined"
    assert desktop.evaluate("fetch('data:,x').then(() => 'sent', () => 'refused')") == "refused"
    assert requests == []


def test_nothing_about_an_image_but_its_pixels_tells_whether_it_is_real(quizzed, quiz):
    html = (quizzed / "report.html").read_text(encoding="utf-8")
    (section,) = re.findall(r'<section id="quiz".*?</section>', html, re.DOTALL)
    images = ParsedPage(section).all("img")
    assert len(images) == 48
    assert {tuple((key, value) for key, value in image.items() if key != "src") for image in images} == {
        (("alt", ""), ("width", "8"), ("height", "8"), ("class", "pixelated"))
    }
    buttons = [button for button in ParsedPage(section).all("button") if "aria-label" in button]
    for k, button in enumerate(buttons):
        label = f"Image {k + 1} of 48"
        assert button == {"type": "button", "class": "image", "aria-pressed": "false", "aria-label": label}
    for k, tag in enumerate(images):
        content = base64.b64decode(tag["src"].removeprefix("data:image/png;base64,"))
        assert chunks(content) == [b"IHDR", b"IDAT", b"IEND"]
        with Image.open(BytesIO(content)) as image:
            np.testing.assert_array_equal(np.asarray(image), quiz.images[k].transpose(1, 2, 0))


def chunks(png: bytes) -> list[bytes]:
    kinds, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kinds.append(png[at + 4 : at + 8])
        at += length + 12
    return kinds


def test_the_page_is_the_same_each_time_and_without_images_has_no_quiz(tmp_path):
    run = drawable_run(tmp_path / "run", rounds=0, techniques={"cnn": 0.5})
    first = write_report(read_answer(run)).read_bytes()
    assert write_report(read_answer(run)).read_bytes() == first
    (run / "banks" / "judged.npz").unlink()
    without = write_report(read_answer(run)).read_text(encoding="utf-8")
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
    assert [panelist["name"] for panelist in panelists(run, quiz)] == list(TECHNIQUES)
    other = dataclasses.replace(quiz, image=quiz.image + 10_000)
    assert panelists(run, other) == []
