import json
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import load, save, save_file
from torch import nn

from arena.config.instantiate import SHAPE, instantiate
from arena.core.errors import ArenaError
from arena.detectors.base import Detector, FittedDetector, LearnedDetector
from arena.detectors.gallery import score
from arena.detectors.module import FrozenModuleDetector, TrainableModuleDetector, module_detector
from arena.imaging.evidence import Evidence
from arena.metrics.auc import auc
from arena.outside.transformers_files import Preparation
from tests.detectors.foreign import Alternation, Net, Tied, alternation_as_onnx
from tests.detectors.planted import CONF, Examples, digits, drops, train_all
from tests.outside.test_programs import exported, scripted

pytestmark = pytest.mark.slow

EVIDENCE = Evidence(levels=17)


def made(**settings: Any) -> TrainableModuleDetector | FrozenModuleDetector:
    shape = {"resolution": 8, "channels": 1, "levels": 17}
    by_default = {} if settings.keys() & {"path", "name"} else {"name": "tests.detectors.foreign.Net"}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return module_detector(**cast(Any, shape | by_default | settings))


def checkpoint(folder: Path, **settings: Any) -> Path:
    """A ConvNeXt of random weights with a folder's two or three files."""
    transformers = pytest.importorskip("transformers")
    sizes = {"depths": [1, 1], "hidden_sizes": [4, 8], "num_stages": 2, "patch_size": 2, "num_channels": 3}
    config = transformers.ConvNextConfig(**sizes, num_labels=2, image_size=8)
    torch.manual_seed(0)
    transformers.ConvNextForImageClassification(config).save_pretrained(folder)
    if settings:
        (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    for network in (Net, Alternation):
        torch.manual_seed(0)
        net = network().eval()
        scripted(net, folder / f"{network.__name__}.pt")
        exported(net, folder / f"{network.__name__}.pt2", torch.rand(4, 1, 8, 8))
    return folder


def images(n: int = 5) -> torch.Tensor:
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1


# --- the detector's logit is the network's --------------------------------------------------------------------------


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("which", ["Net", "Net.pt", "Net.pt2"])
def test_a_logit_is_the_networks_own(files, which, trainable):
    source = {"path": str(files / which)} if "." in which else {"name": "tests.detectors.foreign.Net"}
    detector = made(**source, trainable=trainable).eval()
    torch.manual_seed(0)
    torch.testing.assert_close(detector(images()), Net().eval()(images()))
    assert isinstance(detector, LearnedDetector if trainable else FittedDetector)
    assert detector.differentiable
    assert not (trainable and not detector.draws)  # type: ignore[union-attr]


def test_of_two_classes_the_log_odds_of_the_fakes():
    settings: dict[str, Any] = {"kwargs": {"classes": 2}}
    real, fake = made(**settings, fake=0).eval()(images()), made(**settings).eval()(images())
    torch.manual_seed(0)
    logits = Net(classes=2).eval()(images())
    torch.testing.assert_close(fake, torch.logit(logits.softmax(1)[:, 1]))
    torch.testing.assert_close(real, -fake)
    three = {"kwargs": {"classes": 3}, "fake": 2}
    torch.manual_seed(0)
    shares = Net(classes=3).eval()(images()).softmax(1)
    torch.testing.assert_close(made(**three).eval()(images()), torch.logit(shares[:, 2]))


def test_images_come_in_the_range_asked_for():
    detector = made(name="tests.detectors.foreign.Alternation", value_range=[0, 1], trainable=False)
    torch.testing.assert_close(detector(images()), Alternation()((images() + 1) / 2))


def test_weights_are_those_of_the_file(tmp_path):
    torch.manual_seed(5)
    other = Net()
    save_file(other.state_dict(), tmp_path / "other.safetensors")
    detector = made(weights=str(tmp_path / "other.safetensors")).eval()
    torch.testing.assert_close(detector(images()), other.eval()(images()))


# --- ONNX ------------------------------------------------------------------------------------------------------------


def test_an_onnx_file_gives_the_same_logit_and_has_no_gradient(tmp_path):
    pytest.importorskip("onnxruntime")
    detector = made(path=str(alternation_as_onnx(tmp_path / "net.onnx")), value_range=[0, 1], trainable=False)
    torch.testing.assert_close(detector(images()), Alternation()((images() + 1) / 2), atol=1e-5, rtol=1e-5)
    assert not detector.differentiable


def test_an_onnx_file_is_not_trained(tmp_path):
    with pytest.raises(ArenaError, match=r"^trainable=True: expected false of an ONNX file"):
        made(path=str(tmp_path / "net.onnx"))


def test_a_bad_onnx_file_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "net.onnx").write_bytes(b"nothing")
    if "onnxruntime" not in sys.modules:
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ArenaError, match=r"^path=.*net.onnx: expected (a file|the extra)") as error:
        made(path=str(tmp_path / "net.onnx"), trainable=False)
    assert "\n" not in str(error.value)


def test_without_the_extra_onnx(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ArenaError, match=r"expected the extra `onnx` to be installed"):
        made(path=str(alternation_as_onnx(tmp_path / "net.onnx")), trainable=False)


# --- a folder of the transformers library ----------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_a_checkpoint_preprocesses_as_its_folder_says(tmp_path, channels):
    transformers = pytest.importorskip("transformers")
    asked = {"size": {"height": 16, "width": 16}, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
    folder = checkpoint(tmp_path, **asked, do_resize=True, do_normalize=True, resample=3)
    detector = made(path=str(folder), channels=channels, trainable=False)
    network = transformers.ConvNextForImageClassification.from_pretrained(folder).eval()
    x = images().expand(-1, channels, -1, -1)
    pixels = (x.expand(-1, 3, -1, -1) + 1) / 2
    pixels = nn.functional.interpolate(pixels, size=(16, 16), mode="bicubic", antialias=True, align_corners=False)
    mean, deviation = (torch.tensor(asked[key]).view(3, 1, 1) for key in ("image_mean", "image_std"))
    with torch.no_grad():
        expected = network((pixels - mean) / deviation).logits
        torch.testing.assert_close(detector(x), expected[:, 1] - expected[:, 0])
    assert detector.differentiable


def test_a_checkpoint_without_a_processor_gets_the_range_and_its_own_size(tmp_path):
    transformers = pytest.importorskip("transformers")
    folder = checkpoint(tmp_path)
    detector = made(path=str(folder), channels=3, value_range=[0, 1]).eval()
    network = transformers.ConvNextForImageClassification.from_pretrained(folder).eval()
    x = images().expand(-1, 3, -1, -1)
    with torch.no_grad():
        expected = network((x + 1) / 2).logits
        torch.testing.assert_close(detector(x), expected[:, 1] - expected[:, 0])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"do_resize": False, "do_normalize": False}, (None, None, "bilinear", 1 / 255, (0.0,), (1.0,))),
        ({"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": 224, "image_mean": None},
         (256, 224, "bilinear", 1 / 255, (0.0,), (1.0,))),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, (256, 224, "bilinear", 1 / 255, (0.0,), (1.0,))),
        ({"size": 24, "resample": 3, "do_rescale": False}, (24, None, "bicubic", 1.0, (0.0,), (1.0,))),
    ],
)  # fmt: skip
def test_every_preprocessing_of_a_folder(asked, expected):
    assert Preparation.of(asked) == expected


def test_a_middle_is_cut_out():
    x = torch.zeros(1, 1, 8, 8)
    x[..., 2:6, 2:6] = 1
    cropped = Preparation.of({"do_resize": False, "do_center_crop": True, "crop_size": {"height": 4, "width": 4}})(x)
    torch.testing.assert_close(cropped, torch.ones(1, 1, 4, 4))


def test_weights_that_would_be_unpickled_are_refused(tmp_path):
    folder = checkpoint(tmp_path / "folder")
    torch.save({}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ArenaError, match=r"^path=.*: expected a folder with the config.json and model.safe"):
        made(path=str(folder), channels=3)


# --- what is saved ---------------------------------------------------------------------------------------------------


def test_a_trainable_network_is_saved_and_a_frozen_file_by_its_hash(files, tmp_path):
    names = {name for name, _ in Net().named_parameters()} | {name for name, _ in Net().named_buffers()}
    assert made().state_dict().keys() == {f"network.network.{name}" for name in names}
    frozen = made(path=str(files / "Net.pt2"), trainable=False)
    assert frozen.state_dict().keys() == {"network.fingerprint", "head.slope", "head.offset"}
    made(path=str(files / "Net.pt2"), trainable=False).load_state_dict(frozen.state_dict())
    torch.manual_seed(9)
    other = made(path=str(exported(Net(), tmp_path / "other.pt2", torch.rand(4, 1, 8, 8))), trainable=False)
    with pytest.raises(ArenaError, match=r"^path: expected the files this detector was trained with"):
        other.load_state_dict(frozen.state_dict())


@pytest.mark.parametrize("trainable", [True, False])
def test_tied_weights_survive_safetensors(trainable):
    settings: dict[str, Any] = {"name": "tests.detectors.foreign.Tied", "trainable": trainable}
    detector, other = made(**settings).eval(), made(**settings).eval()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
    other.load_state_dict(load(save(detector.state_dict())))
    torch.testing.assert_close(other(images()), detector(images()))
    assert isinstance(cast(Any, detector).network.network if trainable else Tied(), Tied)


# --- it learns, or is calibrated -------------------------------------------------------------------------------------


def judged(detector: Detector, learned: Examples, validation: Examples, test: Examples, images: int = 4800) -> float:
    train_all({"it": detector}, learned, validation, images)
    return auc(score(detector, test.images, EVIDENCE).numpy(), test.labels.numpy())


def test_a_network_from_another_package_learns_and_its_gradient_lowers_the_score():
    learned, validation, test = digits("cnn")
    detector, again = made(), made()
    assert judged(detector, learned, validation, test) > 0.9
    torch.manual_seed(99)  # no effect, in spite of its dropout
    judged(again, learned, validation, test)
    assert torch.equal(score(again, test.images, EVIDENCE), score(detector, test.images, EVIDENCE))
    fakes = test.images[test.labels == 1][:64]
    down, aside = drops(detector, fakes, EVIDENCE)
    assert (down > 0).float().mean() >= 0.95
    assert aside.mean() < down.mean() / 2


def test_a_frozen_network_keeps_its_order_and_gets_a_scale(files):
    learned, validation, test = digits("cnn")
    detector = made(path=str(files / "Alternation.pt"), value_range=[0, 1], trainable=False)
    with torch.no_grad():
        before = detector(EVIDENCE.as_seen(EVIDENCE.seen(test.images)))
    assert judged(detector, learned, validation, test) == pytest.approx(auc(before.numpy(), test.labels.numpy()))
    after = score(detector, test.images, EVIDENCE)
    assert torch.equal(after.argsort(stable=True), before.argsort(stable=True))
    loss = nn.functional.binary_cross_entropy_with_logits
    assert loss(after, test.labels.float()) < loss(before, test.labels.float())
    alone = torch.cat([score(detector, image, EVIDENCE) for image in test.images[:20].split(1)])
    torch.testing.assert_close(alone, after[:20], atol=1e-5, rtol=1e-5)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": None, "path": None}, "path=null: expected a file or folder, or null and a class in"),
        ({"name": "a.B", "path": "b.pt"}, "path=b.pt: expected .* not both"),
        ({"path": "b.pt", "weights": "w.safetensors"}, "weights=w.safetensors: expected null"),
        ({"kwargs": {"depth": 2}}, r"kwargs=.*cannot be built \(TypeError"),
        ({"weights": "no.safetensors"}, "weights=no.safetensors: expected safetensors of this network"),
        ({"channels": 3}, r"name=.*Net: expected logits .* of images \(3, 3, 8, 8\), got none"),
        ({"name": "tests.detectors.foreign.Maps"}, r"expected logits .*, found \(3, 8, 8\)"),
        ({"name": "torch.nn.LSTM", "kwargs": {"input_size": 8, "hidden_size": 3}}, "LSTM: expected logits"),
        ({"name": "tests.detectors.foreign.Endless"}, "Endless: expected logits, found values that are not finite"),
        ({"name": "tests.detectors.foreign.Ranked"}, "Ranked: expected a logit that is the image's own, found"),
        ({"name": "tests.detectors.foreign.Drawn"}, "Drawn: expected a logit that is the image's own, found"),
        ({"name": "tests.detectors.foreign.Alternation"}, "trainable=True: expected a network with param"),
        ({"kwargs": {"classes": 2}, "fake": 2}, "fake=2: expected one of 2 classes"),
        ({"value_range": [1, 0]}, r"value_range=\[1, 0\]: expected black and white"),
        ({"path": "nothing.pt2"}, "path=nothing.pt2: expected a program that torch can load"),
    ],
    ids=str,
)
def test_a_mistake_is_named(settings, message):
    with pytest.raises(ArenaError, match=message) as error:
        made(**settings)
    assert "\n" not in str(error.value)


def test_its_config_builds_it():
    node = OmegaConf.load(CONF / "detector" / "module.yaml")
    assert isinstance(node, DictConfig)
    node.name = "tests.detectors.foreign.Net"
    factory = instantiate(node, "battery.members.theirs", SHAPE)
    assert isinstance(factory(resolution=8, channels=1, levels=17), TrainableModuleDetector)
