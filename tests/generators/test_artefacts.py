import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.errors import ArenaError
from arena.generators.artefacts import Artefact, pattern, plant
from arena.images import on_levels

KINDS: list[Artefact] = ["checkerboard", "stripes"]


@given(
    kind=st.sampled_from(KINDS),
    levels=st.sampled_from([2, 17, 256]),
    share=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_planted_images_stay_on_levels_and_move_by_the_amplitude_less_what_clips(
    kind: Artefact, levels: int, share: float, seed: int
) -> None:
    amplitude = round(share * (levels - 1))
    images = on_levels(2 * torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) - 1, levels)
    planted = plant(images, kind, amplitude, levels)
    assert torch.equal(planted, on_levels(planted, levels))
    in_levels = (images + 1) * (levels - 1) / 2
    expected = (in_levels + amplitude * pattern(kind, 8, 8)).clamp(0, levels - 1)
    torch.testing.assert_close((planted + 1) * (levels - 1) / 2, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("levels", [17, 256])
@pytest.mark.parametrize("kind", KINDS)
def test_the_peak_amplitude_is_exact_where_nothing_clips(kind: Artefact, levels: int) -> None:
    grey = on_levels(torch.zeros(1, 3, 8, 8), levels)
    moved = (plant(grey, kind, 3, levels) - grey) * (levels - 1) / 2
    torch.testing.assert_close(moved.abs(), torch.full_like(moved, 3.0), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("kind", "place"), [("checkerboard", (4, 4)), ("stripes", (0, 4))])
def test_all_energy_is_at_one_frequency(kind: Artefact, place: tuple[int, int]) -> None:
    spectrum = np.abs(np.fft.fft2(pattern(kind, 8, 8).numpy()))
    assert spectrum[place] == pytest.approx(64)
    assert spectrum.sum() == pytest.approx(64)


@pytest.mark.parametrize("amplitude", [-1, 0.5, 17])
def test_an_amplitude_that_is_no_grey_level_is_named(amplitude: float) -> None:
    with pytest.raises(ArenaError, match=f"generator.amplitude={amplitude}: expected a whole number"):
        plant(torch.zeros(1, 1, 8, 8), "checkerboard", amplitude, 17)


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ArenaError, match=r"generator.kind=moire: expected one of checkerboard, stripes"):
        plant(torch.zeros(1, 1, 8, 8), "moire", 1, 17)  # type: ignore[arg-type]
