import numpy as np
import pytest
import torch

from arena.core import files
from arena.core.errors import ArenaError
from arena.imaging.images import on_levels, to_float
from arena.race.checkpoints import Bank


def forged(levels=17):
    rng = torch.Generator().manual_seed(levels)
    sizes = {"train": 7, "validation": 3, "test": 5}
    return {name: torch.rand(n, 1, 8, 8, generator=rng) * 2.4 - 1.2 for name, n in sizes.items()}


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_a_bank_is_uint8_on_the_levels_of_the_data(levels):
    banks = forged(levels)
    bank = Bank.of(banks, levels)
    for name, images in bank._asdict().items():
        assert images.dtype == torch.uint8
        assert len(images.unique()) <= levels
        torch.testing.assert_close(to_float(images), on_levels(banks[name], levels), rtol=0, atol=0.5 / 127.5 + 1e-6)
        assert torch.equal(on_levels(to_float(images), levels), on_levels(banks[name], levels))


def test_a_bank_does_not_depend_on_the_order_of_its_parts():
    banks = forged()
    one, other = Bank.of(banks, 17), Bank.of(dict(reversed(banks.items())), 17)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_bank_survives_saving_and_loading(tmp_path):
    bank = Bank.of(forged(), 17)
    bank.save(tmp_path / "banks" / "round_00.npz")
    again = Bank.load(tmp_path / "banks" / "round_00.npz")
    assert all(torch.equal(a, b) for a, b in zip(bank, again, strict=True))
    assert [len(part) for part in again] == [7, 3, 5]
    assert [path.name for path in (tmp_path / "banks").iterdir()] == ["round_00.npz"]


def test_a_bank_is_written_atomically(tmp_path, monkeypatch):
    path = tmp_path / "round_00.npz"
    old = Bank.of(forged(), 17)
    old.save(path)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.Path, "replace", killed)
    new = Bank(*(255 - part for part in old))
    with pytest.raises(KeyboardInterrupt):
        new.save(path)
    assert torch.equal(Bank.load(path).test, old.test)


def test_a_pickle_is_refused(tmp_path):
    path = tmp_path / "round_00.npz"
    np.savez(path, train=np.array([{}], dtype=object), validation=np.zeros(1), test=np.zeros(1))
    with pytest.raises(ArenaError, match=r"round_00\.npz: expected an npz with train, validation, test .*allow_pickle"):
        Bank.load(path)
