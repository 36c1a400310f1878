"""Refuse sizes that cannot fit into memory, by an estimate from below, before anything is allocated."""

from collections.abc import Callable
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from arena.config.schema import BankConfig
from arena.core.errors import ArenaError
from arena.data.split import FEWEST
from arena.generators.base import TrainableGenerator
from arena.imaging.images import ImageShape

GIB = 2**30
COPIES = {"generator": 5, "discriminator": 4, "detector": 4}
"""Numbers kept of each parameter in training: itself, its gradient, two moments, and the average of a generator."""


def available_bytes() -> float:
    """Return the bytes that this process may still take, of the machine or of its control group."""
    free = float("inf")
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        if limit != "max":
            free = min(free, int(limit) - int((group / "memory.current").read_text(encoding="ascii")))
    except (OSError, ValueError, StopIteration):  # another system, or an older one
        pass
    return free


def check_images(data: DictConfig) -> None:
    """Check that as many images as a race needs, or as ``data.n`` names, fit into memory.

    Raises:
        ArenaError: naming the resolution.
    """
    resolution, n = (OmegaConf.select(data, key) for key in ("resolution", "n"))
    if isinstance(resolution, int) and resolution > 0:
        count = n if isinstance(n, int) else sum(FEWEST.values())
        _require(float(count) * resolution**2, "data.resolution", resolution, f"{count:,} images")


def check_banks(bank: BankConfig, shape: ImageShape) -> None:
    """Check that the banks of a round fit into memory.

    Raises:
        ArenaError: naming the largest bank.
    """
    pixels = float(shape["channels"] * shape["resolution"] ** 2)
    largest = max(bank.counts, key=bank.counts.__getitem__)
    _require(sum(bank.counts.values()) * pixels, f"bank.{largest}", bank.counts[largest], "the fakes of a round")


def check_networks(key: str, node: DictConfig, build: Callable[[], object]) -> None:
    """Check that a network fits into memory while it trains, with its discriminator if it is a generator.

    It is built without memory, on torch's device ``meta``. A part without a ``width``, or that reads
    files, is not looked at.

    Args:
        key: of the part.
        node: its config.
        build: builds it.

    Raises:
        ArenaError: naming its width.
    """
    place = next((name for name in ("width", "network.width") if OmegaConf.select(node, name) is not None), None)
    if place is None or any(OmegaConf.select(node, name) is not None for name in ("weights", "run", "path")):
        return
    try:
        with torch.device("meta"):
            network = build()
            parts = {"detector": network}
            if isinstance(network, TrainableGenerator):
                parts = {"generator": network, "discriminator": network.discriminator(network.resolution)}
    except (ArenaError, NotImplementedError, RuntimeError, TypeError, ValueError):  # building it in earnest says why
        return
    sizes = {name: part for name, part in parts.items() if isinstance(part, nn.Module)}
    needed = {name: 4.0 * COPIES[name] * sum(p.numel() for p in part.parameters()) for name, part in sizes.items()}
    own = OmegaConf.select(node, "discriminator_width") is not None
    if own and max(needed, key=needed.__getitem__, default="") == "discriminator":
        place = "discriminator_width"
    _require(sum(needed.values()), f"{key}.{place}", OmegaConf.select(node, place), "its weights in training")


def _require(needed: float, key: str, value: object, content: str) -> None:
    free = available_bytes()
    if needed > free:
        raise ArenaError(
            f"{key}={value}: expected what fits into memory, but {content} alone take {needed / GIB:,.1f} GiB, and "
            f"{free / GIB:,.1f} GiB are free"
        )
