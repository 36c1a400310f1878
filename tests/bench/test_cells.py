import pytest

from arena.bench.cells import cells, new_generator, trainable
from arena.bench.settings import Settings
from arena.bench.textbook import TextbookGenerator
from arena.core.errors import ArenaError
from arena.generators.base import TrainableGenerator

SMALL = Settings(seconds=0.01, resolution=8, batch=4, width=8)


def test_generators_are_those_of_conf_that_train_and_need_nothing_more():
    names = trainable(SMALL)
    assert {"dcgan", "gan2014", "r3gan", "style"} <= set(names)
    assert not {"oracle", "copycat", "planted", "folder", "module"} & set(names)


def test_each_generator_is_trained_in_both_precisions_and_sampled_beside_the_textbook():
    rows = [str(cell) for cell in cells(SMALL)]
    assert len(set(rows)) == len(rows)
    assert rows[0] == "training textbook fp32"
    for name in trainable(SMALL):
        assert {f"training {name} fp32", f"training {name} bf16", f"sampling {name} fp32"} <= set(rows)
    for variant in ("lightning", "contiguous", "compiled", "relativistic"):
        assert {f"training style fp32 {variant}", f"training style bf16 {variant}"} <= set(rows)
    assert {"sampling textbook fp32", "rendering portraits fp32"} <= set(rows)


def test_portraits_are_left_out_where_there_are_none_so_large():
    assert "portraits" not in {cell.name for cell in cells(Settings(resolution=256, width=8))}


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ("portraits", {"rendering portraits fp32"}),
        ("textbook", {"training textbook fp32", "sampling textbook fp32"}),
        (
            "dcgan",
            {"training textbook fp32", "training dcgan fp32", "training dcgan bf16"}
            | {"sampling textbook fp32", "sampling dcgan fp32"},
        ),
    ],
)
def test_only_one_beside_the_textbook_of_the_same_work(only, expected):
    assert {str(cell) for cell in cells(SMALL, only)} == expected


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(ArenaError, match=r"--only=stlye: expected one of textbook, .*style.*portraits"):
        cells(SMALL, "stlye")


def test_the_textbook_and_style_have_the_width_asked_for_and_others_their_own():
    wide, narrow = Settings(resolution=8, width=24), SMALL
    ours, theirs = new_generator("style", wide), new_generator("textbook", wide)
    assert isinstance(theirs, TextbookGenerator)
    assert isinstance(ours, TrainableGenerator)
    assert (theirs.z_dim, len(theirs.mapping)) == (ours.z_dim, 2)
    sizes = [
        sum(p.numel() for p in new_generator(name, settings).parameters())
        for name in ("style", "textbook", "r3gan")
        for settings in (wide, narrow)
    ]
    assert sizes[0] > sizes[1]
    assert sizes[2] > sizes[3]
    assert sizes[4] == sizes[5]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"seconds": 0}, "--seconds=0: expected above 0"),
        ({"resolution": 24}, "--resolution=24: expected a power of two"),
        ({"resolution": 4}, "--resolution=4: expected a power of two from 8"),
        ({"batch": 1}, "--batch=1: expected at least 2"),
        ({"width": 0}, "--width=0: expected at least 1"),
    ],
)
def test_impossible_settings_name_their_option(settings, said):
    with pytest.raises(ArenaError) as error:
        Settings(**settings)
    assert said in str(error.value)
