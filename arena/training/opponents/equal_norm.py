"""Attack detectors that know nothing of real and fake: a control of equal norm and equal saturation."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor

from arena.core.seeding import derive_seed
from arena.detectors.base import Detector
from arena.detectors.gallery import Labelled
from arena.training.opponents.frozen import FrozenOpponents, Member
from arena.training.opponents.opponents import Opponents, Pull

TINY = torch.finfo(torch.float32).tiny
REACH = 100.0
"""Logits of this size are certain: offsets are sought as far beyond the largest logit."""


class Calibrated(NamedTuple):
    """A detector whose logits are scaled and shifted.

    Args:
        detector: trained on shuffled labels.
        slope: factor of its logits.
        offset: added to them.
    """

    detector: Detector
    slope: float
    offset: float

    def forward(self, logits: Tensor) -> Tensor:
        """Return logits (B,) of the detector, scaled and shifted."""
        return self.slope * logits + self.offset


class EqualNormOpponents(Opponents):
    """Opponents whose pull has the norm that attacked detectors would give, and a direction without content.

    The gradient of the objective at an image is the objective's slope at the logit, times the gradient of the logit.
    The control takes both from a shuffled-label detector: the same network, trained on the same images with shuffled
    labels. Its logit's gradient is scaled, image by image and step by step, to the norm of the true detector's. Of the
    true detector nothing but this norm is used. The slope is taken at the control's own logit, which is calibrated to
    start alike. The push therefore ends once the control is fooled, as that of an attack does. At the true detector's
    logit it would never end, since a push without content does not fool that detector.

    The direction has no content, because the labels are independent of real and fake: in each class one half of the
    images has either label. Networks fit random labels (Zhang et al. 2017), and then have gradients of the texture of a
    trained network's. Noise in place of them would average out over the steps.

    Args:
        attack: the true detectors. They draw the members and have their objective.
        shuffled: the shuffled-label detector of each member.
        real_logits: (M,) calibrated logits of each of them, of the reals of ``attack``.
    """

    def __init__(
        self,
        attack: FrozenOpponents,
        shuffled: Mapping[Member, Calibrated],
        real_logits: Mapping[Member, Tensor],
    ) -> None:
        self.attack, self.shuffled, self.real_logits = attack, shuffled, real_logits
        for control in shuffled.values():
            control.detector.eval().requires_grad_(False)

    def pull(self, fakes: Tensor, own: Tensor, rng: torch.Generator) -> Pull:
        """Return the loss of the drawn controls at the fakes, and its gradient of equal norm."""
        loss, gradient = fakes.new_zeros(()), torch.zeros_like(fakes)
        for member, weight in self.attack.drawn(rng).items():
            with self.meter.work(f"{member.technique} pulls"):
                of_member = self.of_member(member, fakes)
            loss, gradient = loss + weight * of_member.loss, gradient + weight * of_member.gradient
        return Pull(loss, gradient)

    def of_member(self, member: Member, images: Tensor) -> Pull:
        """Return the loss of images (B, C, H, W) under one control, and its gradient of equal norm."""
        control = self.shuffled[member]
        norms = _norms(logit_gradient(self.attack.detectors[member], images)[1])
        logits, direction = logit_gradient(control.detector, images)
        logits = control.forward(logits).requires_grad_()
        with torch.enable_grad():
            loss = self.attack.objective(logits, self.real_logits[member])
        (slopes,) = torch.autograd.grad(loss, logits)
        unit = direction / _norms(direction).clamp_min(TINY)
        return Pull(loss.detach(), slopes[:, None, None, None] * norms * unit)


def logit_gradient(detector: Detector, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits (B,) of images (B, C, H, W), and the gradient of each with respect to its image."""
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        logits = detector(images).float()
        (gradient,) = torch.autograd.grad(logits.sum(), images)
    return logits.detach(), gradient


def calibrated(shuffled: Detector, true: Detector, fakes: Tensor) -> Calibrated:
    """Calibrate a shuffled-label detector at fakes (B, C, H, W), so that an attack on it begins as one on the true one.

    The slope makes the mean norm of the logit's gradient equal. The offset then makes the mean probability of "fake"
    equal, which is the slope of the cross-entropy of the label "real".
    """
    logits, gradient = logit_gradient(true, fakes)
    own_logits, own_gradient = logit_gradient(shuffled, fakes)
    slope = float(_norms(gradient).mean() / _norms(own_gradient).mean().clamp_min(TINY))
    scaled, wanted = (slope * own_logits).double(), float(torch.sigmoid(logits.double()).mean().clamp(1e-9, 1 - 1e-9))

    def excess(offset: float) -> float:
        return float(torch.sigmoid(scaled + offset).mean()) - wanted

    offset = brentq(excess, float(-scaled.max()) - REACH, float(-scaled.min()) + REACH)
    return Calibrated(shuffled, slope, float(offset))  # type: ignore[arg-type]  # no full output is asked for


def with_shuffled_labels(sample: Labelled, seed: int) -> Labelled:
    """Return the images with labels that are independent of their own: in each class, half of the images have either.

    Their correlation with the true labels is 0 where each class has an even number of images, and nearly 0 otherwise.
    """
    rng, labels = np.random.default_rng(derive_seed(seed, "shuffle")), torch.zeros_like(sample.labels)
    for label in (0, 1):
        places = np.flatnonzero(sample.labels.numpy() == label)
        labels[torch.from_numpy(rng.permutation(places)[: len(places) // 2])] = 1
    return Labelled(sample.which, labels)


def _norms(gradient: Tensor) -> Tensor:
    """Euclidean norm (B, 1, 1, 1) of the gradient of each image."""
    return gradient.flatten(1).norm(dim=1)[:, None, None, None]
