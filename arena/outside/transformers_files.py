"""Networks of the transformers library, from files on this machine alone: safetensors, and no code that comes along."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from arena.core.errors import ArenaError

NOTHING_IS_DOWNLOADED = "or a name in the hub's local cache (nothing is downloaded)"


@contextmanager
def reading(key: str, path: str, expected: str) -> Iterator[None]:
    """Say in one line what is wrong with the files, and nothing where all is well.

    Args:
        key: of the configuration that names the path.
        path: of the files.
        expected: what they should have been.

    Raises:
        ArenaError: where the library is not installed, or cannot make a network of the files.
    """
    try:
        import transformers  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ArenaError(f"{key}={path}: expected the extra `features` to be installed") from error
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        raise ArenaError(f"{key}={path}: expected {expected}") from error
    finally:
        transformers.logging.set_verbosity(verbosity)


def folder_of(path: str) -> Path:
    """The folder itself, or that in which the hub's local cache keeps what goes by this name.

    Raises:
        OSError, ValueError: where there is neither.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download  # pyright: ignore[reportMissingImports]

    return Path(snapshot_download(path, local_files_only=True))


def files_of(path: str) -> list[Path]:
    """The files a network is made from: its configuration and its weights."""
    folder = folder_of(path)
    return sorted(file for ending in ("*.json", "*.safetensors") for file in folder.glob(ending))


def from_files(kind: Any, path: str) -> Any:
    """A network of that class of transformers, in fp32 and eval mode, refusing one whose weights are not all there.

    Raises:
        ValueError: where some are not: the library would fill them in at random.
    """
    network, found = kind.from_pretrained(
        folder_of(path),
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
        dtype=torch.float32,
    )
    if found["missing_keys"]:
        raise ValueError(f"{len(found['missing_keys'])} weights are missing")
    return network.eval()
