"""Run networks in the ONNX format by ONNX Runtime, without gradient."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from arena.core.errors import ArenaError, first_line


class OnnxNetwork(nn.Module):
    """Network with one input, images (B, C, H, W). Only its first output is used.

    Args:
        path: the file. Weights in a separate file lie beside it.

    Raises:
        ArenaError: if ONNX Runtime is not installed, or cannot run the file.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        try:
            import onnxruntime  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise ArenaError(f"path={path}: expected the extra `onnx` to be installed") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # like every detector that runs beside others
        options.log_severity_level = 3  # errors are raised
        try:
            self.session: Any = onnxruntime.InferenceSession(
                str(Path(path).expanduser()), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime has a class of its own for each kind of failure
            raise ArenaError(f"path={path}: expected a file that ONNX Runtime can run ({first_line(error)})") from error
        inputs = self.session.get_inputs()
        if len(inputs) != 1:
            raise ArenaError(f"path={path}: expected one input, images, found {len(inputs)}")
        self.input = inputs[0].name

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return the first output, on the device of the images."""
        output = self.session.run(None, {self.input: images.float().cpu().contiguous().numpy()})[0]
        return torch.from_numpy(output).to(images.device)


def files_of(path: str) -> list[Path]:
    """Return the file, and that of its weights if PyTorch's exporter wrote them separately."""
    file = Path(path).expanduser()
    weights = file.with_name(f"{file.name}.data")
    return [file, weights] if weights.is_file() else [file]
