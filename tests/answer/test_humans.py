import json
import shutil

import numpy as np
import pytest

from arena.answer.answer import answer_of
from arena.answer.estimate import estimate
from arena.answer.findings import findings
from arena.answer.humans import FORMAT, judged_by, people, read_quiz, sort_answers
from arena.answer.runs import read_run
from arena.metrics.auc import floor_variance, influence
from arena.records.schema import Scores
from tests.building import command
from tests.figures.drawable import drawable_run, keep_judged
from tests.synthetic import synthetic_run

pytestmark = pytest.mark.slow

main = command("answer")

TECHNIQUES = {"cnn": 0.5, "forest": 0.5}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Passes both of its techniques, and has a quiz."""
    run = synthetic_run(
        tmp_path_factory.mktemp("runs") / "run", techniques=TECHNIQUES, rounds=0, n_real=1500, n_fake=1500
    )
    (run / "banks").mkdir()
    keep_judged(run)
    return run


def quiz_of(run):
    quiz = read_quiz(read_run(run))
    assert quiz is not None
    return quiz


@pytest.fixture(scope="module")
def quiz(run):
    return quiz_of(run)


def saved(path, quiz, fake, **changes):
    """The file of somebody who called those images fake."""
    answers = {str(k + 1): "fake" if said else "real" for k, said in enumerate(fake)}
    path.write_text(json.dumps({"format": FORMAT, "quiz": quiz.id, "answers": answers} | changes))
    return path


def all_right(folder, run):
    quiz = quiz_of(run)
    return saved(folder / "a.json", quiz, quiz.label == 1)


def wrong_on(label, reals, fakes):
    """Answers that are wrong on so many of each class."""
    said = label == 1
    for kind, number in ((0, reals), (1, fakes)):
        said[np.flatnonzero(label == kind)[:number]] ^= True
    return said


def of_people(run, *files):
    read = read_run(run)
    found = people([read], sort_answers(files, [read]))
    assert found is not None
    return found


@pytest.mark.parametrize("wrong", [(0, 0), (3, 5), (10, 8), (6, 12)])
def test_auc_is_balanced_accuracy_with_delongs_error(run, quiz, tmp_path, wrong):
    """Of answers of two kinds DeLong's variance is p(1-p)/4(n-1) of each class, p the share of right ones."""
    its = of_people(run, saved(tmp_path / "a.json", quiz, wrong_on(quiz.label, *wrong))).estimate
    n = np.bincount(quiz.label)
    right = 1 - np.array(wrong) / n
    assert its.value == pytest.approx(right.mean())
    delong = (right * (1 - right) / (4 * (n - 1))).sum()
    # Where few are wrong the floor widens it: nobody is perfect for having been right 48 times.
    floor = floor_variance(its.value, delong, *n)
    assert (floor > 0) == (sum(wrong) < 18)
    assert its.of_images == pytest.approx(delong + floor)
    assert its.of_repeats == 0


def test_several_people_are_like_several_judges(run, quiz, tmp_path):
    wrongs = [(2, 4), (6, 6), (4, 10)]
    files = [saved(tmp_path / f"{k}.json", quiz, wrong_on(quiz.label, *wrong)) for k, wrong in enumerate(wrongs)]
    alone = [of_people(run, file).estimate.value for file in files]
    together = of_people(run, *files)
    assert (together.persons, together.images, together.estimate.repeats) == (3, 48, 3)
    assert together.estimate.value == pytest.approx(np.mean(alone))
    assert together.estimate.of_repeats == pytest.approx(np.var(alone, ddof=1) / 3)


def test_images_of_one_person_err_together(run, quiz, tmp_path, monkeypatch):
    """Where the data knows who is shown, the judges' scores say so, and the error is of persons."""
    apart = of_people(run, saved(tmp_path / "a.json", quiz, wrong_on(quiz.label, 8, 8))).estimate
    real = judged_by(read_run(run), quiz)["cnn"][0]
    shown = np.where(real.label == 0, real.image % 5, real.source)
    monkeypatch.setattr("arena.answer.humans.judged_by", lambda *_: {"cnn": [real._replace(source=shown)]})
    together = of_people(run, saved(tmp_path / "a.json", quiz, wrong_on(quiz.label, 8, 8))).estimate
    assert together.value == apart.value
    assert together.images == 5


def finding(run, *files):
    read = read_run(run)
    return findings([read], people([read], sort_answers(files, [read])))[-1]


@pytest.mark.parametrize(
    ("wrong", "expected", "said"),
    [
        ((0, 0), "caught", "1 person on 48 images"),
        ((3, 3), "caught", "1 person on 48 images"),
        ((8, 8), "undecided", "test images of each class"),
        ((12, 12), "undecided", "planted artefact"),
        ((20, 20), "undecided", "clears nothing"),  # clearly below 1/2: still no pass, and no judge's shifted bank
    ],
)
def test_people_catch_or_are_undecided_and_never_pass(run, quiz, tmp_path, wrong, expected, said):
    its = finding(run, saved(tmp_path / "a.json", quiz, wrong_on(quiz.label, *wrong)))
    assert (its.technique, its.finding, its.access, its.people) == ("human", expected, "none", True)
    assert said in its.reason


def test_holm_counts_people_among_the_battery(run, quiz, tmp_path):
    """A person whose p alone would do, and beside two techniques that found nothing does not."""
    file = saved(tmp_path / "a.json", quiz, wrong_on(quiz.label, 7, 7))
    p = of_people(run, file).estimate.p_above(0.55)
    assert 0.05 / 3 < p < 0.05
    assert finding(run, file).finding == "undecided"


def test_who_guesses_is_caught_no_more_than_alpha_allows(quiz):
    rng = np.random.default_rng(0)
    fold, ids = np.zeros(48, np.uint8), np.arange(48)
    caught = 0
    for _ in range(400):
        label = rng.integers(0, 2, 48).astype(np.uint8)
        said = np.where(rng.random(48) < 0.7, 1, -1).astype(np.float32)  # calls most fake: no help
        caught += estimate([[influence(Scores(said, label, ids, fold, ids))]]).p_above(0.5) < 0.05
    assert caught <= 33  # 99% of a binomial of 400 at 0.05 is 31


def test_images_not_answered_are_left_out(run, quiz, tmp_path):
    file = saved(tmp_path / "a.json", quiz, (quiz.label == 1)[:24])
    found = of_people(run, file)
    assert (found.images, found.estimate.images) == (24, min(np.bincount(quiz.label[:24])))


def test_it_enters_the_answer_of_this_call_alone(run, quiz, tmp_path, capsys):
    answer_of([read_run(run)]).verdict.write(run)
    before = (run / "verdict.json").read_bytes()
    assert json.loads(before)["answer"] == "passes_all"
    for wrong, answer, words in (((0, 0), "caught", "by people alone"), ((11, 11), "undecided", "but people are not")):
        file = saved(tmp_path / "a.json", quiz, wrong_on(quiz.label, *wrong))
        assert main([str(run), "--json", "--human", str(file)]) == 0
        (found,) = json.loads(capsys.readouterr().out)
        assert list(found["verdict"]["techniques"]) == ["cnn", "forest", "human"]
        assert found["verdict"]["techniques"]["human"]["finding"] == answer
        assert found["verdict"]["answer"] == answer
        assert words in found["verdict"]["sentence"]
        assert "1 person on 48 images" in found["verdict"]["sentence"]
        judges = found["verdict"]["guards"]["judges"]
        assert (judges["figure"], judges["threshold"], judges["holds"]) == (1.0, 1.0, True)
        assert main([str(run), "--human", str(file)]) == 0
        assert "human" in capsys.readouterr().out
    assert (run / "verdict.json").read_bytes() == before
    assert main([str(run), "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)[0]["verdict"]["techniques"]) == ["cnn", "forest"]


def test_a_battery_that_caught_says_so_first(tmp_path, capsys):
    run = drawable_run(tmp_path / "run", rounds=0, techniques={"cnn": 0.95})
    main([str(run), "--human", str(all_right(tmp_path, run))])
    printed = capsys.readouterr().out
    assert printed.index("1 of 1 techniques in this battery") < printed.index("People detected the fakes")


def test_a_file_belongs_to_the_run_whose_quiz_it_answers(tmp_path, capsys):
    files, paths = [], []
    for seed in range(3):
        path = synthetic_run(tmp_path / str(seed), techniques={"cnn": 0.6}, rounds=0, seed=seed, n_real=60, n_fake=60)
        (path / "banks").mkdir()
        keep_judged(path)
        quiz = quiz_of(path)
        paths.append(str(path))
        files.append(str(saved(tmp_path / f"{seed}.json", quiz, wrong_on(quiz.label, 2 * seed, 2 * seed))))
    assert main([*paths, "--json", "--human", files[0], "--human", files[2]]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    each = []
    for k in (0, 2):
        assert main([paths[k], "--json", "--human", files[k]]) == 0
        each.append(json.loads(capsys.readouterr().out)[0]["verdict"]["techniques"]["human"]["auc"])
    assert found["verdict"]["techniques"]["human"]["auc"] == pytest.approx(np.mean(each))
    assert main([*paths[:2], "--human", files[2]]) == 2
    assert "2.json: answers the quiz" in capsys.readouterr().err


GOOD = {"1": "real", "2": "fake"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "expected the file of answers"),
        (b"\xff\xfe", "expected the file of answers"),
        ("", "no answers to the quiz"),
        ("[" * 100_000, "no answers to the quiz"),
        ("[1]", "expected an object"),
        ({}, "missing key 'answers', 'format', 'quiz'"),
        ({"extra": 1}, "unknown key 'extra'"),
        ('{"format": 1, "format": 1}', "key 'format' twice"),
        ('{"format": 1, "quiz": "x", "answers": {"3": "real", "3": "fake"}}', "key '3' twice"),
        ({"format": 2}, "format 2, expected 1"),
        ({"format": True}, "format True, expected 1"),
        ({"quiz": 3}, "quiz must be text"),
        ({"name": ["Ada"]}, "name must be text"),
        ({"answers": ["real"]}, "answers must be an object"),
        ({"answers": {}}, "no image was answered"),
        ({"answers": {"0": "real"}}, "'0' is not the number of an image"),
        ({"answers": {"01": "real"}}, "'01' is not the number of an image"),
        ({"answers": {"9" * 5000: "real"}}, "is not the number of an image"),
        ({"answers": {"٣": "real"}}, "is not the number of an image"),
        ({"answers": {"1": "Real"}}, "image 1 is 'Real', expected 'real' or 'fake'"),
        ({"answers": {"1": None}}, "image 1 is None"),
        ({"answers": {"1": ["real"]}}, "image 1 is ['real']"),
        ({"answers": {"49": "real"}}, "no image 49, the quiz has 48"),
        ({"answers": {"1": "real"}}, "1 images answered, expected two of each class or more"),
        ({"quiz": "another\x1b[31m"}, "of none of the runs given"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line_that_names_it(run, quiz, tmp_path, capsys, content, said):
    file = tmp_path / "answers.json"
    if isinstance(content, dict):
        whole = {"format": FORMAT, "quiz": quiz.id, "answers": GOOD} | content
        content = json.dumps(whole if content else {})
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main([str(run), "--human", str(file)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert str(file) in captured.err
    assert said in captured.err
    assert "\x1b" not in captured.err


@pytest.mark.parametrize(("names", "fine"), [(("", ""), False), (("Ada", "Ada"), False), (("Ada", "Bea"), True)])
def test_nobody_counts_twice(run, quiz, tmp_path, capsys, names, fine):
    """Two with the same name, or two files alike without one; a second attempt has seen the truth."""
    files = []
    for k, name in enumerate(names):
        wrong = (3, 3 + k) if name else (3, 3)
        files.append(str(saved(tmp_path / f"{k}.json", quiz, wrong_on(quiz.label, *wrong), name=name)))
    assert main([str(run), "--human", *files]) == (0 if fine else 2)
    assert ("the same person answers the same quiz" in capsys.readouterr().err) != fine


def test_a_run_without_a_quiz_takes_no_answers(run, tmp_path, capsys):
    file = all_right(tmp_path, run)
    bare = shutil.copytree(run, tmp_path / "bare")
    (bare / "banks" / "judged.npz").unlink()
    assert main([str(bare), "--human", str(file)]) == 2
    assert "of none of the runs given" in capsys.readouterr().err


def test_a_technique_called_human_leaves_no_name_for_people(tmp_path, capsys):
    run = drawable_run(tmp_path / "run", rounds=0, techniques={"cnn": 0.5, "human": 0.5})
    assert main([str(run)]) == 0
    assert main([str(run), "--human", str(all_right(tmp_path, run))]) == 2
    assert "battery.members.human" in capsys.readouterr().err
