import pytest
import torch
import torch.nn.functional as F

from arena.detectors.techniques.patch import Patch, logit_of_mean
from tests.detectors.planted import build_a


def test_the_score_is_the_logit_of_the_mean_probability():
    logits = torch.randn(5, 49, generator=torch.Generator().manual_seed(0)) * 3
    expected = logits.double().sigmoid().mean(1).logit()
    torch.testing.assert_close(logit_of_mean(logits).double(), expected, rtol=1e-4, atol=1e-4)
    assert (logit_of_mean(logits) - logits.mean(1)).abs().max() > 0.1


@pytest.mark.parametrize("value", [-1e4, -100.0, 0.0, 100.0, 1e4])
def test_it_is_safe_where_every_probability_rounds(value):
    logits = torch.full((1, 9), value).requires_grad_()
    logit = logit_of_mean(logits)
    torch.testing.assert_close(logit, torch.tensor([value]), rtol=1e-5, atol=1e-5)
    (gradient,) = torch.autograd.grad(logit.sum(), logits)
    torch.testing.assert_close(gradient, torch.full((1, 9), 1 / 9), rtol=1e-3, atol=1e-5)


def test_a_place_sees_twelve_pixels():
    detector = build_a(Patch, "patch", 32, 3, 256).eval()
    images = torch.rand(1, 3, 32, 32).requires_grad_()
    verdicts = detector.verdicts(images)
    assert verdicts.shape == (1, 16 * 16)
    (gradient,) = torch.autograd.grad(verdicts[0, 8 * 16 + 8], images)
    rows, columns = gradient[0].abs().sum(0).nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (11, 22, 11, 22)


def test_every_place_is_trained_on_the_label_of_its_image():
    detector = build_a(Patch, "patch", 16, 3, 256).eval()
    images, labels = torch.rand(4, 3, 16, 16), torch.tensor([0.0, 1.0, 1.0, 0.0])
    verdicts = detector.verdicts(images)
    expected = sum(F.binary_cross_entropy_with_logits(verdicts[:, k], labels) for k in range(64)) / 64
    torch.testing.assert_close(detector.loss(images, labels), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert detector.loss(images, labels).dtype == torch.float32
        assert detector(images).dtype == torch.float32


def test_at_its_published_size_it_is_a_resnet_18_up_to_its_first_stage():
    pytest.importorskip("transformers")
    with torch.device("meta"):
        detector = build_a(Patch, "paper/patch", 299, 3, 256)
        places = detector.verdicts(torch.zeros(2, 3, 299, 299)).shape
    stem, stage = 3 * 64 * 49 + 2 * 64, 4 * (64 * 64 * 9 + 2 * 64)
    assert sum(parameter.numel() for parameter in detector.parameters()) == stem + stage + 64 + 1
    assert places == (2, 75 * 75)
