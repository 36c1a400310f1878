"""Change images within a bound, so that detectors take them for real: projected gradient descent."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from arena.core.machine import parallel_map
from arena.core.seeding import derive_seed
from arena.detectors.base import Detector
from arena.detectors.gallery import images_at_once
from arena.detectors.shared import sharing
from arena.imaging.evidence import Evidence
from arena.imaging.images import on_levels, straight_through, to_float, to_uint8

STRIDE = 2.5
"""Length of all steps together, in units of the bound, so that an image can cross it from any start (Madry et al.)."""


def loss_of_real(detectors: Sequence[Detector], seen: Tensor) -> Tensor:
    """Return how far detectors are from taking images for real: the mean of softplus(logit), (B,).

    It is the cross-entropy of the answer "real".

    Args:
        detectors: in eval mode.
        seen: (B, C, H, W) that came down the evidence path.
    """
    with sharing(seen):
        logits = torch.stack([detector(seen).float() for detector in detectors])
    return F.softplus(logits).mean(0)


def perturbed(
    images: Tensor,
    detectors: Sequence[Detector],
    evidence: Evidence,
    *,
    levels: int,
    bound: int,
    steps: int,
    seed: int,
    device: torch.device,
) -> Tensor:
    """Attack each image by itself (projected gradient descent from a random start, Madry et al. 2018, section 2).

    The gradient of the objective (``loss_of_real``) comes down the evidence path, and rounding to grey levels has the
    gradient of the identity. Of the image and all steps the one with the least objective is kept, so that no image ends
    with a larger objective than it had.

    Args:
        images: uint8 (N, C, H, W) on the data's grey levels.
        detectors: on the device. They are left in eval mode, without gradients of their parameters.
        evidence: the path in front of the detectors.
        levels: grey levels of the data.
        bound: largest change of a pixel, in these grey levels. It holds after rounding to them.
        steps: of the descent.
        seed: of the random starts.
        device: of the detectors.

    Returns:
        uint8 (N, C, H, W) on the data's grey levels, on the CPU.
    """
    if not len(images):
        return images
    for detector in detectors:
        detector.eval().requires_grad_(False)
    furthest = 2 * bound / (levels - 1)

    def attack(number: int, chunk: Tensor) -> Tensor:
        rng = torch.Generator().manual_seed(derive_seed(seed, "start", number))
        start = on_levels(to_float(chunk), levels)
        random = torch.rand(start.shape, generator=rng).mul(2).sub(1).mul(furthest)
        start = start.to(device)
        low, high = (start - furthest).clamp(min=-1), (start + furthest).clamp(max=1)
        best, at = start, (start + random.to(device)).clamp(low, high)
        with torch.no_grad():
            least = loss_of_real(detectors, evidence(start))
        for _ in range(steps):
            at.requires_grad_()
            rounded = straight_through(at, on_levels(at, levels))
            found = loss_of_real(detectors, evidence(rounded))
            (gradient,) = torch.autograd.grad(found.sum(), at)
            best, least = _better(best, least, rounded.detach(), found.detach())
            at = (at.detach() - STRIDE / steps * furthest * gradient.sign()).clamp(low, high)
        with torch.no_grad():
            rounded = on_levels(at, levels)
            best, _ = _better(best, least, rounded, loss_of_real(detectors, evidence(rounded)))
        return to_uint8(best).cpu()

    return torch.cat(
        parallel_map(lambda pair: attack(*pair), list(enumerate(images.split(images_at_once(images)))), device)
    )


def _better(best: Tensor, least: Tensor, other: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
    """Return of each image the one of less objective, and that objective."""
    return torch.where((found < least)[:, None, None, None], other, best), torch.minimum(found, least)
