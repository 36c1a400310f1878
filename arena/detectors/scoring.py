"""Scores: one float32 a image, in eval mode and full precision, whatever batch it came in (rule of evidence 8)."""

import torch
from torch import Tensor

from arena.detectors.detector import SCORE_BATCH, Detector
from arena.evidence import Evidence
from arena.images import to_float


@torch.inference_mode()
def score(detector: Detector, images_uint8: Tensor, evidence: Evidence) -> Tensor:
    """Logits (N,) float32 on the CPU of uint8 images (N, C, H, W), each having come down the evidence path."""
    training = detector.training
    device = next((tensor.device for tensor in detector.state_dict().values()), torch.device("cpu"))
    detector.eval()
    with torch.autocast(device.type, enabled=False):
        scores = [detector(evidence(to_float(chunk.to(device)))) for chunk in images_uint8.split(SCORE_BATCH)]
    detector.train(training)
    return torch.cat(scores).float().cpu()
