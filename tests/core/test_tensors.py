"""Weights are read whole and finite, or refused in one line that names the file."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from arena.core.errors import ArenaError
from arena.core.tensors import load_module, load_tensors, save_module, save_tensors


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def test_weights_come_back(tmp_path):
    first, second = network(), network()
    save_module(first, tmp_path / "w.safetensors")
    load_module(second, tmp_path / "w.safetensors")
    for one, two in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(one, two)


def test_equal_tensors_make_equal_files_in_any_layout(tmp_path):
    weights = torch.randn(4, 3, 3, 3)
    save_tensors({"w": weights}, tmp_path / "a")
    save_tensors({"w": weights.to(memory_format=torch.channels_last).requires_grad_()}, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    module = network()
    with torch.no_grad():
        module.get_parameter("0.weight")[1, 2] = value
    save_module(module, tmp_path / "w")
    with pytest.raises(ArenaError, match=r"w: 0\.weight: expected finite weights"):
        load_module(network(), tmp_path / "w")
    with pytest.raises(ArenaError, match=r"^generator\.weights=w: 0\.weight"):
        load_tensors(tmp_path / "w", "generator.weights=w")


def test_weights_of_another_network_are_refused(tmp_path):
    save_module(nn.Linear(4, 2), tmp_path / "w")
    with pytest.raises(ArenaError, match="expected safetensors of this network") as error:
        load_module(network(), tmp_path / "w")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "text"])
def test_other_files_are_refused(tmp_path, kind):
    path = tmp_path / kind
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_text("" if kind == "empty" else "no weights")
    with pytest.raises(ArenaError, match=f"{kind}: expected safetensors"):
        load_tensors(path)


@given(st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_are_read_whole_or_named_in_one_line(tmp_path, data):
    path = tmp_path / "w"
    save_tensors({"a": torch.arange(6.0).reshape(2, 3), "b": torch.arange(3)}, path)
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    said, tensors = f"{path}: ", {}
    try:
        tensors = load_tensors(path)
    except ArenaError as error:
        said = str(error)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    assert all(tensor.isfinite().all() for tensor in tensors.values() if tensor.is_floating_point())
