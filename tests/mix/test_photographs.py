import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from arena.core.errors import ArenaError
from arena.generators.style import StyleGenerator
from arena.mix.generator import load_style_generator
from arena.mix.photographs import Projection, Projector, Space, mix_photographs, pyramid_distance
from arena.race.checkpoints import load_generator
from tests.building import command, untrained_style_generator

pytestmark = pytest.mark.slow

# The generator of a run.


def test_the_generator_is_the_one_that_forged_the_banks(finished):
    for wanted, round_index in ((None, finished.rounds), (1, 1)):
        generator, loaded = load_style_generator(finished.run, wanted)
        assert loaded == round_index
        expected = load_generator(finished, round_index).state_dict()
        for name, values in generator.state_dict().items():
            assert torch.equal(values, expected[name]), name
        assert not generator.training
        assert not any(parameter.requires_grad for parameter in generator.parameters())


def altered(run, tmp_path, **nodes):
    """Copy a run with other nodes in its config, and without its checkpoints."""
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints", "scores"))
    path = tmp_path / "run" / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | nodes))
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ({"generator": {"_target_": "arena.generators.controls.Oracle"}}, "generator=Oracle: expected StyleGenerator"),
        ({"generator": {"_target_": "no.such.thing"}}, "no.such.thing is code from outside of arena"),
        ({"generator": None}, "expected the name of a class that can be imported"),
        ({}, "expected checkpoints of a generator, found none"),
    ],
)
def test_runs_without_a_style_generator_are_refused(finished, tmp_path, nodes, message):
    with pytest.raises(ArenaError, match=message):
        load_style_generator(altered(finished.run, tmp_path, **nodes))


# The projector.


@pytest.fixture(scope="module")
def generator() -> StyleGenerator:
    return untrained_style_generator()


@pytest.fixture(scope="module")
def targets(generator) -> torch.Tensor:
    """Images of known codes."""
    z = torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(7))
    return generator.images_of(generator.mapping(z), "frozen")


@pytest.fixture(scope="module")
def projections(generator, targets) -> tuple[Projector, Projection, Projection]:
    projector = Projector(generator, steps=60, seed=0)
    in_w = projector.project_to_w(targets)
    return projector, in_w, projector.project_to_w_plus(targets, in_w)


def test_the_distance_is_0_for_equal_images_and_notices_every_scale():
    image = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert pyramid_distance(image, image) == 0
    checks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 8)
    for change in (torch.full((16, 16), 0.1), 0.1 * checks, 0.1 * checks.repeat_interleave(4, 0)[:16].T):
        # The mean square of each is 0.01; its level of the pyramid adds about its amplitude.
        assert 0.06 < pyramid_distance(image + change, image) < 0.3


def test_the_distances_of_images_are_independent():
    a, b = torch.rand(2, 3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    each = torch.cat([pyramid_distance(a[k : k + 1], b[k : k + 1]) for k in range(3)])
    torch.testing.assert_close(pyramid_distance(a, b), each)


def test_the_code_of_a_generated_image_is_recovered(projections, targets):
    projector, in_w, in_w_plus = projections
    start = projector.distance(projector.mean.expand(2, -1), targets)
    assert (in_w.distance < 0.1 * start).all()
    assert (in_w_plus.distance <= 1.001 * in_w.distance).all()  # equal codes round differently in W+
    assert in_w.code.shape == (2, 6)
    assert in_w_plus.code.shape == (2, projector.generator.n_styles, 6)
    for projection in (in_w, in_w_plus):
        again = pyramid_distance(projector.generator.images_of(projection.code, "frozen"), targets)
        torch.testing.assert_close(projection.distance, again)


def test_w_plus_represents_images_that_w_cannot(generator):
    """The target has the styles of two images, which has a code in W+ and in general none in W."""
    w = generator.mapping(torch.randn(2, 6, generator=torch.Generator().manual_seed(9)))
    mixed = w[[0] * 3 + [1] * (generator.n_styles - 3)][None]
    target = generator.images_of(mixed, "frozen")
    projector = Projector(generator, steps=60, seed=0)
    in_w = projector.project_to_w(target)
    in_w_plus = projector.project_to_w_plus(target, in_w)
    assert in_w_plus.distance < 0.8 * in_w.distance
    assert 0 < in_w_plus.offset < 1


def test_the_seed_decides_and_images_do_not_affect_each_other(generator, targets):
    codes = [Projector(generator, steps=8, seed=seed).project_to_w(targets).code for seed in (0, 0, 1)]
    assert torch.equal(codes[0], codes[1])
    assert not torch.equal(codes[0], codes[2])
    alone = Projector(generator, steps=8, seed=0).project_to_w(targets[1:]).code
    torch.testing.assert_close(alone, codes[0][1:], rtol=1e-3, atol=1e-3)


# Photographs and a run.


@pytest.fixture
def photographs(tmp_path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / "Ada.png", tmp_path / "Bo.jpg"]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
    return paths


def test_two_photographs_are_projected_and_mixed(finished, photographs, tmp_path):
    cases: list[tuple[str, Space]] = [("one", "w"), ("two", "w+"), ("again", "w+")]
    contents = []
    for folder, space in cases:
        written = mix_photographs(finished.run, photographs, round_index=1, steps=4, space=space, out=tmp_path / folder)
        assert {path.name for path in written} == {"Ada_Bo.png", "Ada_Bo.pdf", "Ada_Bo.json"}
        facts = json.loads((tmp_path / folder / "Ada_Bo.json").read_text())
        assert (facts["round"], facts["space"], facts["steps"]) == (1, space, 4)
        assert [row["file"] for row in facts["photographs"]] == ["Ada.png", "Bo.jpg"]
        assert all(0 < row["w_plus"] <= 1.001 * row["w"] for row in facts["photographs"])
        with Image.open(tmp_path / folder / "Ada_Bo.png") as picture:
            assert picture.width > 6 * 8
        contents.append([path.read_bytes() for path in written])
    assert contents[0] != contents[1] == contents[2]


@pytest.mark.parametrize(
    ("names", "settings", "message"),
    [
        (("Ada.png",), {}, "photographs: expected two, found 1"),
        (("Ada.png", "none.png"), {}, r"none.png: expected an image \(no such file\)"),
        (("Ada.png", "text.png"), {}, r"text.png: expected an image \(no image\)"),
        (("Ada.png", "Bo.jpg"), {"round_index": 9}, r"--round=9: expected a round of .*, which has 0 to 2"),
        (("Ada.png", "Bo.jpg"), {"steps": 0}, "--steps=0: expected at least 1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(finished, photographs, tmp_path, names, settings, message):
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ArenaError, match=message):
        mix_photographs(finished.run, [tmp_path / name for name in names], **settings)
    assert not (finished.run / "mixing").exists()


def test_the_command_names_its_files_and_its_errors(finished, photographs, tmp_path, capsys):
    main, files = command("mix"), [str(path) for path in photographs]
    # Options may stand before, between and after the arguments.
    assert main(["--steps", "2", str(finished.run), files[0], "--out", str(tmp_path / "out"), files[1]]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert all(path.name in printed for path in (tmp_path / "out").iterdir())
    for arguments, message in ((files[:1], "expected two, found 1"), ([files[0], "--attributes"], "no photographs")):
        assert main([str(finished.run), *arguments]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert message in captured.err
