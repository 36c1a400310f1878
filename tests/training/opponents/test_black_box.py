"""Black boxes: budgets that hold, students that learn the answers, and no gradient of the detector."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from arena.imaging.evidence import Evidence
from arena.training.opponents.black_box import BlackBox, Student

EVIDENCE = Evidence(levels=256)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int, seed: int, bright: float = 0.0) -> Tensor:
    """Noise (n, 1, 8, 8) on grey levels, brighter by ``bright``."""
    return EVIDENCE((0.5 * torch.randn(n, 1, 8, 8, generator=rng(seed)) + bright).clamp(-1, 1))


class Unseen(torch.autograd.Function):
    """The identity. Its gradient is an error."""

    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]
        return x.clone()

    @staticmethod
    def backward(ctx, *gradients):  # type: ignore[no-untyped-def]
        raise AssertionError("a gradient of a black box was computed")


def brightness(images: Tensor) -> Tensor:
    """A detector that calls bright images fake, and raises where its gradient is computed."""
    return Unseen.apply(10 * images.mean((1, 2, 3)))


def box(answers, queries: int = 10_000) -> BlackBox:
    return BlackBox(brightness, answers, torch.cat([images(200, 1), images(200, 2, 0.3)]), queries, EVIDENCE)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 40), st.lists(st.integers(1, 16), min_size=1, max_size=8))
def test_no_more_images_are_submitted_than_the_budget_allows(queries: int, batches: list[int]):
    seen: list[int] = []

    def counted(batch: Tensor) -> Tensor:
        seen.append(len(batch))
        return batch.mean((1, 2, 3))

    black_box = BlackBox(counted, "scores", images(20, 1), queries, EVIDENCE)
    seen.clear()
    for k, n in enumerate(batches):
        black_box.ask(images(n, k))
    assert sum(seen) == black_box.asked == min(queries, sum(batches))


def test_labels_are_decisions_at_five_percent_of_false_positives():
    known = torch.cat([images(1000, 1), images(1000, 2, 0.3)])
    black_box = BlackBox(brightness, "labels", known, 2000, EVIDENCE)
    black_box.ask(known)
    assert set(black_box.answered.tolist()) == {0.0, 1.0}
    assert black_box.answered[:1000].mean() == pytest.approx(0.05, abs=0.002)


def test_scores_are_standardised_logits():
    black_box = box("scores")
    black_box.ask(images(100, 3))
    logits = brightness(images(100, 3))
    assert torch.corrcoef(torch.stack([logits, black_box.answered]))[0, 1] > 0.999
    assert black_box.answered.abs().max() <= 4


@pytest.mark.parametrize("answers", ["scores", "labels"])
def test_a_student_learns_the_answers_and_its_gradient_fools_the_detector(answers):
    torch.manual_seed(0)
    student = Student(box(answers), channels=1, side=8)
    optimizer = torch.optim.Adam(student.parameters(), lr=2e-3)
    for k in range(150):
        inputs = student.augmented_inputs(torch.cat([images(32, 10 + k), images(32, 500 + k, 0.3)]), rng(k))
        optimizer.zero_grad()
        student.loss(inputs).backward()
        optimizer.step()
    student.eval()
    tested = torch.cat([images(200, 4), images(200, 5, 0.3)])
    learned, truth = student.logits(tested).detach(), brightness(tested)
    assert torch.corrcoef(torch.stack([learned, truth]))[0, 1] > 0.8
    fakes = images(64, 6, 0.3).requires_grad_()
    student.logits(fakes).sum().backward()
    assert fakes.grad is not None
    assert brightness(fakes.detach() - 0.3 * fakes.grad.sign()).mean() < brightness(fakes.detach()).mean() - 0.5


def test_a_restored_black_box_remembers_its_answers_and_its_queries():
    first, second = box("scores", 150), box("scores", 150)
    first.ask(images(100, 3))
    second.restore(first.state())
    assert second.asked == 100
    for one, other in zip(first.remembered(20, rng()), second.remembered(20, rng()), strict=True):
        assert torch.equal(one, other)
    second.ask(images(100, 4))
    assert second.asked == 150


def test_a_roll_back_gives_no_query_back():
    asked = box("scores", 150)
    asked.ask(images(100, 3))
    before = asked.state()
    asked.ask(images(40, 4))
    asked.restore(before)
    assert asked.asked == 140
    asked.ask(images(100, 5))
    assert asked.asked == 150
