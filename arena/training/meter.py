"""Count what training costs: updates, queries and multiply-accumulates. Count zero gradients of detectors as well."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from threading import Lock
from typing import Any, Self

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from arena.core.errors import ArenaError, first_line
from arena.core.files import write_atomically
from arena.records.schema import Gradients, Spent

FILE = "spent.json"
"""File of the counts beside the state of a GAN in training."""


@dataclass(frozen=True)
class _Counts:
    """The content of ``FILE``: counts, useless gradients by technique, and what each kind of work costs."""

    spent: Spent
    gradients: dict[str, Gradients]
    known: dict[str, int]


_COUNTS = TypeAdapter(_Counts)


class MultiplyAccumulates(TorchDispatchMode):
    """Count the multiply-accumulates of convolutions, matrix products and attention of this thread.

    Those of a backward pass count as well, also of a second one. Everything else counts as nothing: sums, activations,
    normalisation, Fourier transforms and optimisers. The formulas are those of ``torch.utils.flop_counter``, halved.
    The operations are carried out as they are, so that no result and no random stream changes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Carry out an operation, and add its cost."""
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=out) // 2
        return out


class Meter:
    """Counts of one phase. They are no part of a state of training, so that a roll-back gives nothing back.

    Work of one kind has the same shapes, and so the same multiply-accumulates, every time. These are counted when the
    kind is first done, and added whenever it is done. Work may run in several threads.
    """

    def __init__(self) -> None:
        self.spent = Spent()
        self._known, self._gradients = dict[str, int](), dict[str, Tensor]()
        self._lock = Lock()

    def add(self, **counts: int) -> None:
        """Add to the counts of ``Spent``, by name."""
        with self._lock:
            self.spent += Spent(**counts)

    @contextmanager
    def work(self, kind: str) -> Iterator[None]:
        """Add the multiply-accumulates of the work in the context, which holds no other metered work."""
        if kind in self._known:
            yield
        else:
            with MultiplyAccumulates() as counted:
                yield
            self._known[kind] = counted.total
        self.add(multiply_accumulates=self._known[kind])

    def price(self, kind: str, work: Callable[[], object]) -> None:
        """Add the multiply-accumulates of work that is done elsewhere, together with other work.

        It is done here once, to count them.
        """
        if kind not in self._known:
            with MultiplyAccumulates() as counted:
                work()
            self._known[kind] = counted.total
        self.add(multiply_accumulates=self._known[kind])

    @torch.no_grad()
    def gradient(self, technique: str, gradient: Tensor) -> None:
        """Count the fakes of a gradient (B, C, H, W) of one detector. Nothing waits for the device."""
        flat = gradient.flatten(1)
        zero, finite = (flat == 0).all(1).sum(), flat.isfinite().all(1).sum()
        counts = torch.stack([torch.full_like(zero, len(flat)), zero, len(flat) - finite])
        before = self._gradients.get(technique)
        self._gradients[technique] = counts if before is None else before.to(counts.device) + counts

    @property
    def gradients(self) -> dict[str, Gradients]:
        """Technique -> the fakes at which the gradient of a detector was looked at, and those where it was useless."""
        names = [each.name for each in fields(Gradients)]
        return {
            technique: Gradients(**dict(zip(names, counts.tolist(), strict=True)))
            for technique, counts in self._gradients.items()
        }

    def save(self, folder: Path) -> None:
        """Write the counts, and the cost of each kind of work."""
        written = _Counts(self.spent, self.gradients, self._known)
        # Threads may do work in another order.
        write_atomically(folder / FILE, json.dumps(asdict(written), sort_keys=True).encode())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the counts that were written beside a state, none where there are none."""
        meter = cls()
        meter.restore(folder)
        return meter

    def restore(self, folder: Path) -> None:
        """Continue from the counts that were written beside a state.

        Raises:
            ArenaError: if they are damaged.
        """
        if not (folder / FILE).is_file():
            return
        try:
            written = _COUNTS.validate_json((folder / FILE).read_bytes())
        except ValidationError as error:
            raise ArenaError(f"{folder / FILE}: expected the counts of a training ({first_line(error)})") from error
        self.spent = written.spent
        self._known |= written.known  # a kind costs what it cost when it was first done
        self._gradients = {
            technique: torch.tensor(list(asdict(counts).values())) for technique, counts in written.gradients.items()
        }
