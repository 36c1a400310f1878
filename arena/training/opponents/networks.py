"""Give each attacked technique a network that learns in the response: its own, or a new head on its features."""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from arena.detectors.base import Detector, FittedDetector, LearnedDetector, NetworkDetector
from arena.detectors.networks.wrappers import Standardised
from arena.detectors.random_critic import RandomFilterNetwork

WIDTH = 64
"""Units of each hidden layer of a head on features."""


class LiveNetwork(nn.Module, ABC):
    """A network that learns in the response. A higher logit means more fake, as of every detector."""

    on_pixels: bool
    """Whether its inputs are images, rather than features of them."""
    is_head = False
    """Whether it is a new head on features that no gradient changes."""
    draws = False
    """Whether it draws from torch's global streams while it learns."""

    @abstractmethod
    def prepare(self, images: Tensor, rng: torch.Generator) -> None:
        """Compute what precedes the first step from images (N, C, H, W) of both classes."""

    @abstractmethod
    def inputs(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return inputs of the network for images (B, C, H, W), with a gradient to them."""

    @abstractmethod
    def logits(self, inputs: Tensor) -> Tensor:
        """Return logits (B,) of inputs."""

    @torch.no_grad()
    def augmented_inputs(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return inputs for a step of learning from images (B, C, H, W), augmented and without a gradient."""
        return self.inputs(images, rng)

    def loss(self, inputs: Tensor) -> Tensor:
        """Return the loss of inputs (2 B, ...) of which the first half are of reals: mean softplus(real - fake).

        These are the relativistic pairs of R3GAN (Huang et al. 2024, equation 2), as its discriminator learns from.
        """
        real, fake = self.logits(inputs).float().chunk(2)
        return F.softplus(real - fake).mean()

    def learning(self) -> list[nn.Parameter]:
        """Return the parameters that learn."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def normalises_batches(self) -> bool:
        """Return whether a logit depends on the other images of a batch in training mode."""
        return any(isinstance(module, _BatchNorm) for module in self.modules())


class TechniqueNetwork(LiveNetwork):
    """The network of a technique that learns by gradient, on its own crops, with its own augmentation and loss.

    Its inputs are crops. Where the technique has a fixed representation of them, that is the input, standardised if the
    network is ``Standardised``. A penalty with respect to pixels would be ruled by the smallest values of a logarithm.

    Augmented images have no gradient, so the generator is pulled at images as they are. An image that is larger than
    the crop is cropped at the same random place as all others of its batch.
    """

    def __init__(self, detector: LearnedDetector) -> None:
        super().__init__()
        self.detector, self.draws = detector, detector.draws
        self.on_pixels = not _has_fixed_representation(detector)
        self.has_own_loss = type(detector).loss is not LearnedDetector.loss

    def prepare(self, images: Tensor, rng: torch.Generator) -> None:
        """Let the technique measure its preprocessing."""
        self.detector.prepare(self._crops(images, rng))

    @torch.no_grad()
    def augmented_inputs(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return the inputs of crops that are augmented as the technique has it."""
        return self._represented(self.detector.augmented(self._crops(images, rng), rng))

    def inputs(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return the inputs of crops."""
        return self._represented(self._crops(images, rng))

    def logits(self, inputs: Tensor) -> Tensor:
        """Return logits (B,) of inputs."""
        if self.on_pixels:
            return self.detector.logits(inputs)
        assert isinstance(self.detector, NetworkDetector)
        network = self.detector.network
        return network.network(inputs) if isinstance(network, Standardised) else network(inputs)

    def loss(self, inputs: Tensor) -> Tensor:
        """Return the technique's own loss if it has one, such as an autoencoder's, and that of pairs otherwise."""
        if not (self.has_own_loss and self.on_pixels):
            return super().loss(inputs)
        labels = torch.tensor([0.0, 1.0], device=inputs.device).repeat_interleave(len(inputs) // 2)
        return self.detector.loss(inputs, labels)

    def _crops(self, images: Tensor, rng: torch.Generator) -> Tensor:
        return random_crops(images, self.detector.side, rng)

    def _represented(self, crops: Tensor) -> Tensor:
        if self.on_pixels:
            return crops
        assert isinstance(self.detector, NetworkDetector)
        features, network = self.detector.representation(crops), self.detector.network
        return network.standardised(features) if isinstance(network, Standardised) else features


def _has_fixed_representation(detector: LearnedDetector) -> bool:
    """Return whether a technique represents crops in a way that is neither the crop itself nor learned."""
    if not isinstance(detector, NetworkDetector) or type(detector).logits is not NetworkDetector.logits:
        return False
    if type(detector).representation is NetworkDetector.representation:
        return False
    device = next((tensor.device for tensor in detector.state_dict().values()), torch.device("cpu"))
    with torch.enable_grad():
        crops = torch.zeros(2, detector.channels, detector.side, detector.side, device=device)
        return not detector.representation(crops).requires_grad


class FeatureHead(LiveNetwork):
    """A new head of two hidden layers on the standardised features of a fitted technique.

    A judge may fit any head to these features, so the head in the loop is not the one to attack.
    """

    on_pixels, is_head = False, True

    def __init__(self, detector: FittedDetector) -> None:
        super().__init__()
        self.detector = detector.requires_grad_(False)
        blank = torch.zeros(2, detector.channels, detector.resolution, detector.resolution)
        inputs = detector.features(blank).shape[1]
        layers = [nn.Linear(inputs, WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(0.2)]
        head = nn.Sequential(nn.Flatten(1), *layers, nn.Linear(WIDTH, 1), nn.Flatten(0))
        self.network = Standardised(head, (inputs, 1, 1))

    @torch.no_grad()
    def prepare(self, images: Tensor, rng: torch.Generator) -> None:
        """Measure mean and deviation of the features of the images."""
        self.network.measure(self._features(images, rng))

    def inputs(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return standardised features (B, F, 1, 1) with a gradient to the images."""
        return self.network.standardised(self._features(images, rng))

    def logits(self, inputs: Tensor) -> Tensor:
        """Return logits (B,) of standardised features."""
        return self.network.network(inputs)

    def _features(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return features (B, F, 1, 1)."""
        return soft_features(self.detector, images, rng)[:, :, None, None]


def random_crops(images: Tensor, side: int, rng: torch.Generator) -> Tensor:
    """Return the crops (B, C, side, side) at one random place of all images. Images that are no larger stay whole."""
    top, left = (int(torch.randint(max(extent - side, 0) + 1, (), generator=rng)) for extent in images.shape[-2:])
    return images[..., top : top + side, left : left + side]


def soft_features(detector: FittedDetector, images: Tensor, rng: torch.Generator) -> Tensor:
    """Return features (B, F). Counts are taken of images with noise of one grey level, where they slope."""
    if not detector.differentiable:
        noise = torch.rand(images.shape, generator=rng).to(images.device) - 0.5
        images = images + noise * (2 / (detector.levels - 1))
    return detector.soft_features(images).float()


class RandomNetwork(LiveNetwork):
    """The network of a random critic, on whole images.

    Args:
        channels: of the images.
    """

    on_pixels = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.network = RandomFilterNetwork(channels)

    def prepare(self, images: Tensor, rng: torch.Generator) -> None:
        """Leave the network as it is."""

    def inputs(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return the images."""
        return images

    def logits(self, inputs: Tensor) -> Tensor:
        """Return logits (B,) of images."""
        return self.network(inputs)


def live_network(detector: Detector) -> LiveNetwork:
    """Return the live network of a technique: its own, or a new head, whose weights depend on torch's global stream."""
    if isinstance(detector, LearnedDetector):
        return TechniqueNetwork(detector)
    assert isinstance(detector, FittedDetector)
    return FeatureHead(detector)
