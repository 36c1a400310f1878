import pytest
import torch

from arena.data.portraits.camera import Camera, demosaic, develop


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def flat(level, n=512, side=32):
    return torch.full((n, 3, side, side), level)


def test_noise_variance_grows_with_the_signal_as_photons_do():
    camera = Camera(16, pattern=0.0)
    for level in (0.05, 0.2, 0.6):
        raw = camera.expose(flat(level), rng())
        green = raw[:, 0, 0::2, 1::2]
        expected = (level * camera.full_well + camera.read_noise**2) / camera.full_well**2
        assert green.mean().item() == pytest.approx(level, rel=0.005)
        assert green.var().item() == pytest.approx(expected, rel=0.05)


def test_noise_is_white():
    raw = Camera(16, pattern=0.0).expose(flat(0.3), rng())[:, 0] - 0.3
    green = raw[:, 0::2, 1::2]
    assert abs((green[:, 1:] * green[:, :-1]).mean() / green.var()) < 0.02


def test_fixed_pattern_repeats_and_belongs_to_the_camera():
    def residual(camera, seed):
        return camera.expose(flat(0.5), rng(seed))[:, 0, 0::2, 1::2].mean(0).flatten()

    def correlation(a, b):
        return torch.corrcoef(torch.stack([a, b]))[0, 1].item()

    one, other = Camera(16, seed=1), Camera(16, seed=2)
    assert correlation(residual(one, 0), residual(one, 1)) > 0.95
    assert correlation(residual(one, 0), one.sensor_pattern()[0::2, 1::2].flatten()) > 0.95
    assert abs(correlation(residual(one, 0), residual(other, 0))) < 0.4  # 64 photosites: three standard errors


def test_optics_keep_the_light_and_have_the_declared_spread():
    camera = Camera(32, blur=0.65)
    assert torch.allclose(camera.focus(flat(0.4, 2, 64)), torch.tensor(0.4))
    point = torch.zeros(1, 3, 128, 128)
    point[..., 63:65, 63:65] = 1.0
    image = camera.focus(point)[0, 0]
    assert image.sum().item() == pytest.approx(4 / 16, rel=1e-4)
    place = torch.arange(32) - 15.5
    variance = (image.sum(0) / image.sum() * place**2).sum().item()
    # Point spread (cut off at two deviations), then a pixel of width 1 (1/12), and a source of width 1/2 (1/48).
    assert variance == pytest.approx(0.65**2 * 0.774 + 1 / 12 + 1 / 48, rel=0.08)


def test_demosaicing_keeps_measured_values_and_is_exact_on_grey_ramps():
    side = 12
    ramp = (torch.arange(side)[:, None] * 0.03 + torch.arange(side)[None, :] * 0.02)[None, None]
    colour = demosaic(ramp)
    assert torch.allclose(colour[..., 2:-2, 2:-2], ramp[..., 2:-2, 2:-2].expand(1, 3, -1, -1), atol=1e-5)
    raw = torch.rand(1, 1, side, side)
    colour = demosaic(raw)
    assert torch.equal(colour[:, 0, 0::2, 0::2], raw[:, 0, 0::2, 0::2])
    assert torch.equal(colour[:, 1, 0::2, 1::2], raw[:, 0, 0::2, 1::2])
    assert torch.equal(colour[:, 1, 1::2, 0::2], raw[:, 0, 1::2, 0::2])
    assert torch.equal(colour[:, 2, 1::2, 1::2], raw[:, 0, 1::2, 1::2])


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_each_colour_comes_back_in_its_own_channel(channel):
    light = torch.full((1, 3, 16, 16), 0.1)
    light[:, channel] = 0.7
    quiet = Camera(8, pattern=0.0, read_noise=0.0, full_well=1e9)
    photograph = quiet.photograph(light, rng())[0].float()
    assert photograph.mean((1, 2)).argmax() == channel
    assert photograph.std((1, 2)).max() <= 0.5  # flat light makes a flat photograph: white balance and filters agree


def test_transfer_curve_is_srgb():
    raw = torch.tensor([0.0, 0.002, 0.18, 0.5, 1.0]).repeat_interleave(64).view(5, 1, 8, 8)
    values = develop(raw, (1.0, 1.0))[:, :, 4, 4]
    # IEC 61966-2-1: 12.92 x below 0.0031308, else 1.055 x^(1/2.4) - 0.055; middle grey 0.18 is 118, one half 188.
    assert values.tolist() == [[v] * 3 for v in (0, 7, 118, 188, 255)]
