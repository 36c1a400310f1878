import pytest
import torch

from arena.core.errors import ArenaError
from arena.training.ada import LARGEST, Augmentation, Augmenter


def test_off_is_the_critic_itself() -> None:
    def critic(images: torch.Tensor) -> torch.Tensor:
        return images.sum((1, 2, 3))

    assert Augmenter(Augmentation()).before(critic, torch.Generator()) is critic
    assert Augmenter(Augmentation(probability=0.1)).before(critic, torch.Generator()) is not critic
    assert not Augmentation(target=0.6).off


def test_every_pass_is_augmented_anew() -> None:
    seen: list[torch.Tensor] = []

    def critic(images: torch.Tensor) -> torch.Tensor:
        seen.append(images)
        return images.sum((1, 2, 3))

    images = torch.randn(8, 1, 8, 8)
    augmented = Augmenter(Augmentation(probability=0.8)).before(critic, torch.Generator().manual_seed(0))
    augmented(images)
    augmented(images)
    assert not torch.equal(seen[0], seen[1])


@pytest.mark.parametrize(
    ("start", "heuristic", "expected"),
    # 12 steps of 10 images, at 1,000 images from 0 to 1: three moves of 4 * 10 / 1000 each.
    [(0.2, 0.9, 0.32), (0.2, 0.3, 0.08), (0.05, -1.0, 0.0), (LARGEST - 0.01, 1.0, LARGEST)],
)
def test_the_probability_follows_the_sign_of_overfitting_less_target(
    start: float, heuristic: float, expected: float
) -> None:
    augmenter = Augmenter(Augmentation(probability=start, target=0.6, images=1000, interval=4))
    for step in range(12):
        augmenter.observe(torch.tensor(heuristic), step, batch=10)
    assert augmenter.probability.item() == pytest.approx(expected, abs=1e-6)


def test_one_move_weighs_all_steps_of_its_interval() -> None:
    augmenter = Augmenter(Augmentation(probability=0.5, target=0.6, images=1000, interval=4))
    for step, heuristic in enumerate((1.0, 1.0, 1.0, -1.0)):  # mean 0.5, though most are above
        augmenter.observe(torch.tensor(heuristic), step, batch=10)
    assert augmenter.probability.item() == pytest.approx(0.46)


def test_a_fixed_probability_stays() -> None:
    augmenter = Augmenter(Augmentation(probability=0.3))
    for step in range(8):
        augmenter.observe(torch.tensor(1.0), step, batch=64)
    assert augmenter.probability.item() == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("key", "value"), [("probability", 0.9), ("probability", -0.1), ("target", 1.0), ("images", 0), ("interval", 0)]
)
def test_impossible_values_are_named(key: str, value: float) -> None:
    with pytest.raises(ArenaError, match=f"augmentation.{key}={value}"):
        Augmentation(**{key: value})  # type: ignore[arg-type]
