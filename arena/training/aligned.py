"""Re-synthesise reals by an autoencoder: fakes that are aligned with reals, and differ by traces of a decoder alone."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena.detectors.gallery import Gallery
from arena.detectors.heads import Sample
from arena.detectors.techniques.autoencoder import Bottleneck
from arena.imaging.images import to_uint8

WIDTH, CODE = 16, 16
"""Channels of the first layer, and of the code at a quarter of the side: of grey images, one value a pixel."""
STEPS, BATCH, LEARNING_RATE = 200, 32, 5e-3
CROP = 32
"""Largest side in pixels of the parts of images that the autoencoder learns from."""


def resynthesised(gallery: Gallery, reals: Tensor, seed: int) -> Gallery:
    """Learn an autoencoder on reals, and re-synthesise the same reals with it.

    The decoder's up-sampling leaves its traces in them, and their content is that of the reals (Rajan et al. 2025,
    Guillaro et al. 2025 and Chen et al. 2024, with the autoencoders of diffusion models). No other image is read. No
    random number comes from torch's global streams.

    Args:
        gallery: all images.
        reals: places (N,) of the reals to learn from.
        seed: of the initial weights and of the batches.

    Returns:
        N images, in the order of the reals, that came down the evidence path.
    """
    rng = torch.Generator().manual_seed(seed)
    network = _autoencoder(gallery.seen.shape[1], rng).to(gallery.device)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS)
    side = min(CROP, *gallery.seen.shape[-2:])
    for _ in range(STEPS):
        drawn = reals[torch.randint(len(reals), (BATCH,), generator=rng)]
        images = gallery.crops(drawn, side, torch.rand(BATCH, 2, generator=rng))
        optimizer.zero_grad()
        F.l1_loss(network(images), images).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        made = [to_uint8(network(images).clamp(-1, 1)).cpu() for images in gallery.chunks(reals)]
    return Gallery(torch.cat(made), gallery.evidence, gallery.device)


def _autoencoder(channels: int, rng: torch.Generator) -> Bottleneck:
    """Return an autoencoder whose weights come from ``rng`` alone."""
    with torch.device("meta"):  # its constructor would draw from the global stream
        network = Bottleneck(channels=channels, width=WIDTH, code=CODE)
    network.to_empty(device="cpu")
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.kaiming_uniform_(layer.weight, a=0.2, generator=rng)
            nn.init.zeros_(layer.bias)
    return network


def with_aligned(train: Sample, aligned: Tensor, share: float, seed: int) -> Sample:
    """Return training features with a share of those of fakes replaced by those of re-synthesised reals.

    Args:
        train: features and labels of reals and fakes.
        aligned: features (N, F) of the re-synthesised reals. Each is used equally often, up to one time.
        share: of the fakes.
        seed: of the choice.
    """
    rng = torch.Generator().manual_seed(seed)
    fakes = torch.nonzero(train.labels == 1).squeeze(1)
    replaced = fakes[torch.randperm(len(fakes), generator=rng)[: round(share * len(fakes))]]
    features, order = train.features.clone(), torch.randperm(len(aligned), generator=rng)
    features[replaced] = aligned[order[torch.arange(len(replaced)) % len(order)]]
    return Sample(features, train.labels)
