"""Gradients of a discriminator as images (LGrad: Tan, Zhao, Wei, Gu & Wei 2023)."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from arena.core.errors import require
from arena.detectors.base import GanAwareDetector, LearnedDetector
from arena.detectors.networks.foreign import Frozen
from arena.detectors.networks.wrappers import Network
from arena.detectors.shared import crops
from arena.generators.base import TrainableGenerator
from arena.generators.discriminator import MinibatchDeviation

LEAST = 1e-12


class Smoothed(TorchFunctionMode):
    """Within it rectifiers and maxout are rounded off: softplus and log-sum-exp of a given sharpness in their place.

    The gradient of a piecewise linear network is the same all over each piece, so that no image can be moved a little
    to change it. Dombrowski et al. (2019) put softplus in place of ReLU for this reason.
    """

    def __init__(self, sharpness: float) -> None:
        super().__init__()
        self.sharpness = sharpness

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Every call of torch comes by here."""
        if func in (F.relu, F.leaky_relu, torch.relu, torch.Tensor.relu):
            x, *rest = args
            slope = _slope(rest, kwargs) if func is F.leaky_relu else 0.0
            return slope * x + (1 - slope) * F.softplus(x, beta=self.sharpness)
        if func is torch.Tensor.amax:
            x, *rest = args
            return torch.logsumexp(self.sharpness * x, *rest, **(kwargs or {})) / self.sharpness
        return func(*args, **(kwargs or {}))


def _slope(rest: Sequence[float], kwargs: Mapping[str, Any] | None) -> float:
    return rest[0] if rest else (kwargs or {}).get("negative_slope", 0.01)


def input_gradient(discriminator: nn.Module, images: Tensor, sharpness: float) -> Tensor:
    """Gradient (B, C, H, W), fp32, of the sum of a discriminator's logits with respect to images (B, C, H, W).

    It can be differentiated again where the images ask for a gradient.
    """
    again = images.requires_grad and torch.is_grad_enabled()
    # Scoring runs without gradients, validation in inference mode, training perhaps in bf16: none of it holds here.
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(images.device.type, enabled=False):
        at = images.float() if again else images.detach().float().clone().requires_grad_()
        with Smoothed(sharpness):
            logits = discriminator(at)
        (gradient,) = torch.autograd.grad(logits.sum(), at, create_graph=again)
    return gradient


class LGrad(LearnedDetector, GanAwareDetector):
    """A residual network on the gradient of the GAN's own discriminator, each image's stretched to [-1, 1].

    The authors' discriminator was trained on photographs of bedrooms; here it is the race's own as the previous round
    left it. It takes whole images, so that it is the gradient images of which glimpses are taken, the same in training
    and scoring. Its rectifiers are rounded off (``Smoothed``), and it compares images of no batch (a minibatch
    deviation is that of one image alone, and says nothing).

    Args:
        resolution, channels, levels: of the images.
        crop: largest side of what it looks at of a gradient image; None for the whole.
        learning_rate: highest of its cycle; None for the battery's.
        sharpness: of the rounded rectifiers; they are the discriminator's own to within ln(2) / sharpness.
        network: under it.
    """

    artefact = "stripes"

    def __init__(
        self,
        *,
        resolution: int,
        channels: int,
        levels: int,
        crop: int | None,
        sharpness: float,
        learning_rate: float | None,
        network: Network,
    ) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels, learning_rate=learning_rate)
        require(crop is None or crop >= 8, "crop", crop, "at least 8 pixels, or null")
        require(sharpness > 0, "sharpness", sharpness, "above 0")
        self.glimpse, self.sharpness = min(crop or resolution, resolution), sharpness
        self.network = network(channels=channels, side=self.glimpse)

    def meet(self, generator: TrainableGenerator, discriminator: nn.Module) -> None:
        """Keep a copy of the discriminator in which no image hears of another."""
        self.discriminator = Frozen(copy.deepcopy(discriminator))
        for part in self.discriminator.modules():
            if isinstance(part, MinibatchDeviation):
                part.group = 1

    def gradients(self, images: Tensor) -> Tensor:
        """Gradient images (B, C, H, W) in [-1, 1] of images (B, C, H, W), each by its own least and largest value."""
        gradient = input_gradient(self.discriminator, images, self.sharpness)
        least, largest = (extreme(gradient, (1, 2, 3), keepdim=True) for extreme in (torch.amin, torch.amax))
        return 2 * (gradient - least) / (largest - least).clamp_min(LEAST) - 1

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side): the mean over the glimpses of each gradient image."""
        gradients = self.gradients(images)
        return torch.stack([self.network(glimpse) for glimpse in crops(gradients, self.glimpse)]).mean(0)
