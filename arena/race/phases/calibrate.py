"""Step 0, calibrate: judge controls of known outcome before the race (rules of evidence 4 and 7)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist, fmean

from arena.config.schema import STACK
from arena.core.progress import Progress
from arena.detectors.base import GanAwareDetector
from arena.generators.base import Generator
from arena.generators.controls import Artefact, Oracle, Planted
from arena.generators.floor import Floor
from arena.metrics.auc import summarise
from arena.race.case import Case, JudgeFakes, fakes_of_judges, redealt
from arena.race.checkpoints import Bank, load_bank
from arena.race.judging import Judgement, fitness_record, judge_case
from arena.race.race import PhaseOutput, Race
from arena.records.schema import ControlRecord, Record, Summary, TechniqueRecord
from arena.records.store import write_scores
from arena.training.meter import Meter

ORACLE, FLOOR, EQUAL_N = "oracle", "floor", "equal_n"
JOINT_CONFIDENCE = 0.999
"""Joint over a battery: a true null is called broken once in a thousand races."""


def controls(race: Race) -> list[str]:
    """Return the players of this phase: the oracle, the floor, and each artefact that belongs to a technique."""
    return [ORACLE, FLOOR, *artefacts(race)]


def artefacts(race: Race) -> list[Artefact]:
    """Return the artefacts that are planted, each once."""
    return sorted({own_artefact(race, technique) for technique in race.techniques})


def own_artefact(race: Race, technique: str) -> Artefact:
    """Return the artefact of a technique's family. Stack and bag have that of their first member."""
    return race.examples_of[technique if technique in race.members else next(iter(race.members))].artefact


def calibrate(race: Race, player: str, progress: Progress) -> PhaseOutput:
    """Judge real images as if they were fake, or real images with a faint artefact.

    The *oracle* must come out at AUC 1/2: it is a perfect generator. The *planted* artefact of a technique's own
    family, at the data's amplitude, must be caught. A judge that misses it is unfit. The *floor* resamples
    generator-train, and its outcome is not known beforehand.
    """
    if player == FLOOR:
        return _floor(race, progress)
    return _oracle(race, progress) if player == ORACLE else _planted(race, player, progress)


def _oracle(race: Race, progress: Progress) -> PhaseOutput:
    """Judge reals against held-out reals, with every judge seed.

    The AUC is a mean over judge seeds. Its 95% interval is that of one seed, since all seeds share the test. The
    control holds if 1/2 is within the joint bound of the battery.
    """
    seeds, budget = range(race.judge.seeds), race.judge.images
    case, seed = _case(race, Oracle(**race.shape), seeds), race.seed_of("calibrate", player=ORACLE)
    progress.expect(len(seeds) * race.judge.folds * budget)
    members, meter = list(race.members), Meter()
    judged, images = judge_case(race, case, members, seed, seeds, images=budget, progress=progress, meter=meter)
    normal = NormalDist()
    joint = normal.inv_cdf(1 - (1 - JOINT_CONFIDENCE) / (2 * len(race.techniques))) / normal.inv_cdf(0.975)
    found, files = _control_records(race, judged, ORACLE, "AUC 1/2", 0)
    held = [replace(each, holds=abs(each.found - 0.5) <= (each.high - each.found) * joint) for each in found]
    return PhaseOutput([*technique_records(race), *held], images, meter.spent, files)


def _floor(race: Race, progress: Progress) -> PhaseOutput:
    """Judge resampled reals of generator-train, in banks as large as the race's, with the judges of one seed.

    The interval is that of these images of generator-train: it covers neither other ones nor other judges.
    """
    case = _case(race, Floor(mirror=race.data.mirror, **race.shape), [0])
    seed, budget = race.seed_of("calibrate", player=FLOOR), race.judge.images
    progress.expect(race.judge.folds * budget)
    meter = Meter()
    judged, images = judge_case(
        race, case, list(race.members), seed, [0], images=budget, progress=progress, meter=meter
    )
    found, files = _control_records(race, judged, FLOOR, "-", 0)
    return PhaseOutput([*found], images, meter.spent, files)


def judge_equal_n(race: Race, round_index: int, progress: Progress) -> PhaseOutput:
    """Judge the race's own fakes in banks as small as the oracle's, with the judges of one seed.

    An AUC depends on the number of images that judges learn from. The oracle has few fakes, since they are reals, and a
    race many. Beside this outcome the oracle's is the least that can be expected at equal n. No result is expected.
    """
    oracle, bank = _control_bank(race, Oracle(**race.shape)), load_bank(race, round_index)
    ((train, validation),) = fakes_of_judges(race, bank, round_index, [0])
    few = JudgeFakes(train[: len(oracle.train)], validation[: len(oracle.validation)])
    # As for the oracle, no judge learns from the detectors' reals.
    case = Case.of(race, bank.test[: len(oracle.test)], [few], round_index, control=True)
    seed, members, budget = race.seed_of("judge", round_index, EQUAL_N), list(race.members), race.judge.images
    meter = Meter()
    judged, images = judge_case(race, case, members, seed, [0], images=budget, progress=progress, meter=meter)
    found, files = _control_records(race, judged, EQUAL_N, "-", round_index)
    return PhaseOutput([*found], images, meter.spent, files)


def _control_records(
    race: Race, judged: Sequence[Mapping[str, Judgement]], control: str, expected: str, round_index: int
) -> tuple[list[ControlRecord], list[Path]]:
    """Write the scores of each judge seed.

    Returns:
        The mean AUC of each technique with the interval of one seed, and the files of scores.
    """
    summaries: dict[str, list[Summary]] = {}
    files = []
    for judge_seed, judgements in enumerate(judged):
        for technique, judgement in judgements.items():
            summaries.setdefault(technique, []).append(summarise(judgement.test, race.margin))
            written = write_scores(race.run, f"{technique}_{control}_j{judge_seed}", judgement.test)
            files.append(race.run / written.file)
    records = []
    for technique, of_seeds in summaries.items():
        auc = fmean(summary.auc for summary in of_seeds)
        half = max(summary.auc_high - summary.auc_low for summary in of_seeds) / 2
        records.append(
            ControlRecord(
                round=round_index,
                seed=race.seed,
                control=control,
                technique=technique,
                expected=expected,
                found=auc,
                low=auc - half,
                high=auc + half,
                holds=None,
            )
        )
    return records, files


def _planted(race: Race, artefact: str, progress: Progress) -> PhaseOutput:
    """Judge reals with an artefact by the techniques to which it belongs."""
    own = [technique for technique in race.techniques if own_artefact(race, technique) == artefact]
    kind = own_artefact(race, own[0])
    case = _case(race, Planted(**race.shape, kind=kind, amplitude=race.data.planted_amplitude), [0])
    needed = list(race.members) if STACK in own else own  # the stack needs every member
    progress.expect(race.judge.folds * race.judge.images)
    seed = race.seed_of("calibrate", player=f"planted_{kind}")
    budget, meter = race.judge.images, Meter()
    (judgements,), images = judge_case(race, case, needed, seed, [0], images=budget, progress=progress, meter=meter)
    records: list[Record] = []
    bound = 0.5 + race.margin
    for technique in own:
        fitness = fitness_record(
            race,
            judgements[technique].test,
            technique,
            f"planted_{kind}",
            round_index=0,
            judge_seed=0,
            judge_images=budget,
            artefact=kind,
        )
        records.append(fitness)
        records.append(
            ControlRecord(
                round=0,
                seed=race.seed,
                control="planted",
                technique=technique,
                expected=f"AUC above {bound:g}",
                found=fitness.auc,
                low=fitness.auc_low,
                high=fitness.auc_high,
                holds=fitness.auc_low > bound,
            )
        )
    return PhaseOutput(records, images, meter.spent)


def _control_bank(race: Race, control: Generator) -> Bank:
    forged = control.forge(race.bank.counts, race.seed_of("forge", player="control"), race.generator_reals)
    return Bank.of(forged, race.data.levels)


def _case(race: Race, control: Generator, judge_seeds: Sequence[int]) -> Case:
    bank = _control_bank(race, control)
    return Case.of(race, bank.test, redealt(race, bank, judge_seeds), round_index=0, control=True)


def technique_records(race: Race) -> list[TechniqueRecord]:
    """Return the properties of every technique, and the reason for each that was left out."""
    present = [
        TechniqueRecord(
            round=0,
            seed=race.seed,
            technique=technique,
            reason="",
            artefact=detector.artefact,
            differentiable=detector.differentiable,
            needs_fakes=detector.needs_fakes,
            gan_aware=isinstance(detector, GanAwareDetector),
            parameters=sum(parameter.numel() for parameter in detector.parameters() if parameter.requires_grad),
        )
        for technique, detector in race.examples_of.items()
    ]
    unknown = dict.fromkeys(("artefact", "differentiable", "needs_fakes", "gan_aware", "parameters"))
    absent = [
        TechniqueRecord(round=0, seed=race.seed, technique=technique, reason=reason, **unknown)
        for technique, reason in race.left_out.items()
    ]
    return present + absent
