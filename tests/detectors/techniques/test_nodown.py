import pytest
import torch

from arena.detectors.networks.wrappers import Trunk
from arena.detectors.techniques.cnn import DetectorAugmentation
from arena.detectors.techniques.nodown import NoDown
from tests.detectors.planted import build


def built(technique, *shape) -> NoDown:
    detector = build(technique, *shape)
    assert isinstance(detector, NoDown)
    return detector


def test_two_blocks_keep_every_pixel():
    detector = built("nodown", 32, 3, 256)
    assert isinstance(detector.network, Trunk)
    maps = detector.network.maps(torch.zeros(2, 3, 32, 32))
    assert [features.shape[-1] for features in maps] == [32, 32, 16, 8, 4, 4]


def test_in_training_it_is_turned_as_well():
    images = torch.rand(32, 3, 16, 16).mul(255).round().div(127.5).sub(1)
    expected = DetectorAugmentation(256, blur=0.1, jpeg=0.1, turn=True)(images, torch.Generator().manual_seed(3))
    assert torch.equal(built("nodown", 16, 3, 256).augmented(images, torch.Generator().manual_seed(3)), expected)


def test_at_its_published_size_it_is_a_resnet_50_whose_first_map_is_as_large_as_the_image():
    pytest.importorskip("transformers")
    with torch.device("meta"):
        detector = built("paper/nodown", 96, 3, 256)
        assert isinstance(detector.network, Trunk)
        sides = [features.shape[-1] for features in detector.network.maps(torch.zeros(2, 3, 96, 96))]
    assert sides == [96, 96, 96, 48, 24, 12]
    assert sum(parameter.numel() for parameter in detector.parameters()) == 23_508_032 + 2049
