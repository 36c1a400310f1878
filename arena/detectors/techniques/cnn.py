"""CNNDetection: a convolutional network on pixels."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Unpack

import torch
from pydantic import Field
from torch import Tensor

from arena.detectors.base import Keywords, NetworkDetector
from arena.detectors.networks.wrappers import Network
from arena.imaging.evidence import codec
from arena.imaging.images import on_levels

STRONGEST_BLUR = 3.0
"""Deviation in pixels."""
WINDOW = 25
"""Pixels of the window of the blur: four of the largest deviations either way."""
QUALITIES = (30, 100)
Probability = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class DetectorAugmentation:
    """Some training images are blurred, compressed, mirrored or rotated. All others stay as they are, bit for bit.

    Differences from the paper: the authors crop after compression, so that the 8x8 grid of JPEG has any offset. Here
    the grid begins at the corner of the crop. They draw the codec, OpenCV or Pillow; here it is Pillow.

    Args:
        levels: grey levels of the data, to which a blurred or compressed image is rounded, as a file would be.
        blur: probability of a Gaussian blur, its deviation uniform in [0, 3] pixels.
        jpeg: probability of JPEG after it, independent of the blur, its quality uniform in 30 to 100.
        mirror: whether half of the images are mirrored, left to right.
        turn: whether each image is rotated by a random multiple of 90 degrees.
    """

    levels: int
    blur: Probability
    jpeg: Probability
    mirror: bool = True
    turn: bool = False

    @torch.no_grad()
    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Augment images (B, C, H, W) in [-1, 1]. The number of draws from ``rng`` does not depend on the settings."""
        chance, strength = torch.rand(2, 4, len(images), generator=rng)
        with torch.autocast(images.device.type, enabled=False):  # bf16 would lose grey levels
            changed = images.clone()
            if len(which := (chance[0] < self.blur).nonzero()[:, 0]):
                changed[which] = on_levels(_blurred(changed[which], STRONGEST_BLUR * strength[0, which]), self.levels)
            if len(which := (chance[1] < self.jpeg).nonzero()[:, 0]):
                low, high = QUALITIES
                qualities = low + (strength[1, which] * (high - low + 1)).long()
                changed[which] = on_levels(codec(changed[which], qualities.tolist()), self.levels)
            if self.mirror and len(which := (chance[2] < 0.5).nonzero()[:, 0]):
                changed[which] = changed[which].flip(-1)
            for quarters in range(1, 4) if self.turn else ():
                if len(which := ((chance[3] * 4).long() == quarters).nonzero()[:, 0]):
                    changed[which] = changed[which].rot90(quarters, (-2, -1))
        return changed


def _blurred(images: Tensor, deviations: Tensor) -> Tensor:
    """Blur each image (n, C, H, W) by its own deviation (n,), its edges repeated."""
    from kornia.filters import gaussian_blur2d  # slow to import

    # Of a deviation of 0 there is no Gaussian; at 0.01 pixels the window is 1 at its centre and 0 elsewhere.
    sigma = deviations.clamp_min(1e-2).to(images.device)[:, None].expand(-1, 2)
    return gaussian_blur2d(images, (WINDOW, WINDOW), sigma, border_type="replicate")


class Cnn(NetworkDetector):
    """A residual network on pixels, trained with blur, JPEG and mirroring so that it does not rely on fragile traces.

    Paper: Wang, Wang, Zhang, Owens & Efros (2020), "CNN-generated images are surprisingly easy to spot ... for now".
    Differences: The default network is small and trained from scratch; the paper's is a ResNet-50 trained on ImageNet
    (``detector/paper/cnn``). Probabilities are those of the paper's weaker variant, "Blur+JPEG (0.1)".
    Blind spots: It down-samples early and so loses the highest frequencies (see ``nodown``). On other generators its
    ranking holds better than its threshold.
    Example: ``battery.add=[cnn]``

    Args:
        blur, jpeg: probability of each in training.
        mirror: whether half of the training images are mirrored. By default it is ``data.mirror``.
        network: on the pixels.
    """

    artefact = "stripes"
    turn: ClassVar[bool] = False
    """Whether training images are rotated by multiples of 90 degrees."""

    def __init__(
        self,
        *,
        blur: Probability,
        jpeg: Probability,
        mirror: bool = True,
        network: Network,
        **keywords: Unpack[Keywords],
    ) -> None:
        super().__init__(**keywords)
        self.augmentation = DetectorAugmentation(self.levels, blur, jpeg, mirror, self.turn)
        self.network = network(channels=self.channels, side=self.side)

    def augmented(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Images (B, C, side, side), some of them blurred, compressed or mirrored."""
        return self.augmentation(images, rng)
