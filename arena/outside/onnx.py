"""Networks in the ONNX format, run by ONNX Runtime: no gradient, nothing to train."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from arena.core.errors import ArenaError, first_line


class OnnxNetwork(nn.Module):
    """One input, images (B, C, H, W), and one output that counts, the first.

    Args:
        path: of the file; weights that it keeps in a file of their own lie beside it.
        key: of the configuration that names it.

    Raises:
        ArenaError: where ONNX Runtime is not installed, or cannot run the file.
    """

    def __init__(self, path: str, key: str) -> None:
        super().__init__()
        try:
            import onnxruntime  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise ArenaError(f"{key}={path}: expected the extra `onnx` to be installed") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # as every detector at work beside others
        options.log_severity_level = 3  # what goes wrong is raised
        try:
            self.session: Any = onnxruntime.InferenceSession(
                str(Path(path).expanduser()), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # of its own classes, one a kind of failure
            raise ArenaError(
                f"{key}={path}: expected a file that ONNX Runtime can run ({first_line(error)})"
            ) from error
        inputs = self.session.get_inputs()
        if len(inputs) != 1:
            raise ArenaError(f"{key}={path}: expected one input, images, found {len(inputs)}")
        self.input = inputs[0].name

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """The first output, where the images are."""
        found = self.session.run(None, {self.input: images.float().cpu().contiguous().numpy()})[0]
        return torch.from_numpy(found).to(images.device)


def files_of(path: str) -> list[Path]:
    """The file, and that of its weights where PyTorch's exporter kept them apart."""
    file = Path(path).expanduser()
    weights = file.with_name(f"{file.name}.data")
    return [file, weights] if weights.is_file() else [file]
