"""With encoders of random weights, saved as the library saves them."""

import functools
import sys

import pytest
import torch
from torch import Tensor

from arena.core.errors import ArenaError, DoesNotApply
from arena.detectors.gallery import score
from arena.detectors.heads import Neighbours, Ridge
from arena.detectors.techniques.probe import Probe
from arena.imaging.evidence import Evidence
from arena.metrics.auc import auc
from tests.detectors.planted import PLANTED, digits, drops, noise, train_all
from tests.encoders import clip, dinov2

transformers = pytest.importorskip("transformers")
EVIDENCE = Evidence(levels=17)


def probe(path: str | None, channels: int = 1, head: object = Ridge) -> Probe:
    return Probe(resolution=8, channels=channels, levels=17, path=path, head=head)  # type: ignore[arg-type]


def images(n: int = 3, channels: int = 1) -> Tensor:
    return noise(n, channels, 8, 8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("make", [clip, dinov2])
def test_features_are_the_librarys_own_of_resized_images(make, channels, tmp_path):
    path, x = make(tmp_path), images(channels=channels)
    kind, side, output = (
        (transformers.CLIPVisionModelWithProjection, 16, "image_embeds")
        if make is clip
        else (transformers.Dinov2Model, 224, "pooler_output")
    )
    clips = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
    imagenets = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in (clips if make is clip else imagenets))
    pixels = torch.nn.functional.interpolate(
        (x.expand(-1, 3, -1, -1) + 1) / 2, size=(side, side), mode="bicubic", antialias=True
    )
    with torch.no_grad():
        expected = getattr(kind.from_pretrained(path).eval()((pixels.clamp(0, 1) - mean) / deviation), output)
        torch.testing.assert_close(probe(path, channels).features(x), expected, atol=1e-4, rtol=1e-4)


def test_the_encoder_is_loaded_once_and_not_saved(tmp_path):
    detector = probe(clip(tmp_path))
    assert not list(detector.parameters())
    assert detector.state_dict().keys() == {"encoder.fingerprint", "head.weight", "head.bias"}
    assert probe(str(tmp_path)).encoder.held[0] is detector.encoder.held[0]  # one for all judges


def test_another_encoder_under_the_same_key_is_refused(tmp_path):
    first, second = probe(clip(tmp_path / "a")), probe(clip(tmp_path / "b", seed=1))
    probe(clip(tmp_path / "c")).load_state_dict(first.state_dict())  # the same under another path
    with pytest.raises(ArenaError, match=r"^path: expected the files this detector was trained"):
        second.load_state_dict(first.state_dict())


@pytest.mark.parametrize("head", [Ridge, functools.partial(Neighbours, neighbours=5)])
def test_it_learns_and_its_gradient_lowers_the_score(head, tmp_path):
    learned, validation, test = digits("cnn")
    detector = probe(clip(tmp_path), head=head)
    train_all({"it": detector}, learned, validation)
    scores = score(detector, test.images, EVIDENCE)
    assert auc(scores.numpy(), test.labels.numpy()) > (0.9 if head is Ridge else 0.6), PLANTED
    alone = torch.cat([score(detector, image, EVIDENCE) for image in test.images[:10].split(1)])
    torch.testing.assert_close(alone, scores[:10], atol=1e-4, rtol=1e-4)
    down, aside = drops(detector, test.images[test.labels == 1][:64], EVIDENCE)
    assert (down > 0).float().mean() >= 0.95
    assert aside.mean() < down.mean() / 2


def test_without_a_path_it_does_not_apply():
    with pytest.raises(DoesNotApply, match=r"^needs CLIP or DINOv2 weights from a local folder \(path\)"):
        probe(None)


@pytest.mark.parametrize("other", ["missing", "empty", "of another network", "pickled"])
def test_bad_paths_are_one_line(other, tmp_path):
    path = tmp_path / "weights"
    if other != "missing":
        path.mkdir()
    if other == "of another network":
        config = transformers.ResNetConfig(embedding_size=4, hidden_sizes=[4], depths=[1])
        transformers.ResNetModel(config).save_pretrained(path)
    if other == "pickled":
        clip(path)
        torch.save({}, path / "pytorch_model.bin")
        (path / "model.safetensors").unlink()
    with pytest.raises(ArenaError, match=r"^path=.*: expected a folder with the config.json") as e:
        probe(str(path))
    assert "\n" not in str(e.value)


def test_without_the_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ArenaError, match=r"^path=.*: expected the extra `features`"):
        probe(str(tmp_path))
