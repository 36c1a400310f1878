"""LGrad: gradients of a discriminator as images."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from arena.detectors.base import GanAwareDetector, Keywords, LearnedDetector
from arena.detectors.networks.wrappers import FrozenNetwork, Network
from arena.detectors.shared import crops
from arena.generators.base import TrainableGenerator
from arena.generators.style import MinibatchDeviation

LEAST = 1e-12


class Smoothed(TorchFunctionMode):
    """Context in which rectifiers and maxout are rounded off, to softplus and log-sum-exp of a given sharpness.

    The gradient of a piecewise linear network is constant on each piece, so that no small step of an image changes it.
    Dombrowski et al. (2019) replace ReLU by softplus for this reason.
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
        """Replace a rectifier or a maximum; run every other function of torch as it is."""
        if func in (F.relu, F.leaky_relu, torch.relu, torch.Tensor.relu):
            x, *rest = args
            given = rest[0] if rest else (kwargs or {}).get("negative_slope", 0.01)
            slope = given if func is F.leaky_relu else 0.0
            return slope * x + (1 - slope) * F.softplus(x, beta=self.sharpness)
        if func is torch.Tensor.amax:
            x, *rest = args
            return torch.logsumexp(self.sharpness * x, *rest, **(kwargs or {})) / self.sharpness
        return func(*args, **(kwargs or {}))


def input_gradient(discriminator: nn.Module, images: Tensor, sharpness: float) -> Tensor:
    """Gradient (B, C, H, W), fp32, of the sum of a discriminator's logits with respect to images (B, C, H, W).

    It can be differentiated again where the images require a gradient.
    """
    again = images.requires_grad and torch.is_grad_enabled()
    # Scoring disables gradients, validation is in inference mode, training perhaps in bf16; none of it applies here.
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(images.device.type, enabled=False):
        at = images.float() if again else images.detach().float().clone().requires_grad_()
        with Smoothed(sharpness):
            logits = discriminator(at)
        (gradient,) = torch.autograd.grad(logits.sum(), at, create_graph=again)
    return gradient


class LGrad(LearnedDetector, GanAwareDetector):
    """A residual network on the gradient of a discriminator with respect to the image, which leaves out the content.

    Paper: Tan, Zhao, Wei, Gu & Wei (2023), "Learning on gradients" (LGrad).
    Differences: The authors' discriminator was trained on photographs of bedrooms; here it is the GAN's own, of the
    previous round. Its rectifiers are rounded off (``Smoothed``). Its minibatch deviation sees one image alone, so that
    a score does not depend on the batch. Each gradient image is scaled to [-1, 1], in fp32 where the authors save PNG.
    Blind spots: All to which the discriminator is insensitive. Its gradient is taken of whole images, and crops of the
    gradient image, so that large images cost memory.
    Example: ``battery.add=[lgrad]``

    Args:
        sharpness: of the rounded rectifiers, which differ from the discriminator's own by at most ln(2) / sharpness.
        network: on the gradient images.
        keywords: see ``Keywords``; the crop is one of the gradient image.
    """

    artefact = "stripes"

    def __init__(self, *, sharpness: PositiveFloat, network: Network, **keywords: Unpack[Keywords]) -> None:
        crop = keywords.pop("crop", None)
        super().__init__(**keywords)
        self.crop, self.sharpness = min(crop or self.resolution, self.resolution), sharpness
        self.network = network(channels=self.channels, side=self.crop)

    def attach_gan(self, generator: TrainableGenerator, discriminator: nn.Module) -> None:
        """Copy the discriminator, its minibatch deviation over single images."""
        self.discriminator = FrozenNetwork(copy.deepcopy(discriminator))
        for part in self.discriminator.modules():
            if isinstance(part, MinibatchDeviation):
                part.group = 1

    def gradients(self, images: Tensor) -> Tensor:
        """Gradient images (B, C, H, W) of images (B, C, H, W), each scaled from its own extremes to [-1, 1]."""
        gradient = input_gradient(self.discriminator, images, self.sharpness)
        least, largest = (extreme(gradient, (1, 2, 3), keepdim=True) for extreme in (torch.amin, torch.amax))
        return 2 * (gradient - least) / (largest - least).clamp_min(LEAST) - 1

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side): the mean over the crops of each gradient image."""
        gradients = self.gradients(images)
        return torch.stack([self.network(crop) for crop in crops(gradients, self.crop)]).mean(0)
