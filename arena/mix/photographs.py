"""Two photographs, projected and mixed both ways."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from arena.data.decode import decode_all
from arena.errors import ArenaError
from arena.figures.mixing import mixed_photographs
from arena.figures.style import save
from arena.generators.style import LEVELS, StyleGenerator
from arena.images import to_float, to_uint8
from arena.mix.codes import mix, wide
from arena.mix.projector import Projection, Projector, pyramid_distance
from arena.records import write_atomically

Space = Literal["w", "w+"]


def read_photographs(files: Sequence[Path], resolution: int, channels: int) -> Tensor:
    """Their middle squares as ``data=folder`` would read them: uint8 (N, C, H, W).

    Raises:
        ArenaError: naming a file that is no image.
    """
    decoding = decode_all(files, resolution, channels)
    for place, reason in decoding.failures.items():
        found = reason if files[place].is_file() else "no such file"
        raise ArenaError(f"{files[place]}: expected an image ({found})")
    return decoding.images


def mix_photographs(
    generator: StyleGenerator,
    files: tuple[Path, Path],
    out: Path,
    *,
    round: int,
    space: Space,
    steps: int,
    seed: int,
) -> list[Path]:
    """Project two photographs into W and W+, mix them at every level both ways, and draw it.

    Args:
        generator: in eval mode, without gradients of its own.
        files: the photographs.
        out: folder that gets the picture (PNG and PDF) and its distances (JSON).
        round: whose generator it is, to write down.
        space: whose codes are mixed. W mixes more cleanly, W+ is more like the photographs.
        steps: of the search in each space.
        seed: of the search.

    Returns:
        The files written.

    Raises:
        ArenaError: naming a file that is no image.
    """
    photographs = read_photographs(files, generator.resolution, generator.channels)
    targets = to_float(photographs)
    projector = Projector(generator, steps, seed)
    in_w = projector.w(targets)
    in_w_plus = projector.w_plus(targets, in_w)
    codes = wide((in_w if space == "w" else in_w_plus).code, generator.n_styles)
    with torch.no_grad():
        others, layers = codes.flip(0), generator.style_levels
        mixed = [generator.images_of(mix(others, codes, layers[level]), "frozen") for level in LEVELS]
        rebuilt = [generator.images_of(found.code, "frozen") for found in (in_w, in_w_plus)]
        shown = torch.stack([photographs, *map(to_uint8, [*rebuilt, *mixed])], 1).numpy()
    found = _distances(projector, targets, in_w, in_w_plus)
    named = [{"file": file.name} | its for file, its in zip(files, found, strict=True)]
    facts = {"round": round, "space": space, "steps": steps, "seed": seed, "photographs": named}
    stem = out / f"{files[0].stem}_{files[1].stem}"
    rows = [(file.name, images) for file, images in zip(files, shown, strict=True)]
    written = save(mixed_photographs(rows, space.upper()), stem)
    written.append(stem.with_name(f"{stem.name}.json"))
    write_atomically(written[-1], (json.dumps(facts, indent=2) + "\n").encode())
    return written


def _distances(projector: Projector, targets: Tensor, w: Projection, w_plus: Projection) -> list[dict[str, float]]:
    """Of each photograph to the other one, to the image of W's mean and its reconstructions; how far these strayed."""
    mean = projector.mean.expand(len(targets), -1)
    with torch.no_grad():
        columns = {
            "other_photograph": pyramid_distance(targets.flip(0), targets),
            "mean_of_w": projector.distance(mean, targets),
            "w": w.distance,
            "w_plus": w_plus.distance,
            "w_strayed": w.strayed,
            "w_plus_strayed": w_plus.strayed,
        }
    return [{name: round(float(values[k]), 6) for name, values in columns.items()} for k in range(len(targets))]
