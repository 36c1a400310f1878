import pytest
import torch
from torch import nn

from arena.detectors.techniques.cnn import Cnn, DetectorAugmentation
from tests.detectors.planted import build


class Brightness(nn.Module):
    """A network whose logit is the mean pixel."""

    def __init__(self, *, channels, side):
        super().__init__()
        self.shape = (channels, side, side)

    def forward(self, x):
        assert x.shape[1:] == self.shape
        return x.mean(dim=(1, 2, 3))


def cnn(resolution=16, **changed):
    settings = {"crop": None, "blur": 0.1, "jpeg": 0.1, "network": Brightness} | changed
    return Cnn(resolution=resolution, channels=3, levels=256, **settings)


def test_its_logit_is_that_of_its_network_on_the_pixels():
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    torch.testing.assert_close(cnn()(images), images.mean((1, 2, 3)))


def test_of_a_large_image_it_sees_native_squares():
    images = torch.rand(2, 3, 64, 64)
    squares = [images[..., y : y + 16, x : x + 16] for y in (12, 36) for x in (12, 36)]
    expected = torch.stack([square.mean((1, 2, 3)) for square in squares]).mean(0)
    torch.testing.assert_close(cnn(64, crop=16)(images), expected)


def test_in_training_it_is_blurred_compressed_and_mirrored_by_the_published_probabilities():
    images, detector = torch.rand(32, 1, 8, 8).mul(16).round().div(8).sub(1), build("cnn")
    assert isinstance(detector, Cnn)
    expected = DetectorAugmentation(17, blur=0.1, jpeg=0.1)(images, torch.Generator().manual_seed(3))
    assert torch.equal(detector.augmented(images, torch.Generator().manual_seed(3)), expected)


def test_at_its_published_size_it_is_a_resnet_50():
    pytest.importorskip("transformers")
    with torch.device("meta"):
        detector = build("paper/cnn", 256, 3, 256)
    assert sum(parameter.numel() for parameter in detector.parameters()) == 23_508_032 + 2049
    assert (detector.side, detector.learning_rate) == (224, 1e-4)
