import pytest
from hydra.errors import HydraException
from omegaconf import OmegaConf

from arena.config.compose import compose_config, explanation, long_form
from arena.core.errors import ArenaError


def test_techniques_added_in_short_are_those_added_in_full():
    same = ["run_dir=r", "battery.members.npr.crop=32"]
    short = compose_config(["battery.add=[npr,paper/fft]", *same])
    full = compose_config(["+detector@battery.members.npr=npr", "+detector@battery.members.fft=paper/fft", *same])
    assert short == full
    assert OmegaConf.select(short, "battery.members.npr.crop") == 32
    assert list(short.battery.members) == ["cnn", "dct", "spectrum", "forest", "npr", "fft"]
    assert "add" not in short.battery


@pytest.mark.parametrize("value", ["npr", "", "[npr", "{npr:1}", "[npr],[fft]", "3"])
def test_only_a_list_of_techniques_can_be_added(value):
    with pytest.raises(ArenaError) as error:
        long_form([f"battery.add={value}"])
    assert str(error.value) == f"battery.add={value}: expected a list of detector configs, such as [npr,fft]"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("cnn", "techniques that the battery does not have yet, found cnn"),
        ("npr,dct", "techniques that the battery does not have yet, found dct"),
        ("npr,paper/npr", "techniques that the battery does not have yet, found npr"),
        ("npr,nope", "detectors among autoencoder, bayar, ..., zed, paper/bayar, ..., paper/wavelet, found nope"),
        ("paper/nope", "detectors among autoencoder, bayar, ..., zed, paper/bayar, ..., found paper/nope"),
    ],
)
def test_a_technique_that_cannot_be_added_is_named(names, expected):
    overrides = ["seed=1", f"battery.add=[{names}]", "run_dir=r"]
    with pytest.raises(HydraException) as error:
        compose_config(overrides)
    line = explanation(error.value, overrides)
    parts = f"battery.add=[{names}]: expected {expected}".split("...")
    assert line.startswith(parts[0])
    assert line.endswith(parts[-1])
    assert [part for part in parts if part not in line] == []
    assert "\n" not in line


def test_other_overrides_stay_as_they_are():
    overrides = ["seed=0,1", "battery.images=640", "-m", "data.path='a,b'"]
    assert long_form(overrides) == overrides
