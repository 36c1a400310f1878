import shutil

import numpy as np
import pytest

from arena.answer.humans import judged_by, read_quiz
from arena.answer.runs import read_run
from arena.core.errors import ArenaError
from tests.figures.drawable import drawable_run


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    return drawable_run(tmp_path_factory.mktemp("asked") / "run", rounds=0, techniques={"cnn": 0.7, "stack": 0.8})


def quiz_of(run):
    quiz = read_quiz(read_run(run))
    assert quiz is not None
    return quiz


def kept(run):
    with np.load(run / "banks" / "judged.npz") as arrays:
        return dict(arrays)


def test_the_images_are_those_of_their_ids_each_once(asked):
    quiz, pools = quiz_of(asked), kept(asked)
    assert len(quiz.label) == len(quiz.images) == 48
    for label, name in enumerate(("real", "fake")):
        ids = quiz.image[quiz.label == label]
        assert len(np.unique(ids)) == len(ids)
        place = {image: k for k, image in enumerate(pools[f"{name}_ids"].tolist())}
        expected = pools[f"{name}s"][[place[image] for image in ids.tolist()]]
        np.testing.assert_array_equal(quiz.images[quiz.label == label], expected)


def test_it_is_the_same_each_time_and_another_for_other_images(asked, tmp_path):
    quiz = quiz_of(asked)
    shutil.copytree(asked, tmp_path / "moved")
    again = quiz_of(tmp_path / "moved")
    assert again.id == quiz.id
    np.testing.assert_array_equal(again.image, quiz.image)
    pools = kept(asked)
    pools["fakes"][0, 0, 0, 0] ^= 1
    np.savez(tmp_path / "moved" / "banks" / "judged.npz", **pools)
    assert quiz_of(tmp_path / "moved").id != quiz.id


def test_a_coin_decides_and_counting_tells_nothing(asked, tmp_path):
    """Over 60 quizzes: half are real, and of a screen a binomial number, whatever the other screens hold."""
    run, pools = shutil.copytree(asked, tmp_path / "run"), kept(asked)
    labels = []
    for k in range(60):
        pools["reals"][0] = k
        np.savez(run / "banks" / "judged.npz", **pools)
        labels.append(quiz_of(run).label.reshape(4, 12))
    screens = np.array(labels).sum(axis=2)
    assert np.mean(labels) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(2880))
    assert screens.var() == pytest.approx(3.0, rel=0.4)  # a binomial of 12 at 1/2
    assert screens.sum(axis=1).var() == pytest.approx(12.0, rel=0.6)  # no fixed total, from which the last would follow


def test_what_the_judges_said_is_found_by_id(asked):
    run, quiz = read_run(asked), quiz_of(asked)
    found = judged_by(run, quiz)
    assert list(found) == ["cnn", "stack"]
    for judges in found.values():
        assert len(judges) == 3
        for scores in judges:
            np.testing.assert_array_equal(scores.label, quiz.label)
            np.testing.assert_array_equal(scores.image, quiz.image)


@pytest.mark.parametrize(("n", "asks"), [(50, 48), (47, 36), (12, 12), (11, None)])
def test_fewer_images_make_fewer_screens(asked, tmp_path, n, asks):
    run = shutil.copytree(asked, tmp_path / "run")
    np.savez(
        run / "banks" / "judged.npz", **(kept(asked) | {key: kept(asked)[key][:n] for key in ("fakes", "fake_ids")})
    )
    quiz = read_quiz(read_run(run))
    assert (None if quiz is None else len(quiz.label)) == asks


def test_a_run_of_an_earlier_version_has_none(asked, tmp_path):
    run = shutil.copytree(asked, tmp_path / "run")
    (run / "banks" / "judged.npz").unlink()
    assert read_quiz(read_run(run)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"reals": np.zeros((50, 1, 8, 8))},
        {"reals": np.zeros((50, 1, 16, 16), np.uint8)},
        {"reals": np.zeros((50, 8, 8), np.uint8)},
        {"real_ids": np.zeros(50, np.int64)},
        {"fake_ids": np.arange(49)},
        {"fakes": None},
    ],
)
def test_what_is_no_such_file_is_named(asked, tmp_path, change):
    run = shutil.copytree(asked, tmp_path / "run")
    arrays = {key: value for key, value in (kept(asked) | change).items() if value is not None}
    np.savez(run / "banks" / "judged.npz", **arrays)
    with pytest.raises(ArenaError, match=r"judged\.npz: expected"):
        read_quiz(read_run(run))
