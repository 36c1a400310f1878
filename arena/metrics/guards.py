"""Measure the figures of fakes that the guards of a verdict compare with a limit."""

from torch import Tensor

from arena.data.reals import Reals
from arena.imaging.evidence import degraded
from arena.metrics.classes import attribute_readers, class_coverage
from arena.metrics.distances import SquaredDistance
from arena.metrics.memorisation import copied_at_most, exact_copies, near_copies
from arena.metrics.quality import QualityMeter
from arena.records.schema import GuardFigures, Quality

LEAST_NOISE = 8.0
"""Least standard deviation of the noise that is the unit of quality, in grey levels of 255.

Half as much changes the kernel distance of 512 rendered portraits by no more than its error."""


def unit_noise(levels: int) -> float:
    """Return the noise of the unit of quality in grey levels of 255: one grey level of the data, or ``LEAST_NOISE``.

    >>> unit_noise(17), unit_noise(256)
    (15.9375, 8.0)
    """
    return max(255 / (levels - 1), LEAST_NOISE)


class GuardMeter:
    """Measure sets of fakes beside held-out reals, whose own figures are computed once.

    Neither fakes nor held-out reals are used to fit the feature space or the classifiers. Fakes of the reals'
    distribution are therefore exchangeable with them.

    Args:
        meter: its feature space.
        train: the generator's training images.
        reference: reals that trained neither the generator nor a detector.
        held_out: other such reals, at least 2.
        levels: grey levels of the data.
        seed: of the noise.
    """

    def __init__(
        self, meter: QualityMeter, train: Reals, reference: Reals, held_out: Reals, levels: int, seed: int
    ) -> None:
        self.meter, self.seed = meter, seed
        self._train, self._held_out, self._sizes = train.images, held_out.images, (len(train), len(reference))
        self._train_features, self._held_out_features = meter.features(train.images), meter.features(held_out.images)
        self._readers = attribute_readers(
            self._train_features, train.attributes, meter.features(reference.images), reference.attributes
        )
        noise = unit_noise(levels)
        self._unit = f"Gaussian noise of {noise:.3g} grey levels of 255"
        self._noisy = meter.features(degraded(held_out.images[: meter.n], "noise", noise, levels, seed))
        self._of_reals: dict[int, tuple[Quality, SquaredDistance]] = {}

    def quality(self, images: Tensor) -> tuple[Quality, Quality, GuardFigures]:
        """Return quality of uint8 fakes (N, C, H, W), that of held-out reals at equal n, and the guards' figures.

        Raises:
            ValueError: if there are too few images for nearest neighbours.
        """
        features = self.meter.features(images)
        quality = self.meter.quality_of(features)
        reals, unit = self._reals_at(quality.n)
        near = near_copies(features, self._held_out_features, self._train_features)
        exact = exact_copies(images.numpy(), self._held_out.numpy(), self._train.numpy())
        classes = class_coverage(self._readers, features, self._held_out_features, self.seed)
        figures = GuardFigures(
            unit=self._unit,
            unit_kernel_distance=unit.value,
            unit_kernel_distance_error=unit.error,
            near_copies=near.share,
            near_copies_low=near.low,
            near_copies_chance=near.chance,
            exact_copies=exact.share,
            exact_copies_p=exact.p,
            copied_at_most=copied_at_most(quality.memorisation_high, *self._sizes),
            class_attribute=classes and classes.attribute,
            class_distance=classes and classes.distance.value,
            class_distance_low=classes and classes.distance.low,
            class_distance_high=classes and classes.distance.high,
            unrecognised=classes and classes.unrecognised,
            missing_classes=classes.missing if classes else (),
        )
        return quality, reals, figures

    def _reals_at(self, n: int) -> tuple[Quality, SquaredDistance]:
        """Return the quality of n held-out reals, and the kernel distance of the same with noise."""
        if n not in self._of_reals:
            unit = self.meter.kernel_distance_of(self._noisy[:n])
            self._of_reals[n] = self.meter.quality_of(self._held_out_features[:n]), unit
        return self._of_reals[n]
