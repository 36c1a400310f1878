import copy
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from safetensors.torch import load, save, save_file
from torch import nn

from arena.core.errors import ArenaError
from arena.data.reals import Reals
from arena.generators.base import TrainableGenerator
from arena.generators.module import ModuleGenerator, TrainableModuleGenerator, module_generator
from arena.generators.style import ResidualDiscriminator
from arena.race.phases.fakes import forge
from arena.race.phases.generator import warm_up
from tests.building import carry_out_phases, tiny_arena
from tests.generators.foreign import Z_DIM, Net, Noisy, Tied
from tests.outside.test_programs import exported, scripted
from tests.training.test_gan import build, differing, fit, weights

pytestmark = pytest.mark.slow

COUNTS = {"train": 3, "test": 5}
NO_REALS = Reals(torch.empty(0, 1, 8, 8, dtype=torch.uint8), np.empty(0, np.int64))


def made(**settings: Any) -> ModuleGenerator | TrainableModuleGenerator:
    shape = {"resolution": 8, "channels": 1, "levels": 17, "z_dim": Z_DIM}
    by_default = {} if settings.keys() & {"path", "name"} else {"name": "tests.generators.foreign.Net"}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return module_generator(**cast(Any, shape | by_default | settings))


def trained(**settings: Any) -> TrainableModuleGenerator:
    generator = made(trainable=True, **settings)
    assert isinstance(generator, TrainableModuleGenerator)
    return generator


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save the foreign networks as programs."""
    folder = tmp_path_factory.mktemp("programs")
    torch.manual_seed(0)
    for network in (Net, Tied, Noisy):
        scripted(network().eval(), folder / f"{network.__name__}.pt")
    for network in (Net, Tied):  # the graph of a program may not write into its images, as Noisy does
        exported(network().eval(), folder / f"{network.__name__}.pt2")
    return folder


ANY = ("Net", "Tied", "Noisy", "Net.pt", "Tied.pt", "Noisy.pt", "Net.pt2", "Tied.pt2")


def source(files: Path, which: str) -> dict[str, str]:
    """Return the settings that name a class or a file."""
    return {"path": str(files / which)} if "." in which else {"name": f"tests.generators.foreign.{which}"}


# Examined.


@pytest.mark.parametrize("which", ANY)
def test_each_bank_has_a_random_stream_of_its_own(files, which):
    generator = made(**source(files, which))
    assert isinstance(generator, ModuleGenerator)
    assert not isinstance(generator, TrainableGenerator)
    banks = generator.forge(COUNTS, 1, NO_REALS)
    assert {name: bank.shape for name, bank in banks.items()} == {"train": (3, 1, 8, 8), "test": (5, 1, 8, 8)}
    torch.manual_seed(99)  # of no consequence
    assert torch.equal(banks["test"], generator.forge({"other": 2, "test": 5}, 1, NO_REALS)["test"])
    assert not torch.equal(banks["test"], generator.forge(COUNTS, 2, NO_REALS)["test"])
    assert not torch.equal(banks["test"][:3], banks["train"])
    assert len(banks["test"].flatten(1).unique(dim=0)) == 5


def test_images_are_made_in_eval_mode():
    generator = made()
    z = torch.randn(5, Z_DIM, generator=torch.Generator().manual_seed(3))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Net().eval()
    assert isinstance(generator, ModuleGenerator)
    torch.testing.assert_close(generator.network(z), network(z))
    assert not any(part.training for part in generator.network.modules())
    generator.train()
    generator.forge(COUNTS, 1, NO_REALS)
    assert not any("num_batches" in name and value for name, value in generator.state_dict().items())


def test_noise_differs_between_batches_and_the_global_stream_is_kept(monkeypatch):
    monkeypatch.setattr("arena.generators.base.FORGE_BATCH", 2)
    torch.manual_seed(7)
    state = torch.get_rng_state()
    bank = made(name="tests.generators.foreign.Noisy").forge({"test": 6}, 1, NO_REALS)["test"]
    assert torch.equal(torch.get_rng_state(), state)
    assert len(bank[:, 0, 0, 1].unique()) == 6  # no two batches alike


def test_the_range_of_the_images_is_mapped_to_black_and_white():
    with pytest.raises(ArenaError, match=r"generator.value_range=\[-1, 1\]: expected the range of its images"):
        made(name="tests.generators.foreign.Bright")
    bright = made(name="tests.generators.foreign.Bright", value_range=[0, 255])
    z = torch.tensor([[-20.0], [0.0], [20.0]]).expand(-1, Z_DIM)
    assert isinstance(bright, ModuleGenerator)
    torch.testing.assert_close(bright.network(z)[:, 0, 0, 0], torch.tensor([-1.0, 0.0, 1.0]))


def test_weights_are_those_of_the_file(tmp_path):
    torch.manual_seed(5)
    other = Net(width=3)
    save_file(other.state_dict(), tmp_path / "other.safetensors")
    settings = {"kwargs": {"width": 3}, "weights": str(tmp_path / "other.safetensors")}
    generator = made(**settings)
    assert isinstance(generator, ModuleGenerator)
    z = torch.randn(4, Z_DIM)
    torch.testing.assert_close(generator.network(z), other.eval()(z))
    with pytest.raises(ArenaError, match=r"generator.weights=.*other.safetensors: expected safetensors of this"):
        made(weights=settings["weights"])


# Trained.


@pytest.mark.parametrize("which", ANY)
def test_a_copy_shares_no_memory_and_the_state_survives_safetensors(files, which):
    generator = trained(**source(files, which))
    average = copy.deepcopy(generator).eval().requires_grad_(False)
    assert len(list(average.parameters())) == len(list(generator.parameters()))
    written = save({name: value.contiguous() for name, value in generator.state_dict().items()})
    before = average.state_dict()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(1)
    assert differing(before, average.state_dict()) == set()
    generator.load_state_dict(load(written))
    assert differing(before, generator.state_dict()) == set()


@pytest.mark.parametrize(
    ("which", "precision"), [*((which, "bf16") for which in ANY), ("Net", "fp32"), ("Net.pt", "fp32")]
)
def test_it_learns_and_resumes_from_a_saved_state(files, which, precision, tmp_path):
    def new():
        return build(lambda **_: trained(**source(files, which)))

    whole, first, second = new(), new(), new()
    start = weights(whole)
    fit(whole, 0, 4, precision)
    learned = differing(start, weights(whole))
    for name, parameter in whole.generator.named_parameters():
        assert f"generator.{name}" in learned or parameter.grad is None, name
        assert f"ema.{name}" in learned or parameter.grad is None, name
    assert any(name.startswith("generator.") for name in learned)
    fit(first, 0, 2, precision)
    first.save(tmp_path / "saved")
    second.load(tmp_path / "saved")
    fit(second, 2, 4, precision)
    assert differing(weights(whole), weights(second)) == set()


def test_it_is_trained_with_a_residual_discriminator_of_the_given_width():
    discriminator = trained(discriminator_width=24).discriminator(16)
    assert isinstance(discriminator, ResidualDiscriminator)
    assert discriminator.logit.weight.shape == (1, 24)
    assert discriminator(torch.zeros(2, 1, 16, 16)).shape == (2,)


def test_batch_normalisation_is_trained_and_kept():
    generator = trained()
    generator.train()(torch.randn(8, Z_DIM), torch.Generator())
    assert {name: int(value) for name, value in generator.state_dict().items() if "num_batches" in name} == {
        "network.layers.1.num_batches_tracked": 1
    }


# In a race.


def test_other_weights_under_the_same_name_mean_another_warm_up_and_another_race(tmp_path):
    file, net = tmp_path / "weights.safetensors", "generator.name=tests.generators.foreign.Net"
    overrides = (
        net,
        f"generator.z_dim={Z_DIM}",
        "generator.trainable=true",
        f"generator.weights={file}",
        "access=none",
    )
    for run, filling in (("one", 0.5), ("two", 0.5), ("three", 1.5)):
        save_file({name: torch.full_like(value, filling) for name, value in Net().state_dict().items()}, file)
        race = tiny_arena(tmp_path / run, *overrides, "schedule.warm_up_images=16", generator="module")
        carry_out_phases(race, (warm_up, 0, "generator"), (forge, 0, "generator"))
    assert len(list((tmp_path / "cache" / "warm_up").glob("*/done"))) == 2
    assert "fingerprint: " in (tmp_path / "one" / "config.yaml").read_text()
    with pytest.raises(ArenaError, match=r"expected this race or none, found another, with fingerprint="):
        tiny_arena(tmp_path / "one", *overrides, "schedule.warm_up_images=16", generator="module")


def test_the_fingerprint_depends_on_code_and_weights(tmp_path):
    assert made().fingerprint() == made(z_dim=Z_DIM).fingerprint() != ""
    save_file(Net().state_dict(), tmp_path / "a.safetensors")
    assert made(weights=str(tmp_path / "a.safetensors")).fingerprint() != made().fingerprint()
    program = scripted(Net(), tmp_path / "net.pt")
    before = made(path=str(program)).fingerprint()
    torch.manual_seed(1)
    scripted(Net(), program)
    assert made(path=str(program)).fingerprint() != before


# Refusals.


def fixed(folder: Path) -> Path:
    """Save a program for batches of exactly four z."""
    torch.export.save(torch.export.export(Net().eval(), (torch.randn(4, Z_DIM),)), folder / "fixed.pt2")
    return folder / "fixed.pt2"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": None, "path": None}, "generator.path=null: expected a program file, or null and a class in"),
        ({"name": "a.B", "path": "b.pt"}, "generator.path=b.pt: expected .* not both"),
        ({"z_dim": None}, "generator.z_dim=null: expected the size of the network's input z"),
        ({"z_dim": 7}, "generator.name=.*Net: expected images of any number of z of generator.z_dim=7, got none of 1"),
        ({"channels": 3}, r"Net: expected images \(1, 3, 8, 8\) like the data's, found \(1, 1, 8, 8\)"),
        ({"resolution": 16}, r"Net: expected images \(1, 1, 16, 16\) like the data's, found \(1, 1, 8, 8\)"),
        ({"name": "torch.nn.LSTM", "kwargs": {"input_size": Z_DIM, "hidden_size": 3}}, "LSTM: .* found tuple"),
        ({"name": "tests.generators.foreign.Broken"}, "Broken: expected images, found values that are not finite"),
        ({"value_range": [1, 0]}, r"generator.value_range=\[1, 0\]: expected black and white"),
        ({"value_range": [1]}, r"generator.value_range=\[1\]: expected black and white"),
        (
            {"name": "tests.generators.foreign.Bright", "trainable": True},
            "generator.trainable=True: expected a network",
        ),
    ],
    ids=str,
)
def test_a_mistake_is_named(settings, message):
    with pytest.raises(ArenaError, match=message) as error:
        made(**settings)
    assert "\n" not in str(error.value)


def test_a_program_for_a_fixed_batch_size_is_named(tmp_path):
    with pytest.raises(ArenaError, match=r"fixed.pt2: expected images of any number of z of generator.z_dim=6, got"):
        made(path=str(fixed(tmp_path)))


def test_traced_noise_is_drawn_from_the_stream_too(tmp_path):
    class Traced(nn.Module):
        def forward(self, z):
            return torch.rand(z.shape[0], 1, 8, 8) + 0 * z[:, :1, None, None]

    generator = made(path=str(exported(Traced(), tmp_path / "noise.pt2")))  # type: ignore[arg-type]
    banks = [generator.forge({"test": 2}, seed, NO_REALS)["test"] for seed in (1, 1, 2)]
    assert torch.equal(banks[0], banks[1])
    assert not torch.equal(banks[0], banks[2])
