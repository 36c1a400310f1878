"""Train a small network to change images within a bound, so that detectors take them for real."""

from collections.abc import Sequence

import torch
from torch import Tensor

from arena.core.seeding import derive_seed
from arena.detectors.base import Detector
from arena.detectors.gallery import images_at_once
from arena.generators.launder import BoundedChange
from arena.imaging.evidence import Evidence
from arena.imaging.images import on_levels, straight_through, to_float, to_uint8
from arena.training.perturbation import loss_of_real

WIDTH, BLOCKS = 32, 2
"""Of the network, as those of ``generator=launder``."""
STEPS, BATCH, LEARNING_RATE = 300, 32, 5e-3


def new_network(channels: int, levels: int, bound: int) -> BoundedChange:
    """Return a network that changes nothing yet. It draws its weights from torch's global stream."""
    return BoundedChange(channels=channels, levels=levels, distortion=bound, width=WIDTH, blocks=BLOCKS)


def laundering_network(
    fakes: Tensor,
    detectors: Sequence[Detector],
    evidence: Evidence,
    *,
    levels: int,
    bound: int,
    seed: int,
    device: torch.device,
) -> BoundedChange:
    """Train a network on fakes, against detectors that stay as they are.

    The objective is that of descent on single images (``arena.training.perturbation``), and so are the gradients
    through rounding and evidence path. One network has to change all images, and leaves traces that they share.

    Args:
        fakes: uint8 (N, C, H, W) that it learns from.
        detectors: on the device. They are left in eval mode, without gradients of their parameters.
        evidence: the path in front of the detectors.
        levels: grey levels of the data.
        bound: largest change of a pixel, in these grey levels.
        seed: of the initial weights, the batches and the noise.
        device: of the detectors.
    """
    for detector in detectors:
        detector.eval().requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "network"))
        network = new_network(fakes.shape[1], levels, bound).to(device)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS)
    drawn = torch.Generator().manual_seed(derive_seed(seed, "batches"))
    noise = torch.Generator(device).manual_seed(derive_seed(seed, "noise"))
    for _ in range(STEPS):
        images = to_float(fakes[torch.randint(len(fakes), (BATCH,), generator=drawn)]).to(device)
        changed = network(images, noise)
        optimizer.zero_grad()
        loss_of_real(detectors, evidence(straight_through(changed, on_levels(changed, levels)))).mean().backward()
        optimizer.step()
        schedule.step()
    return network


@torch.no_grad()
def laundered(images: Tensor, network: BoundedChange, seed: int) -> Tensor:
    """Return images uint8 (N, C, H, W), changed and rounded to the data's grey levels, on the CPU.

    Args:
        images: uint8 (N, C, H, W).
        network: trained.
        seed: of the noise.
    """
    if not len(images):
        return images
    device = next(network.parameters()).device
    noise = torch.Generator(device).manual_seed(seed)
    changed = [network(to_float(part).to(device), noise) for part in images.split(images_at_once(images))]
    return torch.cat([to_uint8(on_levels(part, network.levels)).cpu() for part in changed])
