"""Hold the images of one evaluation as detectors see them, and score them."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from arena.core.machine import parallel_map
from arena.detectors.base import Detector, FittedDetector
from arena.detectors.shared import sharing
from arena.imaging.evidence import Evidence

D = TypeVar("D", bound=Detector)
CPU = torch.device("cpu")
SCORE_BATCH = 512
"""Most images scored at once; fewer of large images, so that memory does not grow with their size."""
SCORE_VALUES = 1 << 21


class Labelled(NamedTuple):
    """Some images of a gallery, by their places (N,), and their labels (N,): 0 real and 1 fake."""

    which: Tensor
    labels: Tensor


def images_at_once(images: Tensor) -> int:
    """Return how many of some images (N, C, H, W) are computed at once, so that memory stays bounded. N is not 0."""
    return max(1, min(SCORE_BATCH, SCORE_VALUES // images[0].numel()))


class Gallery:
    """The images of one evaluation or one round, sent down the evidence path once. Folds and seeds only select places.

    Args:
        images: uint8 (N, C, H, W).
        evidence: the path.
        device: of the detectors.
    """

    def __init__(self, images: Tensor, evidence: Evidence, device: torch.device = CPU) -> None:
        self.evidence, self.device = evidence, device
        self.seen = torch.cat([evidence.seen(chunk.to(device)).cpu() for chunk in images.split(SCORE_BATCH)])
        self._features: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return len(self.seen)

    def images(self, which: Tensor) -> Tensor:
        """Float images (n, C, H, W) in [-1, 1] on the device, as detectors see them."""
        return self.evidence.as_seen(self.seen[which].to(self.device))

    def chunks(self, which: Tensor) -> Iterator[Tensor]:
        """Yield the float images at these places in order, as many at once as a pass takes."""
        for places in which.split(images_at_once(self.seen)):
            yield self.images(places)

    def crops(self, which: Tensor, side: int, at: Tensor) -> Tensor:
        """One crop (n, C, side, side) of each image, in native pixels; images that are no larger stay whole.

        ``at`` (n, 2), in [0, 1], is the place of each crop in the free space of its image.
        """
        height, width = self.seen.shape[-2:]
        if side >= height and side >= width:
            return self.images(which)
        corners = (at * torch.tensor([height - side, width - side])).round().long().tolist()
        squares = [
            self.seen[k, :, top : top + side, left : left + side]
            for k, (top, left) in zip(which.tolist(), corners, strict=True)
        ]
        return self.evidence.as_seen(torch.stack(squares).to(self.device))

    def features(self, technique: str, which: Tensor) -> Tensor:
        """Features (n, F) that ``measure`` computed, on the CPU."""
        return self._features[technique][which]

    @torch.no_grad()
    def measure(self, detectors: Mapping[str, Detector]) -> None:
        """Compute the features of every image for every fitted technique that has none here yet."""
        missing: dict[str, FittedDetector] = {}
        for name, detector in detectors.items():
            if isinstance(detector, FittedDetector):
                detector.to(self.device)  # the head scores there, even where another judge computed the features
                if name not in self._features:
                    missing[name] = detector
        self._features |= self.computed(
            missing, torch.arange(len(self)), lambda images, detector: detector.features(images)
        )

    def computed(
        self, detectors: Mapping[str, D], which: Tensor, compute: Callable[[Tensor, D], Tensor]
    ) -> dict[str, Tensor]:
        """Results (n, ...) of ``compute(images, detector)`` on the CPU, all detectors in one pass over the images."""
        parts: dict[str, list[Tensor]] = {name: [] for name in detectors}
        for images in self.chunks(which) if detectors else ():
            with sharing(images):
                results = parallel_map(partial(compute, images), list(detectors.values()), self.device)
            for name, result in zip(detectors, results, strict=True):
                parts[name].append(result.cpu())
        return {name: torch.cat(chunks) for name, chunks in parts.items()}


@torch.no_grad()
def score_all(detectors: Mapping[str, Detector], gallery: Gallery, which: Tensor | None = None) -> dict[str, Tensor]:
    """Logits (n,) float32 of every detector, on the CPU and in the order of the detectors.

    The detectors are on the device of the gallery. ``which`` has the places (n,) of the images; None means all.
    """
    which = torch.arange(len(gallery)) if which is None else which
    modes = {name: detector.training for name, detector in detectors.items()}
    for detector in detectors.values():
        detector.eval()
    with torch.autocast(gallery.device.type, enabled=False):
        gallery.measure(detectors)
        scores = {
            name: detector.head(gallery.features(name, which).to(gallery.device)).float().cpu()
            for name, detector in detectors.items()
            if isinstance(detector, FittedDetector)
        }
        others = {name: detector for name, detector in detectors.items() if name not in scores}
        scores |= gallery.computed(others, which, lambda images, detector: detector(images).float())
    for name, detector in detectors.items():
        detector.train(modes[name])
    return {name: scores[name] for name in detectors}


def score(detector: Detector, images_uint8: Tensor, evidence: Evidence) -> Tensor:
    """Logits (N,) float32 on the CPU of uint8 images (N, C, H, W) sent down the evidence path."""
    device = next((tensor.device for tensor in detector.state_dict().values()), CPU)
    return score_all({"": detector}, Gallery(images_uint8, evidence, device))[""]
