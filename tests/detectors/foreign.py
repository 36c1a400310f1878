"""Networks of another package, which import nothing of the arena."""

import struct
from pathlib import Path

import torch
from torch import Tensor, nn


class Net(nn.Module):
    """Images (B, C, 8, 8) to logits (B,), (B, 1) or (B, 2), with batch normalisation and dropout."""

    def __init__(self, channels: int = 1, classes: int = 0, dropout: float = 0.2) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(dropout), nn.Conv2d(8, 8, 3), nn.ReLU()
        )
        self.head = nn.Linear(8, max(classes, 1))
        self.classes = classes

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        logits = self.head(self.layers(images).mean((2, 3)))
        return logits if self.classes else logits[:, 0]


class Alternation(nn.Module):
    """Twenty times the amplitude of a checkerboard in images of 0 to 1, less four; it has no parameters."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,)."""
        grey = images.mean(1)
        diagonal = grey[:, 1:, 1:] + grey[:, :-1, :-1] - grey[:, 1:, :-1] - grey[:, :-1, 1:]
        return 20 * diagonal.abs().mean((1, 2)) - 4


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
        self.second.weight = self.first.weight

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        return self.second(self.first(images.flatten(1)).relu()).mean(1)


class Ranked(nn.Module):
    """A logit that depends on the rest of the batch."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,)."""
        means = images.mean((1, 2, 3))
        return 10 * (means - means.mean())


class Drawn(nn.Module):
    """A random logit, in eval mode too."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,)."""
        return torch.randn(len(images), device=images.device)


class Endless(nn.Module):
    """A logit that is not finite."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,), minus infinity of a black image."""
        return (images + 1).mean((1, 2, 3)).log()


class Maps(nn.Module):
    """A map instead of a logit."""

    def forward(self, images: Tensor) -> Tensor:
        """(B, H, W)."""
        return images.mean(1)


def make(channels: int) -> Net:
    """Build a ``Net``."""
    return Net(channels)


def alternation_as_onnx(path: Path, channels: int = 1) -> Path:
    """Write ``Alternation`` field by field, since the exporters are packages of their own."""
    kernel = struct.pack("<4f", 1, -1, -1, 1) * channels
    weight = _text(8, "weight") + b"".join(_number(1, n) for n in (1, channels, 2, 2)) + _number(2, 1)
    weight += _bytes(9, b"".join(struct.pack("<f", value / channels) for (value,) in struct.iter_unpack("<f", kernel)))
    constants = _bytes(5, weight)
    for name, value in (("twenty", 20.0), ("four", 4.0)):
        constants += _bytes(5, _text(8, name) + _number(2, 1) + _bytes(9, struct.pack("<f", value)))
    nodes = (
        ("Conv", ("images", "weight"), "residual"),
        ("Abs", ("residual",), "size"),
        ("GlobalAveragePool", ("size",), "mean"),
        ("Flatten", ("mean",), "flat"),
        ("Mul", ("flat", "twenty"), "scaled"),
        ("Sub", ("scaled", "four"), "logits"),
    )
    graph = b"".join(
        _bytes(1, b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, kind))
        for kind, inputs, output in nodes
    )
    graph += _text(2, "alternation") + constants
    graph += _bytes(11, _value("images", ("batch", channels, "height", "width")))
    graph += _bytes(12, _value("logits", ("batch", 1)))
    path.write_bytes(_number(1, 8) + _bytes(7, graph) + _bytes(8, _number(2, 17)))
    return path


def _value(name: str, shape: tuple[int | str, ...]) -> bytes:
    sizes = b"".join(_bytes(1, _number(1, n) if isinstance(n, int) else _text(2, n)) for n in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, 1) + _bytes(2, sizes)))


def _varint(n: int) -> bytes:
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def _number(field: int, n: int) -> bytes:
    return _varint(field << 3) + _varint(n)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, content: str) -> bytes:
    return _bytes(field, content.encode())
