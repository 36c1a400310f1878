"""Style mixing: an image whose layers take their styles from two codes (StyleGAN, Karras et al. 2019, section 3.1)."""

import torch
from torch import Tensor


def wide(code: Tensor, n_styles: int) -> Tensor:
    """The W+ code (B, n_styles, z_dim) that has w (B, z_dim) in every layer; a W+ code is returned as it is."""
    return code if code.ndim == 3 else code[:, None].expand(-1, n_styles, -1)


def mix(source: Tensor, destination: Tensor, layers: slice) -> Tensor:
    """The styles of ``layers`` copied from the source, all others kept of the destination.

    The coarse styles bring the source's pose, hair and face shape, and leave the destination its colours and finer
    features; the fine ones bring the colours.

    Args:
        source: W+ codes (..., n_styles, z_dim).
        destination: the same; the leading dimensions of both are broadcast.
        layers: to copy, such as ``generator.style_levels["coarse"]``.

    Returns:
        New codes, (..., n_styles, z_dim).
    """
    source, kept = torch.broadcast_tensors(source, destination)
    mixed = kept.clone()
    mixed[..., layers, :] = source[..., layers, :]
    return mixed


def crossed(sources: Tensor, destinations: Tensor, layers: slice) -> Tensor:
    """Every source with every destination: W+ codes (S, ...) and (D, ...) to (S, D, n_styles, z_dim)."""
    return mix(sources[:, None], destinations[None], layers)
