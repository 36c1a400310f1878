"""Give every attacked technique a network that learns in the response: its own, or a new head on its features."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from arena.detectors.base import Detector, FittedDetector, LearnedDetector, NetworkDetector
from arena.detectors.networks.wrappers import Standardised

WIDTH = 64
"""Units of each hidden layer of a head on features, and channels of a random critic."""
FILTERS = 16
"""Fixed random filters of a random critic."""
DEVIATION_FLOOR = 1e-3
"""Least deviation of a feature by which it is divided."""


class Critic(nn.Module, ABC):
    """A detector that learns in the response. A higher logit means more fake, as of every detector."""

    on_pixels: bool
    """Whether the inputs of its network are images, rather than standardised features of them."""
    draws = False
    """Whether its network draws from torch's global streams while it learns."""

    @abstractmethod
    def prepare(self, images: Tensor, rng: torch.Generator) -> None:
        """Compute what precedes the first step from images (N, C, H, W) of both classes."""

    @abstractmethod
    def learned_from(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return inputs of the network for a step of learning from images (B, C, H, W), without their gradient."""

    @abstractmethod
    def seen(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return inputs of the network for images (B, C, H, W), with a gradient to them."""

    @abstractmethod
    def logits(self, inputs: Tensor) -> Tensor:
        """Return logits (B,) of inputs."""

    def learning(self) -> list[nn.Parameter]:
        """Return the parameters that learn."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]


class NetworkCritic(Critic):
    """The network of a technique that learns by gradient, on its own crops and with its own augmentation.

    Its inputs are the crops. Where the network is ``Standardised``, they are the standardised representation: a
    gradient with respect to pixels would be dominated by the smallest coefficients of a logarithm.

    Augmented images have no gradient, so the generator is pulled at images as they are. An image that is larger than
    the crop is cropped at the same random place as all others of its batch.
    """

    def __init__(self, detector: LearnedDetector) -> None:
        super().__init__()
        self.detector, self.draws = detector, detector.draws
        self.on_pixels = standardised_network(detector) is None

    def prepare(self, images: Tensor, rng: torch.Generator) -> None:
        """Let the technique measure its preprocessing."""
        self.detector.prepare(self._crops(images, rng))

    @torch.no_grad()
    def learned_from(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return the inputs of crops that are augmented as the technique has it."""
        return self._inputs(self.detector.augmented(self._crops(images, rng), rng))

    def seen(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return the inputs of crops."""
        return self._inputs(self._crops(images, rng))

    def logits(self, inputs: Tensor) -> Tensor:
        """Return logits (B,) of inputs."""
        network = standardised_network(self.detector)
        return self.detector.logits(inputs) if network is None else network.network(inputs)

    def _crops(self, images: Tensor, rng: torch.Generator) -> Tensor:
        side = self.detector.side
        top, left = (int(torch.randint(max(extent - side, 0) + 1, (), generator=rng)) for extent in images.shape[-2:])
        return images[..., top : top + side, left : left + side]

    def _inputs(self, crops: Tensor) -> Tensor:
        network = standardised_network(self.detector)
        if network is None:
            return crops
        assert isinstance(self.detector, NetworkDetector)
        return network.standardised(self.detector.representation(crops))


def standardised_network(detector: LearnedDetector) -> Standardised | None:
    """Return the network of a technique that standardises a representation of its own. None for any other."""
    network = detector.network if isinstance(detector, NetworkDetector) else None
    return network if isinstance(network, Standardised) else None


class FeatureCritic(Critic):
    """A new head of two hidden layers on the standardised features of a fitted technique.

    A judge may fit any head to these features, so the head in the loop is not the one to fool.
    """

    on_pixels = False
    mean: Tensor
    deviation: Tensor

    def __init__(self, detector: FittedDetector, inputs: int) -> None:
        super().__init__()
        self.detector = detector.requires_grad_(False)
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))
        self.network = nn.Sequential(
            nn.Linear(inputs, WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, 1)
        )

    @torch.no_grad()
    def prepare(self, images: Tensor, rng: torch.Generator) -> None:
        """Set mean and deviation of the features to those of the images."""
        features = self._features(images, rng)
        self.mean.copy_(features.mean(0))
        self.deviation.copy_(features.std(0).clamp_min(DEVIATION_FLOOR))

    @torch.no_grad()
    def learned_from(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return standardised features (B, F)."""
        return self.seen(images, rng)

    def seen(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return standardised features (B, F) with a gradient to the images."""
        return (self._features(images, rng) - self.mean) / self.deviation

    def logits(self, inputs: Tensor) -> Tensor:
        """Return logits (B,) of standardised features."""
        return self.network(inputs).squeeze(1)

    def _features(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return features (B, F). Counts are taken of images with noise of one grey level, where they have a slope."""
        if self.detector.differentiable:
            return self.detector.features(images).float()
        noise = torch.rand(images.shape, generator=rng).to(images.device) - 0.5
        return self.detector.soft_features(images + noise * (2 / (self.detector.levels - 1))).float()


class RandomCritic(Critic):
    """A small network behind fixed random filters: a further discriminator that knows no technique.

    Random projections of images make discriminators differ from each other (Neyshabur, Bhojanapalli & Chakrabarti
    2017). Weights and filters depend on torch's global stream.

    Args:
        channels: of the images.
    """

    on_pixels = True
    filters: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        filters = torch.randn(FILTERS, channels, 3, 3)
        self.register_buffer("filters", filters / filters.flatten(1).norm(dim=1)[:, None, None, None])
        self.network = nn.Sequential(
            nn.Conv2d(FILTERS, WIDTH, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(1),
            nn.Linear(WIDTH, 1),
        )

    def prepare(self, images: Tensor, rng: torch.Generator) -> None:
        """Leave the network as it is."""

    def learned_from(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return the images."""
        return images.detach()

    def seen(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return the images."""
        return images

    def logits(self, inputs: Tensor) -> Tensor:
        """Return logits (B,) of images."""
        return self.network(nn.functional.conv2d(inputs, self.filters, padding=1)).squeeze(1)


def critic_of(detector: Detector) -> Critic:
    """Return a critic of a technique: its own network, or a new head on its features.

    The weights of a head depend on torch's global stream.
    """
    if isinstance(detector, LearnedDetector):
        return NetworkCritic(detector)
    assert isinstance(detector, FittedDetector)
    blank = torch.zeros(2, detector.channels, detector.resolution, detector.resolution)
    device = next((tensor.device for tensor in detector.state_dict().values()), blank.device)
    return FeatureCritic(detector, detector.features(blank.to(device)).shape[1])
