import sys
from typing import Any

import pytest
import torch
from torch import nn

from arena.core.errors import ArenaError
from arena.detectors.networks.resnet import ResNet, ResNetTrunk

pytest.importorskip("transformers")

TINY = {"depths": [1, 2], "hidden_sizes": [16, 32], "layer_type": "bottleneck"}
RESNET_50 = {"depths": [3, 4, 6, 3], "hidden_sizes": [256, 512, 1024, 2048], "layer_type": "bottleneck"}
RESNET_18 = {"depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512], "layer_type": "basic"}


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A tiny ResNet as the library saves it, with batch statistics of its own."""
    from transformers import ResNetConfig, ResNetForImageClassification

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ResNetForImageClassification(ResNetConfig(embedding_size=4, **TINY))
        network(torch.randn(8, 3, 32, 32))
    folder = tmp_path_factory.mktemp("weights")
    network.save_pretrained(folder)
    return folder, network.eval()


@pytest.mark.parametrize(
    ("shape", "published", "classes"), [(RESNET_50, 25_557_032, 2048), (RESNET_18, 11_689_512, 512)]
)
def test_the_published_sizes(shape, published, classes):
    with torch.device("meta"):
        trunk = ResNetTrunk(channels=3, side=224, **shape)
    assert parameters(trunk) + 1000 * (classes + 1) == published


@pytest.mark.parametrize("channels", [1, 3, 12])
@pytest.mark.parametrize("side", [8, 32, 64])
def test_maps_of_every_shape(channels, side):
    network = ResNet(channels=channels, side=side, **TINY)
    images = torch.rand(2, channels, side, side)
    assert network(images).shape == (2,)
    shapes = [tuple(features.shape[1:]) for features in network.maps(images)]
    assert shapes == [(4, side // 2, side // 2)] + [
        (width, side // down, side // down) for width, down in ((4, 4), (16, 4), (32, 8))
    ]
    assert network.widths == (4, 4, 16, 32)


def test_without_early_stride_the_stem_and_its_pooling_keep_every_pixel():
    network = ResNetTrunk(channels=3, side=16, early_stride=False, **TINY)
    assert [features.shape[-1] for features in network.maps(torch.rand(2, 3, 16, 16))] == [16, 16, 16, 8]


def test_truncated_it_is_the_beginning_of_the_whole():
    whole, images = ResNetTrunk(channels=3, side=32, **TINY).eval(), torch.rand(2, 3, 32, 32)
    short = ResNetTrunk(channels=3, side=32, stages=1, **TINY).eval()
    short.load_state_dict({name: whole.state_dict()[name] for name in short.state_dict()})
    assert short.widths == (4, 4, 16)
    for ours, theirs in zip(short.maps(images), whole.maps(images)[:3], strict=True):
        assert torch.equal(ours, theirs)


def test_a_grey_image_is_three_equal_channels():
    network, grey = ResNet(channels=1, side=16, **TINY).eval(), torch.rand(2, 1, 16, 16)
    colour = ResNet(channels=3, side=16, **TINY).eval()
    colour.load_state_dict(network.state_dict())
    assert torch.equal(network(grey), colour(grey.expand(-1, 3, -1, -1)))


def test_from_scratch_it_depends_on_the_seed_alone():
    def built(seed):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return ResNet(channels=3, side=16, **TINY).state_dict()

    one, same, other = built(1), built(1), built(2)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])


@pytest.mark.parametrize("channels", [1, 3])
def test_local_weights_see_pixels_as_imagenet_had_them(saved, channels):
    folder, network = saved
    images = torch.rand(2, channels, 32, 32)
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    expected = network.resnet((images - mean) / deviation).last_hidden_state
    trunk = ResNetTrunk(channels=channels, side=32, weights=str(folder), **TINY)
    assert trunk.training
    torch.testing.assert_close(trunk.eval().maps(2 * images - 1)[-1], expected, rtol=1e-4, atol=1e-4)


def test_its_tensors_hold_all_it_has_learned(saved):
    first = ResNet(channels=3, side=16, weights=str(saved[0]), stages=1, **TINY).eval()
    again = ResNet(channels=3, side=16, weights=str(saved[0]), stages=1, **TINY).eval()
    again.load_state_dict(first.state_dict())
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(first(images), again(images))
    assert not any(isinstance(module, nn.Dropout) for module in first.modules())


def test_weights_that_are_not_there_or_do_not_fit_name_the_key(saved, tmp_path):
    for weights, changed in (
        (tmp_path, {}),
        ("no/such/folder", {}),
        (saved[0], {"depths": [2, 2]}),
        (saved[0], {"hidden_sizes": [16, 64]}),
        (saved[0], {"channels": 12}),
    ):
        arguments: dict[str, Any] = {"channels": 3, "side": 16, "weights": str(weights)} | TINY | changed
        with pytest.raises(ArenaError, match=r"network\.weights=.*: expected"):
            ResNet(**arguments)


def test_weights_of_fewer_stages_are_refused(saved, tmp_path):
    from safetensors.torch import load_file, save_file

    tensors = load_file(saved[0] / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if "stages.1" not in name}
    save_file(kept, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_text((saved[0] / "config.json").read_text())
    with pytest.raises(ArenaError, match=r"network\.weights="):
        ResNet(channels=3, side=16, weights=str(tmp_path), **TINY)


def test_without_the_library_it_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ArenaError, match="extra `features`"):
        ResNet(channels=3, side=16, **TINY)


@pytest.mark.parametrize(
    "wrong",
    [
        {"side": 4},
        {"hidden_sizes": [16]},
        {"hidden_sizes": [16, 18]},
        {"stages": 3},
    ],
    ids=str,
)
def test_an_impossible_shape_names_its_key(wrong):
    (key,) = wrong
    arguments: dict[str, Any] = {"channels": 3, "side": 16} | TINY | wrong
    with pytest.raises(ArenaError, match=rf"network\.{key}=.*: expected"):
        ResNet(**arguments)
