"""``conf`` mirrors the package: every leaf composes, builds its part, and has the keys of its constructor."""

import contextlib
import dataclasses
import functools
import importlib
import inspect
import pkgutil
import tempfile
import typing
from pathlib import Path
from typing import Unpack, get_args, get_origin

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import get_class, get_object, instantiate
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from PIL import Image

import arena.data
import arena.detectors
import arena.generators
import arena.metrics.features
from arena.config.compose import CONF
from arena.config.schema import ArenaConfig, register
from arena.core.errors import DoesNotApply
from arena.data.reals import RealData
from arena.detectors.base import Detector
from arena.detectors.stack import Stack
from arena.generators.base import Generator
from arena.metrics.features.space import FeatureSpace

LEAVES = sorted(path.relative_to(CONF).with_suffix("").as_posix() for path in CONF.glob("*/*.yaml"))
IMAGES = {"resolution", "channels", "levels"}
"""What the data decides, and the race hands over."""
RACES = {"experiment", "ladder", "launcher"}
"""Groups that set others, and are no part of a race themselves."""
PLAIN = {field.name for field in dataclasses.fields(ArenaConfig) if dataclasses.is_dataclass(field.default_factory)}
"""Groups the race reads itself, typed by the schema; all others are parts with a target."""

READY = ("data/celeba", "data/cifar10", "data/ffhq")
"""Sets of the hub by name, whose config is another's with other values."""

CACHE = Path(tempfile.gettempdir()) / "arena-test-conf"
"""Outside the checkout; data sets written there are found again."""


@pytest.fixture(autouse=True)
def hydra():
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def leaves(*groups):
    return [leaf for leaf in LEAVES if leaf.split("/")[0] in groups]


@functools.cache
def race(*overrides):
    return compose("config", ["run_dir=run", f"cache_dir={CACHE}", *overrides])


@functools.cache
def node(leaf):
    """The leaf as it stands in a race."""
    group, option = leaf.split("/")
    return compose(leaf).detector if group == "detector" else race(f"{group}={option}")[group]


def parameters(target, needed=False):
    """The names of a constructor's parameters, or of those among them without a default."""
    found = set()
    for name, parameter in inspect.signature(target).parameters.items():
        if get_origin(parameter.annotation) is Unpack:
            (common,) = get_args(parameter.annotation)
            found |= set(common.__required_keys__ if needed else common.__annotations__)
        elif name != "self" and not (needed and parameter.default is not inspect.Parameter.empty):
            found.add(name)
    return found


def test_the_groups_are_those_of_the_schema():
    groups = {leaf.split("/")[0] for leaf in LEAVES} - {"detector", *RACES}
    assert groups <= {field.name for field in dataclasses.fields(ArenaConfig)}
    assert set(leaves("detector", "generator", "data")) != set()


@pytest.mark.slow
@pytest.mark.parametrize("leaf", [leaf for leaf in LEAVES if leaf.split("/")[0] not in PLAIN | RACES])
def test_a_part_is_built_with_exactly_the_keys_of_its_constructor(leaf, tmp_path):
    config = node(leaf)
    target = get_object(config._target_)
    partial = "_partial_" in config
    keys = {str(key) for key in config} - {"_target_", "_partial_"}
    decided = IMAGES | {"members"} if partial else set()
    known = parameters(target) - decided
    # A technique's leaf may leave to its paper variant what only that one changes.
    assert keys == known if "detector" not in leaf else parameters(target, needed=True) - decided <= keys <= known
    # What these configs leave open: the levels are the data's, the folder and the set of the hub are the user's.
    Image.new("L", (8, 8)).save(tmp_path / "image.png")
    is_open = {
        "evidence/lossless": {"levels": 17},
        "evidence/jpeg": {"levels": 17},
        "data/folder": {"path": str(tmp_path)},
        "generator/folder": {"path": str(tmp_path)},
        "generator/launder": {"path": str(tmp_path)},
        "generator/spectrum_corrected": {"path": str(tmp_path)},
        "generator/module": {
            "name": "torch.nn.Unflatten",
            "kwargs": {"dim": 1, "unflattened_size": (1, 8, 8)},
            "z_dim": 64,
        },
        "detector/module": {"name": "tests.detectors.foreign.Net"},
        "data/huggingface": {"name": "owner/set"},
        "features/dinov2": {"path": str(tmp_path)},
        "features/clip": {"path": str(tmp_path)},
        "features/inception": {"path": str(tmp_path)},
    }
    part = instantiate(config, _convert_="all", **is_open.get(leaf, {}))
    if leaf == "detector/bag":
        return
    if partial:
        part = part(members=3) if leaf == "detector/stack" else applied(part)
    assert part is None or isinstance(part, target if inspect.isclass(target) else (Generator, Detector))


def applied(factory):
    """What a factory makes for the digits, else for large colour images; None where it applies to neither."""
    for resolution, channels, levels in ((8, 1, 17), (64, 3, 256)):
        with contextlib.suppress(DoesNotApply):
            return factory(resolution=resolution, channels=channels, levels=levels)
    return None


@pytest.mark.slow
@pytest.mark.parametrize("leaf", leaves(*PLAIN))
def test_a_group_the_race_reads_itself_fits_its_schema(leaf):
    group, option = leaf.split("/")
    config = OmegaConf.to_object(race(f"{group}={option}"))
    assert isinstance(config, ArenaConfig)
    written = set(yaml.safe_load((CONF / f"{leaf}.yaml").read_text(encoding="utf-8"))) - {"defaults"}
    assert written <= {field.name for field in dataclasses.fields(getattr(config, group))}


@pytest.mark.slow
@pytest.mark.parametrize("leaf", leaves(*RACES))
def test_an_experiment_is_a_possible_race(leaf):
    assert isinstance(OmegaConf.to_object(race(leaf.replace("/", "="))), ArenaConfig)


def test_a_rung_of_the_ladder_is_its_generator_with_the_loss_of_its_year():
    losses = {"gan2014": "NonSaturating", "dcgan": "NonSaturating", "style": "Logistic", "r3gan": "Relativistic"}
    for rung, loss in losses.items():
        config = race(f"ladder={rung}")
        assert config.generator._target_ == node(f"generator/{rung}")._target_
        assert config.loss._target_.endswith(f".{loss}")
        assert config.loss.get("gamma") is None


@pytest.mark.slow
@pytest.mark.parametrize("leaf", leaves("battery"))
def test_a_battery_names_its_members_as_their_configs(leaf):
    battery = node(leaf)
    for name, member in battery.members.items():
        config = compose(f"detector/{name}").detector
        assert member._target_ == config._target_
        assert set(member) == set(config)  # a thin battery sets other sizes, and nothing of its own
    assert get_class(battery.stack._target_) is Stack


def test_sets_of_the_hub_by_name_are_its_config_with_other_values():
    for leaf in READY:
        assert node(leaf)._target_ == node("data/huggingface")._target_
        assert set(node(leaf)) == set(node("data/huggingface"))


@pytest.mark.parametrize("leaf", [leaf for leaf in leaves("detector", "generator", "data") if leaf not in READY])
def test_a_leaf_is_named_by_the_module_or_the_class_it_builds(leaf):
    group, option = leaf.split("/")
    target = node(leaf)._target_
    assert target.startswith({"data": "arena.data."}.get(group, f"arena.{group}s."))
    assert option.split("_")[0] in target.lower()


def classes_made_by(target):
    """A class makes itself; a function, what it says it returns."""
    maker = get_object(target)
    made = [maker] if inspect.isclass(maker) else typing.get_args(typing.get_type_hints(maker)["return"])
    return {f"{kind.__module__}.{kind.__name__}" for kind in made}


@pytest.mark.parametrize(
    ("package", "group", "kind"),
    [
        (arena.detectors, "detector", Detector),
        (arena.generators, "generator", Generator),
        (arena.data, "data", RealData),
        (arena.metrics.features, "features", FeatureSpace),
    ],
    ids=["detector", "generator", "data", "features"],
)
def test_every_class_there_is_has_a_leaf(package, group, kind):
    modules = [info.name for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    made = {
        f"{value.__module__}.{name}"
        for module in modules
        for name, value in inspect.getmembers(importlib.import_module(module), inspect.isclass)
        if issubclass(value, kind) and not inspect.isabstract(value) and value.__module__.startswith(package.__name__)
    }
    configured = {name for leaf in leaves(group) for name in classes_made_by(node(leaf)._target_)}
    configured |= {OmegaConf.load(variant)._target_ for variant in (CONF / group).glob("*/*.yaml")}
    no_techniques = (".LearnedDetector", ".NetworkDetector", ".RandomCritic")
    assert {name for name in made if not name.endswith(no_techniques)} <= configured


@pytest.mark.parametrize("battery", ["small", "learned", "all"])
def test_the_published_size_takes_the_place_of_the_small_one(battery):
    chosen = race(f"battery={battery}", "detector@battery.members.cnn=paper/cnn").battery.members.cnn
    published = OmegaConf.load(CONF / "detector/paper/cnn.yaml")
    assert chosen == OmegaConf.merge(published, {"mirror": False})  # that of the digits
    assert OmegaConf.select(race(f"battery={battery}", "data=portraits"), "battery.members.cnn.mirror") is True


@pytest.mark.parametrize("group", sorted({leaf.split("/")[0] for leaf in LEAVES} - {"detector", *RACES}))
def test_a_mistyped_key_fails_in_every_group(group):
    with pytest.raises(OmegaConfBaseException, match=f"{group}.mistyped"):
        OmegaConf.update(race(), f"{group}.mistyped", 1)


def test_a_folder_without_a_path_is_named():
    with pytest.raises(InstantiationException) as error:
        instantiate(race("data=folder").data, _convert_="all")
    assert str(error.value.__cause__).startswith("data.path=")
