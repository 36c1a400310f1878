"""From files, bytes or opened images to square uint8 images, in parallel."""

import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from arena.data.progress import progress

Source = Path | bytes | Image.Image
"""What an image is decoded from: a file, the content of one, or what Pillow has opened already."""

# Sources read ahead of the decoders: those of a stream are as large as the files they were.
AHEAD = 64

T = TypeVar("T")
S = TypeVar("S")


class Pixels(NamedTuple):
    """One decoded image, uint8 (H, W, 3) or (H, W); whether it had to be enlarged; the format it was stored in."""

    values: NDArray[np.uint8]
    enlarged: bool
    format: str | None


class Decoding(NamedTuple):
    """Usable images in the order of their sources, and what is to be said of them.

    ``failures`` says why each other source failed, by its place; ``enlarged`` how many images were smaller than asked
    for; ``formats`` how many were stored as what, by Pillow's names.
    """

    images: Tensor
    failures: dict[int, str]
    enlarged: int
    formats: dict[str, int]


def decode_all(
    sources: Iterable[Source],
    resolution: int,
    channels: int | None,
    crop: int | None = None,
    total: int | None = None,
    shown: bool = True,
) -> Decoding:
    """Decode every source that is an image; of a stream, only a few are held at a time.

    Args:
        sources: files, their contents, or opened images.
        resolution: side in pixels.
        channels: 1, 3, or None: 1 if every image is grey, else 3. Grey is what has three equal colours everywhere.
        crop: side of the middle square that is kept, at most; None: the largest there is.
        total: how many sources there are, for the progress bar.
        shown: whether there is one.

    Returns:
        Images uint8 (N, C, resolution, resolution), and what is to be said of them.
    """

    def attempt(source: Source) -> Pixels | str:
        try:
            return decode(source, resolution, grey=channels == 1, crop=crop)
        except Exception as failure:  # the decoders of forty formats raise whatever they like on bad bytes
            return _reason(failure)

    # Pillow releases the interpreter lock while it decodes. Its warnings are about damaged metadata, but for the one of
    # a decompression bomb, which counts as a failure; filters are the process's, so they are set around all threads.
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            decoded_ahead = ahead(pool, attempt, sources)
            results = list(progress(decoded_ahead, "decoding images", total=total) if shown else decoded_ahead)
        finally:  # interrupted: what has not begun is given up
            pool.shutdown(cancel_futures=True)
    decoded = [result for result in results if isinstance(result, Pixels)]
    failures = {k: result for k, result in enumerate(results) if isinstance(result, str)}
    enlarged = sum(image.enlarged for image in decoded)
    formats = Counter(image.format for image in decoded if image.format is not None)
    return Decoding(_stack(decoded, resolution, channels), failures, enlarged, dict(formats))


def ahead(pool: Executor, work: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
    """A pool's map that takes no more than ``AHEAD`` items before their results are asked for; in order, as map is."""
    begun: deque[Future[T]] = deque()
    for item in items:
        begun.append(pool.submit(work, item))
        if len(begun) == AHEAD:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()


def _stack(decoded: list[Pixels], resolution: int, channels: int | None) -> Tensor:
    if not decoded:
        return torch.empty(0, channels or 3, resolution, resolution, dtype=torch.uint8)
    images = torch.from_numpy(np.stack([image.values for image in decoded]))
    if images.ndim == 3:
        return images[:, None]
    images = images.permute(0, 3, 1, 2)
    if channels is None and bool((images == images[:, :1]).all()):
        images = images[:, :1]
    return images.contiguous()


def decode(source: Source, resolution: int, grey: bool = False, crop: int | None = None) -> Pixels:
    """Decode one image: upright by its EXIF orientation, its middle square, resized by Lanczos' antialiasing filter.

    The first frame of an animation; transparency over white; 16 bits to 8 by rounding. Colour profiles are not applied.

    Raises:
        Exception: whatever Pillow makes of what is no image.
    """
    with _opened(source) as opened:
        form = opened.format
        image = _eight_bits(ImageOps.exif_transpose(opened))
    if grey:
        image = image.convert("L")
    side = min(*image.size, crop or max(image.size))
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    if side != resolution:
        image = image.resize((resolution, resolution), Image.Resampling.LANCZOS)
    return Pixels(np.asarray(image), side < resolution, form)


def _opened(source: Source) -> Image.Image:
    if isinstance(source, Image.Image):
        return source
    return Image.open(BytesIO(source) if isinstance(source, bytes) else source)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes to RGB, three equal colours where it is grey."""
    if image.mode.startswith("I"):  # 16 bits, though mode "I" could hold 32
        values = np.asarray(image).astype(np.float64).clip(0, 65535)
        image = Image.fromarray(np.rint(values / 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("floating-point image, whose range is unknown")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _reason(failure: Exception) -> str:
    """One line that says why."""
    if isinstance(failure, Image.UnidentifiedImageError):
        return "no image"
    return " ".join(str(failure).split()) or type(failure).__name__
