"""Load networks of the transformers library from local safetensors. No code of a model is run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from arena.core.errors import ArenaError

NOTHING_IS_DOWNLOADED = "or a name in the hub's local cache (nothing is downloaded)"


@contextmanager
def reading(key: str, path: str, expected: str) -> Iterator[None]:
    """Turn errors of the library into one line, and silence its messages inside the context.

    Args:
        key: key of the configuration that names the path.
        path: path of the files.
        expected: description of valid files.

    Raises:
        ArenaError: if the library is not installed, or cannot build a network from the files.
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
    """Return the folder itself, or the folder of that name in the hub's local cache.

    Raises:
        OSError, ValueError: if there is neither.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download  # pyright: ignore[reportMissingImports]

    return Path(snapshot_download(path, local_files_only=True))


def files_of(path: str) -> list[Path]:
    """Return the files of a network: its configuration and its weights."""
    folder = folder_of(path)
    return sorted(file for ending in ("*.json", "*.safetensors") for file in folder.glob(ending))


def from_files(kind: Any, path: str) -> Any:
    """Return a network of that class of transformers, in fp32 and eval mode.

    Raises:
        ValueError: if weights are missing, which the library would draw at random.
    """
    network, report = kind.from_pretrained(
        folder_of(path),
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
        dtype=torch.float32,
    )
    if report["missing_keys"]:
        raise ValueError(f"{len(report['missing_keys'])} weights are missing")
    return network.eval()
