"""Attack a detector of which nothing is known but its answers: students learn from them, and are attacked instead.

The students are substitute models (Papernot et al. 2017). No gradient of the detector is ever computed.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from arena.detectors.networks.small import ResidualNetwork
from arena.imaging.evidence import Evidence
from arena.imaging.images import to_uint8
from arena.training.opponents.networks import LiveNetwork

FALSE_POSITIVES = 0.05
"""Share of reals that a decision calls fake."""
REMEMBERED = 8192
"""Most answers that students learn from, the latest ones."""
AT_ONCE = 256
"""Images that set the threshold at once."""
SUBMITTED = 8
"""One of so many images of a step is submitted."""
MOST_DEVIATIONS = 4.0
"""Deviations at which a score is cut off."""
WIDTH = 8
"""Channels of a student's first block."""


class BlackBox:
    """A detector that answers queries up to a budget, and what it has answered so far.

    Args:
        detector: images (B, C, H, W) from the evidence path -> logits (B,).
        answers: ``scores`` are standardised logits, ``labels`` decisions (1 for fake).
        known: (N, C, H, W) reals and then as many fakes from the evidence path, at which logits are standardised and
            the threshold is set. The owner of the detector does so, and these are no queries.
        queries: budget.
        evidence: path that the images took.
    """

    def __init__(
        self,
        detector: Callable[[Tensor], Tensor],
        answers: Literal["scores", "labels"],
        known: Tensor,
        queries: int,
        evidence: Evidence,
    ) -> None:
        self.detector, self.answers, self.queries, self.evidence = detector, answers, queries, evidence
        with torch.no_grad():
            logits = torch.cat([detector(part).float() for part in known.split(AT_ONCE)])
        self.mean, self.deviation = logits.mean(), logits.std().clamp_min(1e-6)
        self.threshold = logits[: len(logits) // 2].quantile(1 - FALSE_POSITIVES)
        self.asked = 0
        """Queries so far."""
        self.images = to_uint8(known[:0]).cpu()
        self.answered = torch.empty(0)

    def ask(self, images: Tensor) -> None:
        """Submit images (B, C, H, W), as many of the first ones as the budget allows, and remember the answers."""
        images = images[: self.queries - self.asked].detach()
        if not len(images):
            return
        with torch.no_grad():
            logits = self.detector(images).float()
        if self.answers == "labels":
            answers = (logits > self.threshold).float()
        else:
            answers = ((logits - self.mean) / self.deviation).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS)
        self.asked += len(images)
        self.images = torch.cat([self.images, to_uint8(images).cpu()])[-REMEMBERED:]
        self.answered = torch.cat([self.answered, answers.cpu()])[-REMEMBERED:]

    def remembered(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return n images from the evidence path that were submitted, and the answers (n,), drawn with replacement."""
        places = torch.randint(len(self.images), (n,), generator=rng)
        device = self.mean.device
        return self.evidence.as_seen(self.images[places].to(device)), self.answered[places].to(device)

    def state(self) -> dict[str, Any]:
        """Return all that a resumed response needs."""
        return {"asked": self.asked, "images": self.images, "answered": self.answered}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Return to a saved state. Queries since then stay spent, and their answers known."""
        if state["asked"] >= self.asked:
            self.asked = state["asked"]
            self.images, self.answered = state["images"].clone(), state["answered"].clone()


class Student(LiveNetwork):
    """A network that learns the answers of a detector, and is attacked in its place.

    Each step submits an eighth of the images that live detectors learn from. Once the budget is spent, the student
    learns on from the answers that it remembers. Scores are learned by squared distance, and labels by cross-entropy.

    Args:
        box: answers the queries of all students of a technique.
        channels: of the images.
        side: of the images, in pixels.
    """

    on_pixels = True

    def __init__(self, box: BlackBox, *, channels: int, side: int) -> None:
        super().__init__()
        self.box = box
        self.network = ResidualNetwork(channels=channels, side=side, width=WIDTH, blocks=2)
        self.answers = torch.empty(0)

    def prepare(self, images: Tensor, rng: torch.Generator) -> None:
        """Leave the network as it is."""

    def augmented_inputs(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Submit some of the images (B, C, H, W), and return B submitted ones, of which ``loss`` knows the answers."""
        order = torch.randperm(len(images), generator=rng)[: max(1, len(images) // SUBMITTED)]
        self.box.ask(images[order.to(images.device)])
        inputs, self.answers = self.box.remembered(len(images), rng)
        return inputs

    def inputs(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return the images."""
        return images

    def logits(self, inputs: Tensor) -> Tensor:
        """Return logits (B,) of images."""
        return self.network(inputs)

    def loss(self, inputs: Tensor) -> Tensor:
        """Return the loss of the images that ``augmented_inputs`` returned last."""
        logits = self.logits(inputs).float()
        if self.box.answers == "labels":
            return F.binary_cross_entropy_with_logits(logits, self.answers)
        return F.mse_loss(logits, self.answers)
