"""The quiz section of the page: its images as PNG, and the data its script needs to score answers and detectors."""

import base64
import hashlib
from importlib.resources import files
from io import BytesIO
from typing import NamedTuple

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from arena.answer.humans import FORMAT, ROWS, SMALL, Quiz, judged_by, read_quiz
from arena.answer.runs import FinishedRun

# Sides in CSS pixels: small images are enlarged by a whole factor to at most ENLARGED, large ones shown at LARGE.
ENLARGED, LARGE = 140, 300
# An image enlarged at least twice keeps sharp pixels; below that a narrow window would lose some of them.
PIXELATED = 2


class QuizSection(NamedTuple):
    """Section, style for the head of the page, and hash of the script for its content security policy."""

    html: Markup
    style: Markup
    script_hash: str


def render(template: str, **values: object) -> str:
    """Return a template of this package filled with values, which are escaped."""
    environment = Environment(loader=PackageLoader("arena.report", ""), autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    return environment.get_template(template).render(values)


def quiz_section(run: FinishedRun) -> QuizSection | None:
    """Return the quiz of a finished run; None where it kept no images for one.

    Raises:
        ArenaError: if the images kept cannot be read.
    """
    quiz = read_quiz(run)
    if quiz is None:
        return None
    script, style = (files("arena.report").joinpath(f"quiz.{end}").read_text(encoding="utf-8") for end in ("js", "css"))
    side = quiz.images.shape[-1]
    tile = max(1, ENLARGED // side) * side if side <= SMALL else min(side, LARGE)
    screen = ROWS * quiz.across
    uris = [data_uri(_png(image)) for image in quiz.images]
    data = {"format": FORMAT, "quiz": quiz.id, "label": quiz.label.tolist(), "techniques": panelists(run, quiz)}
    html = render(
        "quiz.html",
        screens=[uris[start : start + screen] for start in range(0, len(uris), screen)],
        n=len(uris),
        across=quiz.across,
        side=side,
        tile=tile,
        pixelated=tile >= PIXELATED * side,
        data=data,
        script=Markup(script),
    )
    # A browser hashes the text between the tags.
    digest = base64.b64encode(hashlib.sha256(f"\n{script}".encode()).digest()).decode()
    return QuizSection(Markup(html), Markup(style), f"sha256-{digest}")


def panelists(run: FinishedRun, quiz: Quiz) -> list[dict[str, object]]:
    """Return each technique whose fresh judges tested these images.

    Beside its ``name`` stand, for each image, the ``logit`` that the judge of the first seed gave it, and the ``fold``
    in which it was tested. Judges of other seeds have other folds.
    """
    return [
        {
            "name": name,
            "logit": judges[0].score.tolist(),
            "fold": judges[0].fold.tolist(),
        }
        for name, judges in judged_by(run, quiz).items()
    ]


def data_uri(png: bytes) -> str:
    """Return a PNG as text for the page."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _png(image: NDArray[np.uint8]) -> bytes:
    """Return an image without metadata, which would tell reals from fakes."""
    buffer = BytesIO()
    Image.fromarray(image.transpose(1, 2, 0).squeeze()).save(buffer, "PNG")
    return buffer.getvalue()
