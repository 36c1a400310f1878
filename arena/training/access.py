"""State what the generator knows of the detectors."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from pydantic import NonNegativeInt

from arena.records.schema import AccessLevel, highest_access


@dataclass(frozen=True)
class Access:
    """Knowledge that the generator has of the detectors, from nothing upwards in the order of ``AccessLevel``.

    - ``labels``: a detector's decisions on images that the generator submits, at 5% false positives, up to a budget of
      queries. A student learns from the answers and is attacked. It needs ``pool=live``.
    - ``scores``: the same with the detector's logits.
    - ``features``: the published features or the architecture of a technique, and none of its detectors. A live
      detector of the technique begins anew. It needs ``pool=live`` or ``objective=kernel``.
    - ``gradients``: gradients of the detectors in the loop.

    Each technique gets the highest level that it admits, of those that the access grants. A control has the levels of
    the attack that it belongs to: for another attack than the one named here, set ``access.levels``. The presets:

    - ``everything``: ``gradients``, ``features`` and ``scores``. With frozen detectors it is ``white_box``.
    - ``white_box``: ``gradients`` alone.
    - ``features``, ``scores``, ``labels``: that level alone.
    - ``none``: nothing, with the same budget of images, since a GAN improves with longer training anyway.
    - ``other_reals``: the levels of ``everything``, to detectors of which generator-train was the only reals. It tests
      whose reals they learned from (rule of evidence 6). They still learned to tell fakes from reals.
    - ``equal_norm``: gradients of the same networks, trained on shuffled labels and scaled to the norm of the true
      ones. They carry no information on real against fake (``arena.training.opponents.equal_norm``).
    - ``random``: as many live networks, and matched features if any, each behind fixed random filters. It tests whether
      techniques are worth more than any further discriminators. Its levels are those of ``everything``. All are new
      in every response. Probes and detectors that resample are random critics too. It needs ``pool=live``.

    Args:
        name: of the condition.
        levels: levels of access that are granted. None for no attack.
        reals: the part of the reals that the detectors in the loop learn from.
        labels: whether the detectors of these gradients learned true or shuffled labels.
        critics: whether the opponents are the techniques, or as many networks and features behind random filters.
        queries: images that a response may submit to each technique whose level is ``scores`` or ``labels``.
        held_out: techniques of the battery that are never attacked. The stack is then not attacked either, since its
            answers depend on all of them.
        control: whether runs with this access are controls of runs that differ in nothing else.
    """

    name: str
    levels: list[AccessLevel]
    reals: Literal["detector", "generator"]
    labels: Literal["true", "shuffled"] = "true"
    critics: Literal["techniques", "random"] = "techniques"
    queries: NonNegativeInt = 0
    held_out: list[str] = field(default_factory=list)
    control: bool = False

    def level(self, technique: str, admitted: Collection[AccessLevel]) -> AccessLevel:
        """Return the highest level that is granted to a technique, or to its counterpart in a control.

        >>> access = Access("everything", levels=["features", "gradients"], reals="detector", held_out=["cnn"])
        >>> access.level("dct", ["features", "gradients"]), access.level("cnn", ["features", "gradients"])
        ('gradients', 'none')
        """
        if technique in self.held_out:
            return "none"
        return highest_access(level for level in admitted if level in self.levels)

    @property
    def knows(self) -> bool:
        """True where the opponents are those of techniques that learned true labels."""
        return bool(self.levels) and self.labels == "true" and self.critics == "techniques"
