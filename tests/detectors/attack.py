"""A white-box attack by one grey level: what a gradient must be good for, beside a random step of equal size."""

import torch
from torch import Tensor

from arena.detectors.base import Detector
from arena.detectors.gallery import score
from arena.imaging.evidence import Evidence
from arena.imaging.images import to_float, to_uint8


def gradient(detector: Detector, images: Tensor, evidence: Evidence) -> Tensor:
    """Gradient of the logits' sum with respect to float images, through the evidence path."""
    images = images.clone().requires_grad_()
    detector.eval()
    (found,) = torch.autograd.grad(detector(evidence(images)).sum(), images)
    return found


def drops(detector: Detector, images: Tensor, evidence: Evidence) -> tuple[Tensor, Tensor]:
    """How far each score falls at a step of one grey level of every pixel: down the gradient, and at random.

    Args:
        detector: trained.
        images: uint8 (N, C, H, W).
        evidence: whose levels say how large the step is; the stepped image is rounded to uint8 and scored as any other.
    """
    floats, level = to_float(images), 2 / (evidence.levels - 1)
    before = score(detector, images, evidence)
    noise = torch.randn(floats.shape, generator=torch.Generator().manual_seed(0)).sign()
    after = [
        score(detector, to_uint8((floats - level * direction).clamp(-1, 1)), evidence)
        for direction in (gradient(detector, floats, evidence).sign(), noise)
    ]
    return before - after[0], before - after[1]
