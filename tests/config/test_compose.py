import pytest
from omegaconf import OmegaConf

from arena.config.compose import long_form
from arena.core.errors import ArenaError
from tests.building import composed


def test_techniques_added_in_short_are_those_added_in_full():
    short = composed("battery.add=[npr,paper/fft]", "run_dir=r", "battery.members.npr.crop=32")
    full = composed(
        "+detector@battery.members.npr=npr",
        "+detector@battery.members.fft=paper/fft",
        "run_dir=r",
        "battery.members.npr.crop=32",
    )
    assert short == full
    assert OmegaConf.select(short, "battery.members.npr.crop") == 32
    assert list(short.battery.members) == ["cnn", "dct", "spectrum", "forest", "npr", "fft"]
    assert "add" not in short.battery


@pytest.mark.parametrize("value", ["npr", "", "[npr", "{npr:1}", "[npr],[fft]", "3"])
def test_only_a_list_of_techniques_can_be_added(value):
    with pytest.raises(ArenaError) as error:
        long_form([f"battery.add={value}"])
    assert str(error.value) == f"battery.add={value}: expected a list of detector configs, such as [npr,fft]"


def test_other_overrides_stay_as_they_are():
    overrides = ["seed=0,1", "battery.images=640", "-m", "data.path='a,b'"]
    assert long_form(overrides) == overrides
