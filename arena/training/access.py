"""State what the generator knows of the detectors."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Access:
    """Knowledge that the generator has of the detectors.

    - ``everything``: the most that each technique admits: gradients, or its published features where these have
      differentiable ones beside them (``FittedDetector.soft``). Without ``pool=live`` it is ``white_box``.
    - ``white_box``: gradients of every differentiable technique.
    - ``none``: no gradients, with the same budget of images, since a GAN improves with longer training anyway.
    - ``other_reals``: gradients of the same networks, trained with generator-train as their only reals. It tests whose
      reals the detectors in the loop learned from (rule of evidence 6). They still learned to tell fakes from reals.
    - ``equal_norm``: gradients of the same networks, trained on shuffled labels and scaled to the norm of the true
      ones. They carry no information on real against fake (``arena.training.opponents.equal_norm``).
    - ``random``: as many live opponents, each a small network behind fixed random filters. It tests whether techniques
      are worth more than any further discriminators. All are new in every response. It needs ``pool=live``.

    Args:
        name: of the condition.
        gradients: whether the generator's loss has a term of detectors.
        reals: the part of the reals that the detectors in the loop learn from.
        labels: whether the detectors of these gradients learned true or shuffled labels.
        critics: whether the opponents are the techniques, or as many networks behind random filters.
        features: whether techniques without gradients are attacked through their features.
        held_out: techniques of the battery that are never attacked.
        control: whether runs with this access are controls of runs that differ in nothing else.
    """

    name: str
    gradients: bool
    reals: Literal["detector", "generator"]
    labels: Literal["true", "shuffled"] = "true"
    critics: Literal["techniques", "random"] = "techniques"
    features: bool = False
    held_out: list[str] = field(default_factory=list)
    control: bool = False

    def attacks(self, technique: str, differentiable: bool) -> bool:
        """Return whether the generator has gradients of this technique, or of its counterpart in a control.

        >>> access = Access("white_box", gradients=True, reals="detector", held_out=["cnn"])
        >>> access.attacks("dct", differentiable=True), access.attacks("cnn", differentiable=True)
        (True, False)
        """
        return self.gradients and differentiable and technique not in self.held_out

    @property
    def knows(self) -> bool:
        """True where the gradients are those of techniques that learned true labels."""
        return self.gradients and self.labels == "true" and self.critics == "techniques"
