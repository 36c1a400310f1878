"""Examine or train a network from outside: any map from z to images."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Unpack

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from arena.core.errors import ArenaError, require
from arena.core.files import file_hash
from arena.data.reals import Reals
from arena.generators.base import Generator, TrainableGenerator, TrainableShape
from arena.generators.style import ResidualDiscriminator
from arena.outside.programs import (
    check_source,
    last_line,
    load_network,
    require_parameters,
    set_mode,
    source_files,
    untie_weights,
)

_GLOBAL_STREAMS = Lock()


class TrainableModuleGenerator(TrainableGenerator):
    """A network from outside, trained with a residual discriminator.

    Its layers' random numbers come from the given stream, so that banks and resumed races are reproducible. The mode
    of an exported program is fixed: export it in eval mode.

    Args:
        network: z (B, z_dim) -> images (B, C, H, W).
        z_dim: size of z.
        value_range: values of black and white in its images.
        learning_rate: of Adam.
        discriminator_width: channels of the discriminator up to 16 pixels.
        made_of: files of its code and weights.
        shape: see ``TrainableShape``.
    """

    def __init__(
        self,
        *,
        network: nn.Module,
        z_dim: int,
        value_range: tuple[float, float],
        learning_rate: float,
        discriminator_width: int,
        made_of: Sequence[Path],
        **shape: Unpack[TrainableShape],
    ) -> None:
        super().__init__(**shape)
        self.network, self.z_dim, self.value_range, self.learning_rate = network, z_dim, value_range, learning_rate
        self.discriminator_width, self.made_of = discriminator_width, made_of
        self.register_state_dict_post_hook(untie_weights)

    def train(self, mode: bool = True) -> "TrainableModuleGenerator":
        """Set the mode. The network follows if it has a mode to set."""
        self.training = mode
        set_mode(self.network, mode)
        return self

    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return images of z (B, z_dim)."""
        # TorchScript's optimiser rounds its first calls differently from later ones, which a resumed race would show.
        with _global_random_numbers_from(rng), torch.jit.optimized_execution(False):  # pyright: ignore[reportPrivateImportUsage]
            images = self.network(z)
        black, white = self.value_range
        return images if self.value_range == (-1, 1) else (images - black) * (2 / (white - black)) - 1

    def __deepcopy__(self, memo: dict[int, object]) -> "TrainableModuleGenerator":
        """Copy with parameters as leaves. TorchScript copies weights by an operation that autograd would record."""
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        with torch.no_grad():
            vars(twin).update(copy.deepcopy(vars(self), memo))
        for parameter, copied in zip(self.parameters(), twin.parameters(), strict=True):
            copied.requires_grad_(parameter.requires_grad)
        return twin

    def discriminator(self, resolution: int) -> ResidualDiscriminator:
        """Return a residual discriminator."""
        return ResidualDiscriminator(resolution=resolution, channels=self.channels, width=self.discriminator_width)

    def fingerprint(self) -> str:
        """Return the hash of code and weights."""
        return file_hash(self.made_of)


class ModuleGenerator(Generator):
    """A frozen network from outside, which is examined and not trained."""

    def __init__(self, network: TrainableModuleGenerator) -> None:
        super().__init__(resolution=network.resolution, channels=network.channels, levels=network.levels)
        self.network = network.eval().requires_grad_(False)

    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Sample banks in batches, on the device of the network."""
        return self.network.forge(counts, seed, reals)

    def fingerprint(self) -> str:
        """Return the hash of code and weights."""
        return self.network.fingerprint()


def module_generator(
    *,
    path: str | None = None,
    name: str | None = None,
    kwargs: Mapping[str, object] | None = None,
    weights: str | None = None,
    z_dim: PositiveInt | None = None,
    value_range: Sequence[float] = (-1, 1),
    trainable: bool = False,
    learning_rate: PositiveFloat = 1e-3,
    discriminator_width: PositiveInt = 32,
    **shape: Unpack[TrainableShape],
) -> ModuleGenerator | TrainableModuleGenerator:
    """Build a generator from a program file or a class: standard normal z (B, z_dim) -> images (B, C, H, W).

    The earlier training set of a network from outside is unknown. Generator-train stands in for it in the memorisation
    measure, so copies of other images go unseen.

    Args:
        path: TorchScript file or exported program. It is code: see ``arena.outside.programs`` on trust.
        name: alternative to ``path``: dotted name of a class or function that returns an ``nn.Module``.
        kwargs: keyword arguments of ``name``.
        weights: safetensors file to load, or None for the network's own.
        z_dim: size of z.
        value_range: values of black and white in its images.
        trainable: whether to train it. Otherwise it is only examined (``race.rounds=0``).
        learning_rate: of Adam, if trained.
        discriminator_width: channels of the residual discriminator up to 16 pixels, if trained.
        shape: see ``TrainableShape``.

    Raises:
        ArenaError: if there is no such network, or its images do not have the shape and range of the data.
    """
    limits = check_source(path=path, name=name, value_range=value_range, prefix="generator.", files="a program file")
    if z_dim is None:
        raise ArenaError("generator.z_dim=null: expected the size of the network's input z")
    network = load_network(path=path, name=name, kwargs=kwargs, weights=weights, prefix="generator.")
    made_of = [Path(path).expanduser()] if path else source_files(str(name), network)
    if weights is not None:
        made_of.append(Path(weights).expanduser())
    generator = TrainableModuleGenerator(
        network=network,
        z_dim=z_dim,
        value_range=limits,
        learning_rate=learning_rate,
        discriminator_width=discriminator_width,
        made_of=made_of,
        **shape,
    )
    images = _check_images(generator, f"generator.path={path}" if path else f"generator.name={name}")
    if trainable:
        require_parameters(network, "generator.")
        return generator
    # Far out of range, images would be clipped to black and white, and any technique would detect them.
    inside = (images.abs() < 1.5).float().mean() > 0.5
    require(
        bool(inside), "generator.value_range", list(value_range), "the range of its images: most pixels lie outside"
    )
    return ModuleGenerator(generator)


def _check_images(generator: TrainableModuleGenerator, source: str) -> Tensor:
    """Make images of one z and then of three, and check shape and values. Returns the last images.

    Raises:
        ArenaError: if the network fails, or its images differ in shape from the data or are not finite.
    """
    images = torch.empty(0)
    training, rng = generator.training, torch.Generator().manual_seed(0)
    generator.eval()
    for n in (1, 3):
        z = torch.randn(n, generator.z_dim, generator=rng)
        try:
            with torch.no_grad():
                images = generator(z, rng)
        except Exception as error:  # a network may raise anything
            raise ArenaError(
                f"{source}: expected images of any number of z of generator.z_dim={generator.z_dim}, got none of {n} "
                f"({last_line(error)})"
            ) from error
        expected = (n, generator.channels, generator.resolution, generator.resolution)
        shape = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        if shape != expected:
            raise ArenaError(f"{source}: expected images {expected} like the data's, found {shape}")
        if not images.isfinite().all():
            raise ArenaError(f"{source}: expected images, found values that are not finite")
    generator.train(training)
    return images


@contextmanager
def _global_random_numbers_from(rng: torch.Generator | None) -> Iterator[None]:
    """Seed torch's global streams from ``rng`` inside the context, and restore them afterwards.

    One thread at a time is in such a context.
    """
    if rng is None:
        yield
        return
    seed = int(torch.randint(2**62, (), generator=rng, device=rng.device))
    with _GLOBAL_STREAMS, torch.random.fork_rng([rng.device] if rng.device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
