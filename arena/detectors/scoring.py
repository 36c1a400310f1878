"""Scores: one float32 an image, in eval mode and full precision, whatever batch it came in (rule of evidence 8)."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from arena.detectors.detector import Detector, FittedDetector
from arena.detectors.gallery import Gallery
from arena.detectors.shared import share
from arena.evidence import Evidence
from arena.training.crew import side_by_side


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
            found = side_by_side(partial(_logits, images), list(looking.values()), gallery.device)
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
