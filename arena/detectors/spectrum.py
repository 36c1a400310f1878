"""The azimuthal power spectrum under a linear support vector machine (Durall, Keuper, Pfreundt & Keuper 2019, 2020)."""

import math

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import Tensor

from arena.config import require
from arena.detectors.detector import Examples, FittedDetector

PENALTIES = (0.01, 0.1, 1.0, 10.0)


def ring_means(resolution: int) -> Tensor:
    """The azimuthal average as a matrix (rings, resolution**2) over the cells of an unshifted 2-D FFT.

    Ring k averages the cells whose frequency has an integer part of its distance from zero equal to k. The rings are as
    many as in the authors' code, int((n - 1) / sqrt(2)) - 1 (20 at 32 pixels, 43 at 64), and never fewer than reach the
    Nyquist frequency of an axis, n / 2, which at 8 pixels that count would not.
    """
    frequency = torch.fft.fftfreq(resolution, d=1 / resolution)
    radius = torch.hypot(frequency[:, None], frequency[None]).floor().flatten().long()
    rings = max(int((resolution - 1) / math.sqrt(2)) - 1, resolution // 2 + 1)
    member = (radius[None] == torch.arange(rings)[:, None]).float()
    return member / member.sum(1, keepdim=True)


class Spectrum(FittedDetector):
    """Power at each spatial frequency, weighed by a linear SVM that is kept as a torch layer: exact gradients.

    The power is averaged over a ring before the logarithm, as the azimuthal integral of the paper of 2020 has it. The
    code of 2019 averages logarithms, in which one frequency among the hundred of a ring is lost.

    What it cannot see: the corner of the spectrum lies beyond the last ring, so that a checkerboard, whose energy sits
    on the corner frequency alone, may pass it. Its own planted artefact is therefore ``stripes``. The SVM's margin
    becomes a logit by Platt scaling (Platt 1999) on the validation images, which also choose the penalty.

    Args:
        resolution, channels, levels: of the images it sees.
        epsilon: added to the magnitude before the logarithm (1e-8 in the authors' code, whose gradient explodes).
    """

    differentiable = True
    artefact = "stripes"
    rings: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, *, resolution: int, channels: int, levels: int, epsilon: float) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        require(epsilon > 0, "battery.members.spectrum.epsilon", epsilon, "above 0")
        self.epsilon = epsilon
        self.register_buffer("rings", ring_means(resolution), persistent=False)
        self.register_buffer("weight", torch.zeros(len(self.rings)))
        self.register_buffer("bias", torch.zeros(()))

    def profile(self, images: Tensor) -> Tensor:
        """Azimuthal profile (B, rings) of the power in decibels, float64, of images (B, C, H, W), averaged to grey."""
        with torch.autocast(images.device.type, enabled=False):  # the FFT knows no bf16
            spectrum = torch.fft.fft2(images.double().mean(1))
            power = spectrum.real.square() + spectrum.imag.square()
            return 10 * torch.log10(power.flatten(1) @ self.rings.T.double() + self.epsilon**2)

    def fit(self, images: Tensor, examples: Examples, validation: tuple[Tensor, Examples], seed: int) -> None:
        """Fit one SVM a penalty, keep the one whose calibrated log loss on validation is least."""
        scaler = StandardScaler()
        x = scaler.fit_transform(self.profile(images).cpu().numpy())
        x_validation = scaler.transform(self.profile(validation[0]).cpu().numpy())
        y_validation, weight = validation[1].labels.numpy(), validation[1].weights.numpy()
        best = math.inf
        for penalty in PENALTIES:
            svm = LinearSVC(
                C=penalty,
                class_weight="balanced",
                dual=False,  # type: ignore[arg-type]  # typed after its default
                max_iter=10_000,
                random_state=seed % 2**32,
            )
            svm.fit(x, examples.labels.numpy())
            margin = svm.decision_function(x_validation)[:, None]
            platt = LogisticRegression(C=1e3).fit(margin, y_validation, sample_weight=weight)
            loss = float(log_loss(y_validation, platt.predict_proba(margin), sample_weight=weight))
            if loss < best:
                best = loss
                # A margin that validation contradicts is not turned round: that would fit the sign on a few images.
                slope = max(float(np.ravel(platt.coef_)[0]), 1e-2)
                raw = slope * np.ravel(svm.coef_) / np.asarray(scaler.scale_)
                offset = slope * np.ravel(svm.intercept_) + platt.intercept_ - raw @ np.asarray(scaler.mean_)
                self.weight.copy_(torch.from_numpy(raw))
                self.bias.fill_(offset.item())

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, H, W)."""
        with torch.autocast(images.device.type, enabled=False):  # terms of both signs cancel: even fp32 would blur them
            return (self.profile(images) @ self.weight.double() + self.bias).float()
