"""Generators from outside: any network from z to images, examined as it is or trained on."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from arena.core.errors import ArenaError, require
from arena.core.files import file_hash
from arena.data.reals import Reals
from arena.generators.base import Generator, TrainableGenerator
from arena.generators.discriminator import ResidualDiscriminator
from arena.outside.programs import each_its_own, import_network, load_program, set_mode, sources
from arena.outside.weights import load_weights

Range = tuple[float, float]


class TrainableModuleGenerator(TrainableGenerator):
    """A network behind the arena's conventions, trained with a residual discriminator.

    What its layers draw at random is drawn from the stream it is given, so that banks and resumed races are the same
    again. An exported program stays in the mode it was exported in: export it in eval mode.

    Args:
        resolution: side in pixels.
        channels: 1 or 3.
        levels: grey levels of the data.
        network: z (B, z_dim) -> images (B, C, H, W).
        z_dim: size of z.
        range: of its images: black and white.
        learning_rate: of Adam.
        discriminator_width: channels of the discriminator up to 16 pixels.
        made_of: the files it came from.
    """

    def __init__(
        self,
        *,
        resolution: int,
        channels: int,
        levels: int,
        network: nn.Module,
        z_dim: int,
        range: Range,
        learning_rate: float,
        discriminator_width: int,
        made_of: Sequence[Path],
    ) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        self.network, self.z_dim, self.range, self.learning_rate = network, z_dim, range, learning_rate
        self.discriminator_width, self.made_of = discriminator_width, made_of
        self.register_state_dict_post_hook(each_its_own)

    def train(self, mode: bool = True) -> "TrainableModuleGenerator":
        """Set the mode, of the network too where it has one to set."""
        self.training = mode
        set_mode(self.network, mode)
        return self

    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Images of z (B, z_dim)."""
        # TorchScript's optimiser rounds its first few calls otherwise than later ones, and a resumed race begins anew.
        with _drawing_from(rng), torch.jit.optimized_execution(False):  # pyright: ignore[reportPrivateImportUsage]
            images = self.network(z)
        black, white = self.range
        return images if self.range == (-1, 1) else (images - black) * (2 / (white - black)) - 1

    def __deepcopy__(self, memo: dict[int, object]) -> "TrainableModuleGenerator":
        """A copy of leaves: TorchScript copies weights by an operation that autograd would record."""
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        with torch.no_grad():
            vars(twin).update(copy.deepcopy(vars(self), memo))
        for mine, its in zip(self.parameters(), twin.parameters(), strict=True):
            its.requires_grad_(mine.requires_grad)
        return twin

    def discriminator(self, resolution: int) -> ResidualDiscriminator:
        """A residual discriminator of the width asked for."""
        return ResidualDiscriminator(resolution=resolution, channels=self.channels, width=self.discriminator_width)

    def fingerprint(self) -> str:
        """Of the files it came from."""
        return file_hash(self.made_of)


class ModuleGenerator(Generator):
    """The same, frozen."""

    def __init__(self, network: TrainableModuleGenerator) -> None:
        super().__init__(resolution=network.resolution, channels=network.channels, levels=network.levels)
        self.network = network.eval().requires_grad_(False)

    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Banks sampled in batches, on the device it is on."""
        return self.network.forge(counts, seed, reals)

    def fingerprint(self) -> str:
        """Of the files it came from."""
        return self.network.fingerprint()


def module_generator(
    *,
    resolution: int,
    channels: int,
    levels: int,
    path: str | None = None,
    name: str | None = None,
    kwargs: Mapping[str, object] | None = None,
    weights: str | None = None,
    z_dim: int | None = None,
    range: Sequence[float] = (-1, 1),
    trainable: bool = False,
    learning_rate: float = 1e-3,
    discriminator_width: int = 32,
) -> ModuleGenerator | TrainableModuleGenerator:
    """A generator out of a program's file or of a class: z (B, z_dim), standard normal, to images (B, C, H, W).

    Nobody here knows what a network from outside was trained on before: generator-train stands in for that in the
    measure of memorisation, which sees copies of those images and of no others.

    Args:
        resolution: side in pixels.
        channels: 1 or 3.
        levels: grey levels of the data.
        path: of a TorchScript file or of an exported program (``arena.outside.programs`` says whom to trust).
        name: instead, dotted, of a class or function that makes an ``nn.Module``.
        kwargs: that ``name`` is called with.
        weights: safetensors file to load; None for those it comes with.
        z_dim: size of z.
        range: of its images: black and white.
        trainable: whether it is trained, or only examined (``race.rounds=0``).
        learning_rate: of Adam, where it is trained.
        discriminator_width: of the residual discriminator it is trained with: channels up to 16 pixels.

    Raises:
        ArenaError: where there is no such network, or it makes no images like the data's.
    """
    either = "a program's file, or null and a class in generator.name"
    require(
        bool(path) != bool(name), "generator.path", path or "null", either if name is None else f"{either}, not both"
    )
    require(len(range) == 2 and range[0] < range[-1], "generator.range", list(range), "black and white, as in [-1,1]")
    require(learning_rate > 0, "generator.learning_rate", learning_rate, "above 0")
    require(discriminator_width >= 1, "generator.discriminator_width", discriminator_width, "at least 1")
    if z_dim is None or z_dim < 1:
        raise ArenaError(f"generator.z_dim={z_dim or 'null'}: expected the size of the z that the network takes")
    network = load_program(path, "generator.") if path else import_network(str(name), kwargs or {}, "generator.")
    made_of = [Path(path).expanduser()] if path else sources(str(name), network)
    if weights is not None:
        load_weights(network, weights, "generator.weights")
        made_of.append(Path(weights).expanduser())
    generator = TrainableModuleGenerator(
        resolution=resolution,
        channels=channels,
        levels=levels,
        network=network,
        z_dim=z_dim,
        range=(range[0], range[1]),
        learning_rate=learning_rate,
        discriminator_width=discriminator_width,
        made_of=made_of,
    )
    images = _few(generator, f"generator.path={path}" if path else f"generator.name={name}")
    if trainable:
        some = any(parameter.requires_grad for parameter in network.parameters())
        require(some, "generator.trainable", True, "a network with parameters to train")
        return generator
    # Far out of range they would be cut off to black and white, and everything would catch them.
    inside = (images.abs() < 1.5).float().mean() > 0.5
    require(bool(inside), "generator.range", list(range), "that of its images, most of whose pixels lie outside")
    return ModuleGenerator(generator)


def _few(generator: TrainableModuleGenerator, source: str) -> Tensor:
    """Images of one z and then of three, to see that it makes what the data looks like.

    Raises:
        ArenaError: where it does not.
    """
    images = torch.empty(0)
    mode, rng = generator.training, torch.Generator().manual_seed(0)
    generator.eval()
    for n in (1, 3):
        z = torch.randn(n, generator.z_dim, generator=rng)
        try:
            with torch.no_grad():
                images = generator(z, rng)
        except Exception as error:  # whatever a network raises that is handed what it does not take
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1][:200]
            raise ArenaError(
                f"{source}: expected images of any number of z of generator.z_dim={generator.z_dim}, got none of {n} "
                f"({reason})"
            ) from error
        expected = (n, generator.channels, generator.resolution, generator.resolution)
        found = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        if found != expected:
            raise ArenaError(f"{source}: expected images {expected} like the data's, found {found}")
        if not images.isfinite().all():
            raise ArenaError(f"{source}: expected images, found values that are not finite")
    generator.train(mode)
    return images


@contextmanager
def _drawing_from(rng: torch.Generator | None) -> Iterator[None]:
    """What is drawn from torch's global streams is drawn from ``rng`` instead, and leaves them as they were."""
    if rng is None:
        yield
        return
    seed = int(torch.randint(2**62, (), generator=rng, device=rng.device))
    with torch.random.fork_rng([rng.device] if rng.device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
