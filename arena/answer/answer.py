"""The answer: everything that the finished runs of a condition say, each part computed once."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from arena.answer.attack_sanity import attack_in_words
from arena.answer.conditions import Condition, Contrast, compared_techniques, conditions, contrasts, matched
from arena.answer.cross import CrossMatrix, cross_in_words, cross_matrices
from arena.answer.distance import Distance, distance
from arena.answer.findings import STRONGEST, TechniqueFinding, findings, fit_techniques, strongest_on_validation
from arena.answer.frontier import EqualQuality, at_equal_quality
from arena.answer.game import Game, game
from arena.answer.guards import Guards, guards
from arena.answer.humans import people, sort_answers
from arena.answer.limit import ASSUMPTION, ConditionCurve, TechniqueLimit, condition_curves, limits
from arena.answer.power import power
from arena.answer.runs import FinishedRun, find_runs, read_run
from arena.answer.series import Series, Trajectory, read_series, trajectory
from arena.answer.spending import compute_in_words
from arena.answer.tiers import Tiers, tiers, tiers_sentence
from arena.answer.verdict import Strongest, Verdict, decide, sentence, strongest_finding, technique_verdict
from arena.config.schema import BAG
from arena.records.schema import Scores


@dataclass(frozen=True, eq=False)
class Answer:
    """The results of the runs of one condition. Each part is computed when it is first read, and kept.

    Args:
        condition: its runs are finished.
        findings: one a technique, at the last round.
        controls: name of a matched control -> its answer.
        among: all conditions that were answered together.
    """

    condition: Condition
    findings: tuple[TechniqueFinding, ...]
    controls: Mapping[str, "Answer"] = field(default_factory=dict)
    among: Sequence[Condition] = ()

    @property
    def runs(self) -> tuple[FinishedRun, ...]:
        """The runs of the condition, in order of their seeds."""
        return self.condition.runs

    @property
    def run(self) -> FinishedRun:
        """The run, of a condition that has only one."""
        (run,) = self.runs
        return run

    def findings_over(self, runs: Sequence[FinishedRun]) -> Sequence[TechniqueFinding]:
        """Return the findings over some of its runs."""
        return self.findings if tuple(runs) == self.runs else findings(runs)

    @cached_property
    def guards(self) -> Guards:
        """The guards of the images."""
        return guards(self.runs, self.findings)

    @cached_property
    def tiers(self) -> Tiers:
        """The verdicts of deployed, transferred and adaptive detectors."""
        return tiers(self.runs, self.findings)

    @cached_property
    def cross(self) -> dict[str, CrossMatrix]:
        """Technique -> judges of each run on the fakes of every run. Empty where ``arena cross`` has not run."""
        return cross_matrices(self.runs)

    @cached_property
    def strongest(self) -> Strongest | None:
        """The technique with the highest validation AUC."""
        return strongest_finding(self.runs, self.findings)

    @cached_property
    def curves(self) -> dict[str, ConditionCurve]:
        """AUC by round of the stack, and of each round's strongest technique."""
        return condition_curves(self.runs, fit_techniques(self.findings))

    @cached_property
    def limits(self) -> dict[str, TechniqueLimit]:
        """The limit of each curve, beside the matched controls."""
        return limits(self.curves, {name: control.curves for name, control in self.controls.items()})

    @cached_property
    def contrasts(self) -> dict[str, list[Contrast]]:
        """Control -> paired differences from it, by technique. Empty where no two runs have their seeds in common."""
        return {name: contrasts(pairs, techniques) for name, (pairs, techniques) in self._paired.items()}

    @cached_property
    def equal_quality(self) -> dict[str, list[EqualQuality]]:
        """Control -> paired differences from it at equal kernel distance, by technique."""
        return {name: at_equal_quality(pairs, techniques) for name, (pairs, techniques) in self._paired.items()}

    @cached_property
    def _paired(self) -> dict[str, tuple[list[tuple[FinishedRun, FinishedRun]], dict[str, tuple[str, str]]]]:
        """Control -> the pairs of runs, and the techniques compared."""
        return {name: self._paired_with(control) for name, control in self.controls.items()}

    def _paired_with(
        self, control: "Answer"
    ) -> tuple[list[tuple[FinishedRun, FinishedRun]], dict[str, tuple[str, str]]]:
        pairs = [(self.runs[i], control.runs[j]) for i, j in matched(self.runs, control.runs)]
        if not pairs:
            return [], {}
        ours, theirs = (
            strongest_on_validation(side, answer.findings_over(side))
            for answer, side in zip((self, control), zip(*pairs, strict=True), strict=True)
        )
        return pairs, compared_techniques(pairs, (ours[0], theirs[0]) if ours and theirs else None)

    @cached_property
    def distance(self) -> Distance | None:
        """The distance between real and fake, from the judges of the strongest technique."""
        return self.strongest and distance(self.runs, self.strongest.technique)

    @cached_property
    def distances(self) -> list[Distance]:
        """The distance from the judges of every technique that judges one image at a time."""
        return [
            self.distance if self.distance and name == self.distance.technique else distance(self.runs, name)
            for name in self.runs[0].declared.techniques
            if name != BAG
        ]

    @cached_property
    def verdict(self) -> Verdict:
        """The verdict, as ``verdict.json`` has it."""
        terms = self.runs[0].declared
        outcome = decide(self.findings, self.guards)
        said = sentence(outcome, self.findings, self.guards, self.runs)
        limit = self.limits.get(STRONGEST)
        differences = {
            name: next((each.difference for each in listed if each.technique == STRONGEST), None)
            for name, listed in self.contrasts.items()
        }
        return Verdict(
            answer=outcome,
            margin=terms.answer.margin,
            alpha=terms.answer.alpha,
            round=terms.last_round,
            techniques={each.technique: technique_verdict(each, terms.answer.alpha) for each in self.findings},
            tiers=self.tiers,
            strongest=self.strongest,
            limit=limit and limit.fitted.limit,
            limit_reason=(limit.fitted.reason or ASSUMPTION)
            if limit
            else "no fit technique was judged at the last round",
            distance=self.distance,
            control=differences if any(differences.values()) else None,
            guards=self.guards,
            power=self.power,
            faults=tuple(fault for run in self.runs for fault in run.faults),
            sentence=" ".join([said, tiers_sentence(self.tiers), *self._power_in_words()])
            if outcome != "invalid"
            else said,
        )

    @cached_property
    def power(self) -> float | None:
        """Probability with which a perfect generator would have passed in one run. None without fresh judges."""
        terms = self.runs[0].declared
        fresh = [record for name in terms.techniques if name != BAG for record in self.runs[0].fresh(name).values()]
        if not fresh:
            return None
        reals, fakes = min((record.n_real, record.n_fake) for record in fresh)
        limits = {"margin": terms.answer.margin, "alpha": terms.answer.alpha}
        return power(reals=reals, fakes=fakes, techniques=len(terms.techniques), **limits)

    @cached_property
    def attack(self) -> list[str]:
        """The checks of its attacks in words, beside the conditions that were answered together with it."""
        none = self.controls.get("none")
        return attack_in_words(self.condition, none.runs if none else (), self.among)

    @cached_property
    def compute(self) -> str | None:
        """The multiply-accumulates of a response beside those of ``access=none``, in words."""
        none = self.controls.get("none")
        return none and compute_in_words(self.runs, none.runs, "none")

    def _power_in_words(self) -> list[str]:
        if self.power is None:
            return []
        one = " in one run" if len(self.runs) > 1 else ""
        return [f"A perfect generator would have passed{one} with probability {self.power:.2f}."]

    @cached_property
    def trajectory(self) -> Trajectory:
        """The verdict's figures round by round."""
        return trajectory(self.condition, self.findings)

    @cached_property
    def series(self) -> list[Series]:
        """AUC of each technique in each regime, round by round, of a condition with one run."""
        return read_series(self.run.path, self.run.records)

    @cached_property
    def games(self) -> dict[str, Game]:
        """Technique -> its game, of a condition with one run."""
        return game(self.run.path, self.run.records)

    def as_json(self) -> dict[str, object]:
        """Return condition, runs, verdict, contrasts, cross matrix, limits, attacks and compute as plain containers."""
        return {
            "condition": self.condition.name,
            "runs": [str(run.path) for run in self.runs],
            "verdict": self.verdict.as_json(),
            "contrasts": {
                control: [
                    {
                        "technique": each.technique,
                        **each.difference.as_json("difference"),
                        "pairs": each.pairs,
                        "judge_images": each.judge_images,
                    }
                    for each in listed
                ]
                for control, listed in self.contrasts.items()
            },
            "equal_quality": {
                control: [each.as_json() for each in listed] for control, listed in self.equal_quality.items()
            },
            "cross": cross_in_words(self.cross, self.verdict.margin, self.verdict.alpha),
            "limits": {kind: limit.as_json() for kind, limit in self.limits.items()},
            "attack": self.attack,
            "compute": self.compute,
        }


def read_answer(run: Path) -> Answer:
    """Read the answer of one finished run from its records."""
    return answer_of([read_run(run)])


def answer_of(runs: Sequence[FinishedRun]) -> Answer:
    """Return the answer of one run, or of several whose configs differ in their seeds alone."""
    condition = Condition(f"access={runs[0].access}", tuple(runs))
    return Answer(condition, tuple(findings(runs)))


def answers(groups: Sequence[Condition], answered: Mapping[Path, Sequence[Scores]] | None = None) -> list[Answer]:
    """Return the answer of every condition, beside the matched controls among them.

    ``answered`` has for a run directory the answers of people to the quiz of that run, as one more technique.
    """
    alone = {
        group.name: Answer(group, tuple(findings(group.runs, people(group.runs, answered or {}))), among=groups)
        for group in groups
    }
    listed = []
    for group in groups:
        controls = {name: alone[control.name] for name, control in group.controls(groups).items()}
        listed.append(dataclasses.replace(alone[group.name], controls=controls) if controls else alone[group.name])
    return listed


def find_answers(places: Sequence[Path], human: Sequence[Path] = ()) -> tuple[list[Answer], list[str]]:
    """Read the finished runs in some folders, group them into conditions, and answer.

    Args:
        places: run directories, or folders that hold some.
        human: files of answers to the quizzes of these runs.

    Returns:
        One answer per condition, and a line for each run that could not be read.
    """
    runs, passed_over = find_runs(places)
    return answers(conditions(runs), sort_answers(human, runs) if human else None), passed_over
