"""Surprise of a small lossless coder that was learned on reals alone."""

from collections.abc import Iterator
from typing import Annotated, NamedTuple, Unpack

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from arena.detectors.base import CropSide, FittedDetector, ImageShape
from arena.detectors.heads import Head, Sample
from arena.detectors.shared import crops
from arena.detectors.techniques.oneclass import Mahalanobis
from arena.imaging.images import on_levels, straight_through

CODED = 3
"""Pixels of a 2x2 block that are coded. The average of the block gives the fourth, up to its rounding."""
PATCH = 16
"""Side in pixels of the parts of images that the coder learns from, at a multiple of ``PHASE``."""
PHASE = 8
LEAST_SCALE = 0.35
"""Least scale of a distribution in grey levels.

There the closed form of its entropy errs by up to 0.12 nats, near black or white. From a scale of one grey level on it
errs by less than 0.02.
"""
COARSEST = 2
"""Least side in pixels of the coarsest image."""


class PixelLogistic(NamedTuple):
    """Logistic distribution of each pixel (Salimans et al. 2017), in [-1, 1]: all mass beyond an end is on that end."""

    mean: Tensor
    scale: Tensor

    def cost(self, pixels: Tensor, bin_width: float) -> Tensor:
        """Code length in nats of each pixel: minus the log probability of its grey level.

        The difference of the two sigmoids is a product, sigma(a) sigma(-b) (1 - exp(b - a)), of which no factor
        vanishes. The gradient in a pixel is that between the ends everywhere. Black and white have the mass beyond
        them, and the derivative of that mass would pull their pixels away from the likeliest grey.
        """
        free = pixels - pixels.detach()  # 0, with the gradient of the pixels
        upper = (pixels.detach() + bin_width / 2 - self.mean) / self.scale
        lower = upper - bin_width / self.scale
        black, white = pixels <= -1 + bin_width / 2, pixels >= 1 - bin_width / 2
        below = F.logsigmoid(upper).masked_fill(white, 0)
        above = F.logsigmoid(-lower).masked_fill(black, 0)
        inside = torch.log(-torch.expm1(-bin_width / self.scale)).masked_fill(black | white, 0)
        slope = (torch.sigmoid(upper) - torch.sigmoid(-lower)) / self.scale
        return free * slope - below - above - inside

    def entropy(self, bin_width: float) -> Tensor:
        """Expected code length in nats of each pixel.

        The sum over the grey levels between the ends is taken as an integral, which has a closed form. With
        u = sigma(z), the integral of log u + log(1 - u) is u log u - (1 - u) log(1 - u) - 2 u.
        """
        black = (-1 + bin_width / 2 - self.mean) / self.scale
        white = (1 - bin_width / 2 - self.mean) / self.scale
        inside = torch.sigmoid(white) - torch.sigmoid(black)
        integral = [_weighted(z) - _weighted(-z) - 2 * torch.sigmoid(z) for z in (white, black)]
        ends = _weighted(black) + _weighted(-white)
        return torch.log(self.scale / bin_width) * inside - (integral[0] - integral[1]) - ends


def _weighted(z: Tensor) -> Tensor:
    """Return u log u for u = sigma(z), with a finite gradient everywhere."""
    return torch.sigmoid(z) * F.logsigmoid(z)


def coarser(images: Tensor, levels: int) -> Tensor:
    """Averages (B, C, h // 2, w // 2) of 2x2 blocks, rounded to grey levels, with the gradient of the average."""
    averages = F.avg_pool2d(images, 2)
    return straight_through(averages, on_levels(averages, levels))


class Predictor(nn.Module):
    """Distribution of one pixel of each 2x2 block, given the averages of blocks and the pixels coded before it.

    It is a linear filter of 3x3 blocks and a small network beside it. Within a pixel, the mean of a channel also
    depends on the channels before it, linearly and with predicted weights, as in PixelCNN++ (Salimans et al. 2017).

    Args:
        channels: of the images.
        coded: pixels of the block that are known.
        width: units of the network.
        bin_width: of a grey level, in [-1, 1].
    """

    def __init__(self, *, channels: int, coded: int, width: int, bin_width: float) -> None:
        super().__init__()
        self.channels, self.bin_width = channels, bin_width
        known, outputs = channels * (1 + coded), 2 * channels + channels * (channels - 1) // 2
        self.outputs = [channels, channels, channels * (channels - 1) // 2]
        self.filters = nn.Conv2d(known, outputs + width, 3, padding=1, padding_mode="replicate")
        self.network = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Conv2d(width, width, 1), nn.LeakyReLU(0.2), nn.Conv2d(width, outputs, 1)
        )

    def forward(self, averages: Tensor, coded: list[Tensor], pixels: Tensor) -> PixelLogistic:
        """Distributions of pixels (B, C, h, w), given averages and coded pixels of that shape."""
        filtered = self.filters(torch.cat([averages, *coded], dim=1))
        linear, hidden = filtered.tensor_split([sum(self.outputs)], dim=1)
        mean, scale, weights = (linear + self.network(hidden)).split(self.outputs, dim=1)
        means, weight = list((averages + mean).unbind(1)), iter(weights.unbind(1))
        for channel in range(self.channels):
            for before in range(channel):
                means[channel] = means[channel] + next(weight) * (pixels - averages)[:, before]
        return PixelLogistic(torch.stack(means, 1), self.bin_width * (LEAST_SCALE + F.softplus(scale)))


class Coder(nn.Module):
    """Model of pixels given the image at half the resolution, as in SReC (Cao, Wu & Kraehenbuehl 2020).

    Args:
        side: of the images, in pixels.
        channels: of the images.
        levels: their grey levels.
        resolutions: most resolutions that are coded.
        width: units of each predictor.
    """

    def __init__(self, *, side: int, channels: int, levels: int, resolutions: int, width: int) -> None:
        super().__init__()
        self.levels, self.bin_width = levels, 2 / (levels - 1)
        coded = sum(side >> number + 1 >= COARSEST for number in range(resolutions))
        self.resolutions = nn.ModuleList(
            nn.ModuleList(
                Predictor(channels=channels, coded=k, width=width, bin_width=self.bin_width) for k in range(CODED)
            )
            for _ in range(coded)
        )

    def laws(self, images: Tensor) -> Iterator[list[tuple[Tensor, PixelLogistic]]]:
        """Pixels (B, C, h, w) of images (B, C, H, W) and their distributions: of each resolution, finest first."""
        for predictors in self.resolutions:
            assert isinstance(predictors, nn.ModuleList)
            averages, coded, laws = coarser(images, self.levels), list[Tensor](), list[tuple[Tensor, PixelLogistic]]()
            height, width = (2 * extent for extent in averages.shape[-2:])
            for k, predictor in enumerate(predictors):
                pixels = images[..., k // 2 : height : 2, k % 2 : width : 2]
                laws.append((pixels, predictor(averages, coded, pixels)))
                coded.append(pixels)
            yield laws
            images = averages

    def costs(self, images: Tensor) -> Tensor:
        """Code lengths (B, resolutions) of images (B, C, H, W), in nats per value."""
        costs = [[law.cost(pixels, self.bin_width) for pixels, law in laws] for laws in self.laws(images)]
        return torch.stack([torch.stack(of_pixels).mean((0, 2, 3, 4)) for of_pixels in costs], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Code lengths less their expectations, and the expectations (B, 2 resolutions), in nats per value."""
        excesses, entropies = list[Tensor](), list[Tensor]()
        for laws in self.laws(images):
            costs = torch.stack([law.cost(pixels, self.bin_width) for pixels, law in laws])
            entropy = torch.stack([law.entropy(self.bin_width) for _, law in laws])
            excesses.append((costs - entropy).mean((0, 2, 3, 4)))
            entropies.append(entropy.mean((0, 2, 3, 4)))
        return torch.stack([*excesses, *entropies], dim=1)


class Surprise(Head):
    """Distance of an image's surprise from that of the validation reals, of a coder learned on the training reals.

    Args:
        side: of a crop, in pixels.
        channels: of the images.
        levels: their grey levels.
        resolutions: most resolutions that are coded.
        width: units of each predictor.
        steps: of the coder's training.
        batch: reals in a step.
        learning_rate: peak of its one-cycle schedule.
    """

    def __init__(
        self,
        *,
        side: int,
        channels: int,
        levels: int,
        resolutions: int,
        width: int,
        steps: int,
        batch: int,
        learning_rate: float,
    ) -> None:
        super().__init__()
        self.shape, self.steps, self.batch, self.learning_rate = (channels, side, side), steps, batch, learning_rate
        self.coder = Coder(side=side, channels=channels, levels=levels, resolutions=resolutions, width=width)
        self.region = Mahalanobis()

    @torch.enable_grad()
    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        """Learn the coder on the training reals, and the distance on the validation reals, which it never saw."""
        rng = torch.Generator().manual_seed(seed)
        for layer in self.coder.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.xavier_uniform_(layer.weight, gain=0.5, generator=rng)
                nn.init.zeros_(layer.bias)
        reals, optimizer = train.features[train.labels == 0], torch.optim.Adam(self.coder.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, total_steps=self.steps)
        self.coder.requires_grad_(True)
        for _ in range(self.steps):
            drawn = reals[torch.randint(len(reals), (self.batch,), generator=rng)].unflatten(1, (-1, *self.shape))
            of_image = torch.randint(drawn.shape[1], (self.batch,), generator=rng)
            optimizer.zero_grad()
            self.coder.costs(self._patch(drawn[torch.arange(self.batch), of_image], rng)).sum(1).mean().backward()
            optimizer.step()
            schedule.step()
        self.coder.requires_grad_(False)
        held_out = validation.features[validation.labels == 0]
        with torch.no_grad():
            surprises = Sample(
                torch.cat([self.surprise(part) for part in held_out.split(self.batch)]), torch.zeros(len(held_out))
            )
        self.region.fit(surprises, surprises, seed)

    def _patch(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return the same random part of all images, at most ``PATCH`` pixels a side."""
        free = max(0, images.shape[-1] - PATCH) // PHASE
        top, left = (PHASE * torch.randint(free + 1, (2,), generator=rng)).tolist()
        return images[..., top : top + PATCH, left : left + PATCH]

    def surprise(self, features: Tensor) -> Tensor:
        """Code length beyond its expectation, and the expectation (B, 2 resolutions), of pixels (B, F)."""
        of_squares = self.coder(features.float().reshape(-1, *self.shape))
        return of_squares.reshape(len(features), -1, of_squares.shape[1]).mean(1)

    def logits(self, features: Tensor) -> Tensor:
        """Logits (B,) of pixels (B, F)."""
        return self.region(self.surprise(features))


class Zed(FittedDetector):
    """A lossless coder that was learned on reals expects a code length of every image, and fakes surprise it.

    A small coder predicts each pixel from the image at half the resolution, at several resolutions. At each, the code
    length less its expectation tells how well an image fits. No fake is used.

    Paper: Cozzolino, Poggi, Niessner & Verdoliva (2024), "Zero-shot detection of AI-generated images".
    Differences: The authors take SReC (Cao, Wu & Kraehenbuehl 2020), learned on millions of photographs. This coder is
    learned on the training reals and has some thousand weights. SReC mixes ten logistic distributions. One has an
    expected code length in closed form. The authors threshold the excess at the finest resolution, its difference from
    the next one, or their magnitudes. Here the Mahalanobis distance from the reals holds any such combination. It also
    knows the expected length, since the excess varies more in rough images.
    Blind spots: A fake that costs what it is expected to cost, wherever its pixels are. A pattern that the coder cannot
    tell from the texture of reals. Few reals leave the coder, and so the distance, vague.
    Example: ``battery.add=[zed]``

    Args:
        crop: largest side of a crop, in native pixels.
        resolutions: most resolutions that are coded; three in the paper.
        width: units of each predictor.
        steps: of the coder's training.
        batch: reals in a step.
        learning_rate: peak of its one-cycle schedule.
    """

    differentiable = True
    needs_fakes = False
    artefact = "stripes"

    def __init__(
        self,
        *,
        crop: CropSide,
        resolutions: Annotated[int, Field(ge=1, le=8)],
        width: PositiveInt,
        steps: Annotated[int, Field(ge=2)],
        batch: PositiveInt,
        learning_rate: PositiveFloat,
        **shape: Unpack[ImageShape],
    ) -> None:
        super().__init__(**shape)
        self.side = min(crop, self.resolution)
        self.head = Surprise(
            side=self.side,
            channels=self.channels,
            levels=self.levels,
            resolutions=resolutions,
            width=width,
            steps=steps,
            batch=batch,
            learning_rate=learning_rate,
        )

    def features(self, images: Tensor) -> Tensor:
        """Pixels (B, F), float32, of the crops of images (B, C, H, W)."""
        return torch.cat([square.float().flatten(1) for square in crops(images, self.side)], dim=1)
