import pytest
import torch

from arena.bench.cells import STYLE, TEXTBOOK, Cell, Variant, new_generator
from arena.bench.job import Pace, repeated
from arena.bench.measure import new_job
from arena.bench.sampling import Rendering
from arena.bench.settings import Settings
from arena.bench.steps import BareLoop, LightningLoop, Training, _Penalised
from arena.generators.base import TrainableGenerator
from arena.training.losses import Logistic
from arena.training.machine import Machine, Precision

SMALL = Settings(seconds=0.01, resolution=8, batch=4, width=8)
pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")


def loop(kind: type[Training], *, precision: Precision = "fp32", variant: Variant = "plain"):
    generator = new_generator(STYLE, SMALL)
    assert isinstance(generator, TrainableGenerator)
    return kind(Cell("training", STYLE, precision, variant), generator, 8, 4, Machine(torch.device("cpu"), precision))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_lightning_and_the_bare_loop_take_the_same_steps(precision):
    bare, lightning = loop(BareLoop, precision=precision), loop(LightningLoop, precision=precision)
    bare.run(15, 3)
    lightning.run(16, 1)  # and one step on each side of it
    assert bare.gan.step == lightning.gan.step == 18
    # Equal in fp32; of bf16 gradients a last digit may differ. A step more or less moves weights by 1e-3 or so.
    atol = 0 if precision == "fp32" else 2e-5
    for mine, its in zip(bare.gan.parameters(), lightning.gan.parameters(), strict=True):
        torch.testing.assert_close(mine, its, atol=atol, rtol=0)


@pytest.mark.parametrize(
    "cell",
    [
        Cell("training", TEXTBOOK),
        Cell("training", "gan2014"),
        Cell("training", STYLE, "bf16", "relativistic"),
        Cell("training", STYLE, "fp32", "contiguous"),
        Cell("sampling", TEXTBOOK),
        Cell("rendering", "portraits"),
    ],
    ids=str,
)
def test_a_visit_takes_time(cell):
    job = new_job(cell, SMALL)
    pace = job.visit(0)
    assert 0 < pace.seconds < 60
    assert (job.parameters is None) == (cell.work != "training")


@pytest.mark.parametrize(
    ("cell", "last"),
    [
        (Cell("training", STYLE), True),
        (Cell("training", STYLE, "fp32", "contiguous"), False),
        (Cell("training", TEXTBOOK), False),
    ],
    ids=str,
)
def test_how_kernels_are_stored(cell, last):
    job = new_job(cell, SMALL)
    assert isinstance(job, Training)
    kernels = [p for p in job.gan.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1]
    assert kernels
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) == last for kernel in kernels)


class Counted(Training):
    """A step with a penalty takes 17 seconds, any other 1."""

    def run(self, first, n):
        self.taken = [*getattr(self, "taken", []), *range(first, first + n)]
        assert n == 1 or all(step % Logistic.interval for step in range(first, first + n))
        return Pace(17.0, 34.0) if first % Logistic.interval == 0 else Pace(1.0, 2.0)


def test_a_lazy_penalty_counts_by_its_share():
    counted = loop(Counted)
    assert isinstance(counted, Counted)
    pace = counted.visit(0)
    assert pace == pytest.approx(Pace(2.0 / 4, 4.0 / 4))  # (17 + 15) / 16 a step of four images
    assert [step % 16 == 0 for step in counted.taken] == [True, False]


def test_a_penalty_of_every_step_is_in_every_step():
    counted = loop(Counted, variant="relativistic")
    assert counted.visit(0) == pytest.approx(Pace(1.0 / 4, 2.0 / 4))
    assert counted.interval == 1


def test_what_is_penalised_is_not_compiled(monkeypatch):
    compiled, eager = [], []

    class Critic(torch.nn.Module):
        def forward(self, images):
            eager.append(len(images))
            return images.sum((1, 2, 3))

    critic = _Penalised(Critic())
    monkeypatch.setattr(critic.compiled, "forward", lambda images: compiled.append(len(images)))
    leaf = torch.rand(2, 1, 2, 2, requires_grad=True)
    critic(leaf)
    critic(leaf * 2)
    critic(torch.rand(3, 1, 2, 2))
    assert (eager, compiled) == ([2], [2, 3])


def test_work_is_repeated_until_its_time_is_over_and_done_at_least_once():
    done = []
    repeated(lambda: done.append(1), 10, 0)
    assert len(done) == 1
    repeated(lambda: done.append(1), 10, 0.01)
    assert len(done) > 2


def test_no_portrait_is_rendered_twice():
    rendering = Rendering(8)
    rendering.visit(0)
    rendering.visit(0)
    assert rendering.block == 2
