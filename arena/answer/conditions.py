"""Conditions of finished runs, and the effect of the generator's access: AUC in one less AUC in its matched control.

A pair of runs has the seed, the data seed and so the test reals in common, and fakes of the same z where neither
resamples them. The error that both owe to them largely cancels, and judges are paired by their seed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from arena.answer.estimate import estimate
from arena.answer.findings import STRONGEST, differences_by_seed
from arena.answer.runs import FinishedRun
from arena.answer.spending import per_response
from arena.config.saved import canonical, condition_settings, flatten, matching, section, without_matching
from arena.core.errors import ArenaError
from arena.metrics.interval import Interval

PROBING = ("probes", "selection", "resampling")
"""Groups of a config for which the generator has to know a technique, or to have random critics in its place."""
ATTACK = ("objective", "pool", "weighting")
"""Groups of a config that say how a generator attacks. Without any access it attacks nothing."""
EQUAL_COMPUTE = 0.1
"""Most by which the multiply-accumulates of a response may differ from those of its control at equal compute."""


@dataclass(frozen=True)
class Condition:
    """The runs of one condition, whose configs are equal except for their seeds.

    Args:
        name: ``access=...``, and the settings in which it differs from the conditions beside it.
        runs: in order of their seeds, no two with the same.
    """

    name: str
    runs: tuple[FinishedRun, ...]

    @property
    def access(self) -> str:
        """Name of the generator's access to the detectors."""
        return self.runs[0].access

    @cached_property
    def _shared(self) -> str:
        """Canonical JSON of the config without seeds, access, ``generator.matched``, ``PROBING`` and ``ATTACK``."""
        return _shared_settings(self.runs[0].config)

    @cached_property
    def _shared_but_budget(self) -> str:
        """``_shared`` without the images of a response."""
        config = self.runs[0].config
        schedule = config.get("schedule")
        if not isinstance(schedule, Mapping):
            return self._shared
        kept = {key: value for key, value in schedule.items() if key != "response_images"}
        return _shared_settings({**config, "schedule": kept})

    @cached_property
    def _probing(self) -> str:
        return canonical({key: self.runs[0].config.get(key) for key in PROBING})

    @cached_property
    def _attack(self) -> str:
        return canonical({key: self.runs[0].config.get(key) for key in ATTACK})

    @property
    def control(self) -> bool:
        """True where its access is declared as a control, or its fakes are matched to generator-train."""
        return self.matching is not None or self._access_control

    @property
    def matching(self) -> str | None:
        """What its fakes are matched in after the network (``generator.matched``), if in anything."""
        return matching(self.runs[0].config)

    @property
    def knows(self) -> bool:
        """True where its access gives knowledge of techniques, as ``arena.training.access`` has it."""
        access = section(self.runs[0].config, "access")
        return bool(self._levels) and access.get("labels") == "true" and access.get("critics") == "techniques"

    @property
    def _has_random_critics(self) -> bool:
        return section(self.runs[0].config, "access").get("critics") == "random"

    @property
    def _levels(self) -> object:
        """The levels of access that were granted."""
        return section(self.runs[0].config, "access").get("levels")

    @property
    def _access_control(self) -> bool:
        return bool(section(self.runs[0].config, "access").get("control"))

    def differs_in_access_alone(self, other: "Condition") -> bool:
        """Return whether another condition differs in its access alone, or in the matching of its fakes.

        One that neither knows a technique nor has random critics has nothing to probe with, whatever its ``PROBING``
        says. One without any access attacks nothing, whatever its ``ATTACK`` says.
        """
        probes_alike = other._probing == self._probing or not (other.knows or other._has_random_critics)
        attacks_alike = other._attack == self._attack or not other._levels
        return other._shared == self._shared and probes_alike and attacks_alike

    def controls(self, among: Sequence["Condition"]) -> dict[str, "Condition"]:
        """Return its matched controls. Their config differs in the access, the matching of the fakes, or both.

        A control with any access has the levels of the condition. Where several without any differ in ``ATTACK``, that
        with the condition's own counts.

        A control by its access has only controls of the same access: the same generator, its fakes matched. A condition
        with matched fakes has none.

        A control without any access that differs in its images a response, and took as many multiply-accumulates for
        one, is a control at equal compute.

        Returns:
            Name of the access, and of the matching if there is one -> the control.
        """
        if self.matching is not None:
            return {}
        shared = [other for other in among if self.differs_in_access_alone(other)]
        shared = [other for other in shared if not other._levels or other._levels == self._levels]
        alike = [other for other in shared if other.control and other is not self]
        alike.sort(key=lambda other: other._attack == self._attack)  # the last of several with one name counts
        if self._access_control:
            alike = [other for other in alike if other.access == self.access and other.matching is not None]
        named = {
            other.access if other.matching is None else f"{other.access}, {other.matching} matched": other
            for other in alike
        }
        return named | self._controls_at_equal_compute(among)

    def _controls_at_equal_compute(self, among: Sequence["Condition"]) -> dict[str, "Condition"]:
        """Return the control that came nearest to the condition's compute with another budget of images, if any did."""
        spent = per_response(self.runs)
        if self._access_control or not spent:
            return {}
        others = [
            other
            for other in among
            if other._access_control and other.matching is None and not other._levels
            if other._shared != self._shared and other._shared_but_budget == self._shared_but_budget
            if matched(self.runs, other.runs)
        ]
        apart = {abs(per_response(other.runs) / spent - 1): other for other in others}
        nearest = min(apart, default=1.0)
        return {f"{apart[nearest].access} at equal compute": apart[nearest]} if nearest <= EQUAL_COMPUTE else {}


def _shared_settings(config: Mapping[str, object]) -> str:
    return canonical(without_matching(config), drop=("access", *PROBING, *ATTACK))


def conditions(runs: Iterable[FinishedRun]) -> list[Condition]:
    """Group runs into conditions, controls last.

    Raises:
        ArenaError: if two runs have the same config and the same seeds, since a run counts once.
    """
    groups: dict[str, list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault(canonical(run.config), []).append(run)
    settings = [dict(flatten(condition_settings(group[0].config))) for group in groups.values()]
    grouped = []
    for group, own in zip(groups.values(), settings, strict=True):
        members = sorted(group, key=lambda run: (run.seed, run.declared.data_seed))
        for one, after in pairwise(members):
            if (one.seed, one.declared.data_seed) == (after.seed, after.declared.data_seed):
                raise ArenaError(
                    f"{one.path} and {after.path}: config, seed and data.seed are equal: name one of the two"
                )
        name = ", ".join([f"access={members[0].access}", *_distinctive(own, settings)])
        grouped.append(Condition(name, tuple(members)))
    return sorted(grouped, key=lambda condition: (condition.control, condition.name))


def _distinctive(own: Mapping[str, object], among: Sequence[Mapping[str, object]]) -> list[str]:
    """``key=value`` of every setting that differs among conditions.

    A setting of the access counts only where it differs under one name of the access.
    """
    return [
        f"{key}={value}"
        for key, value in own.items()
        if any(
            other.get(key) != value
            for other in among
            if not key.startswith("access.") or other["access.name"] == own["access.name"]
        )
    ]


def matched(ours: Sequence[FinishedRun], theirs: Sequence[FinishedRun]) -> list[tuple[int, int]]:
    """Return indices of runs that pair: their seeds and their origin are equal, and no generator was rolled back."""
    return [
        (i, j)
        for i, run in enumerate(ours)
        for j, other in enumerate(theirs)
        if (run.seed, run.declared.data_seed) == (other.seed, other.declared.data_seed)
        and run.origin_seed == other.origin_seed
        and not (run.faults or other.faults)
    ]


@dataclass(frozen=True)
class Contrast:
    """A paired difference of AUC.

    Args:
        technique: its name, or ``strongest`` for the technique that each condition's own validation chooses.
        difference: AUC in the condition less AUC in the control, with its 95% interval. Negative where access helped
            the generator to evade.
        pairs: pairs of runs.
        judge_images: budget of the judges on both sides. 0 where it is not on record.
    """

    technique: str
    difference: Interval
    pairs: int
    judge_images: int


def compared_techniques(
    pairs: Sequence[tuple[FinishedRun, FinishedRun]], strongest: tuple[str, str] | None
) -> dict[str, tuple[str, str]]:
    """Return contrast -> technique of the condition and of the control: of every technique, and of the strongest.

    Args:
        pairs: one run of the condition and one of the control each, one pair or more.
        strongest: the strongest technique of the condition and that of the control, each by its own validation. None
            where one of them has none.
    """
    names = {name: (name, name) for name in pairs[0][0].declared.techniques}
    return names if strongest is None else names | {STRONGEST: strongest}


def contrasts(
    pairs: Sequence[tuple[FinishedRun, FinishedRun]], techniques: Mapping[str, tuple[str, str]]
) -> list[Contrast]:
    """Return the contrast of every technique that ``compared_techniques`` names.

    Judges with more images find more, so both sides of all pairs have judges of one budget: the largest in common. A
    technique is left out where there is none, or where a pair of runs has no judge seed in common.

    Fakes of a pair are paired by their index, which is the same z in both unless they are resampled: the seed alone
    draws the z. ``arena.answer.curve`` has the rule for fakes of controls and folders.
    """
    listed = []
    for name, (ours, theirs) in techniques.items():
        judged = [(run.fresh_by_budget(ours), other.fresh_by_budget(theirs)) for run, other in pairs]
        budget = max(set.intersection(*(set(judges) for pair in judged for judges in pair)), default=0)
        differences = [
            differences_by_seed((run, here.get(budget, {}), number), (other, there.get(budget, {}), number))
            for number, ((run, other), (here, there)) in enumerate(zip(pairs, judged, strict=True))
        ]
        if all(differences):
            listed.append(Contrast(name, estimate(differences).interval(), len(pairs), budget))
    return listed
