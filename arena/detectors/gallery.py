"""Hold the images of one evaluation as detectors see them, and score them."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from arena.core.parallel import parallel_map
from arena.detectors.base import Detector, FittedDetector
from arena.detectors.shared import share
from arena.imaging.evidence import Evidence

CPU = torch.device("cpu")
SCORE_BATCH = 512
"""Most images scored at once; of large ones fewer, so that memory does not grow with their size."""
SCORE_VALUES = 1 << 21


def _features(images: Tensor, detector: FittedDetector) -> Tensor:
    return detector.features(images)


class Labelled(NamedTuple):
    """Some images of a gallery, by their places (N,), and their labels (N,): 0 real and 1 fake."""

    which: Tensor
    labels: Tensor


class Gallery:
    """The images of one judgement or one round, down the evidence path once; folds and seeds only choose among them.

    Args:
        images: uint8 (N, C, H, W).
        evidence: the path.
        device: where detectors look at them.
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

    def glimpses(self, which: Tensor, side: int, at: Tensor) -> Tensor:
        """One square of ``side`` pixels of each image, (n, C, side, side); the whole where it is no larger.

        Args:
            which: places (n,) in the gallery.
            side: in native pixels.
            at: (n, 2) in [0, 1], where in its image each square lies.
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
        """The features (n, F), on the CPU, that ``measure`` took."""
        return self._features[technique][which]

    @torch.no_grad()
    def measure(self, detectors: Mapping[str, Detector]) -> None:
        """Take the features of every image for every fitted technique that has not taken them yet."""
        fitted: dict[str, FittedDetector] = {}
        for name, detector in detectors.items():
            if isinstance(detector, FittedDetector):
                detector.to(self.device)  # its head scores there, whoever took the features
                if name not in self._features:
                    fitted[name] = detector
        if not fitted:
            return
        parts: dict[str, list[Tensor]] = {name: [] for name in fitted}
        for which in self.chunks(torch.arange(len(self))):
            images = share(self.images(which))
            found = parallel_map(partial(_features, images), list(fitted.values()), self.device)
            for name, features in zip(fitted, found, strict=True):
                parts[name].append(features.cpu())
        self._features |= {name: torch.cat(chunks) for name, chunks in parts.items()}

    def chunks(self, which: Tensor) -> tuple[Tensor, ...]:
        """Places in batches of as many pixels."""
        return which.split(max(1, min(SCORE_BATCH, SCORE_VALUES // self.seen[0].numel())))


@torch.no_grad()
def score_all(detectors: Mapping[str, Detector], gallery: Gallery, which: Tensor | None = None) -> dict[str, Tensor]:
    """Every detector's logits (n,) float32, on the CPU, of images of a gallery: one pass over the images for all.

    They come in the order of the detectors.

    Args:
        detectors: by technique; they stand on the gallery's device.
        gallery: the images.
        which: places (n,) in the gallery; None for all.
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
        looking = {name: detector for name, detector in detectors.items() if name not in scores}
        parts: dict[str, list[Tensor]] = {name: [torch.empty(0)] for name in looking}
        for chunk in gallery.chunks(which) if looking else ():
            images = share(gallery.images(chunk))
            found = parallel_map(partial(_logits, images), list(looking.values()), gallery.device)
            for name, logits in zip(looking, found, strict=True):
                parts[name].append(logits.float().cpu())
    for name, detector in detectors.items():
        detector.train(modes[name])
    scores |= {name: torch.cat(chunks) for name, chunks in parts.items()}
    return {name: scores[name] for name in detectors}


def _logits(images: Tensor, detector: Detector) -> Tensor:
    return detector(images)


def score(detector: Detector, images_uint8: Tensor, evidence: Evidence) -> Tensor:
    """Logits (N,) float32 on the CPU of uint8 images (N, C, H, W), each having come down the evidence path."""
    device = next((tensor.device for tensor in detector.state_dict().values()), torch.device("cpu"))
    return score_all({"": detector}, Gallery(images_uint8, evidence, device))[""]
