"""Runs that never ran: run directories with the records and scores a race would have written, in milliseconds.

The scores are normal: of a fresh judge, ``score = separation * label + what this image does to every judge + what this
judge makes of it``. The first two parts belong to the image and the technique alone, so that conditions with the same
data seed are tested by the same reals, and pairing has something to pair.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.stats import norm

from arena import __version__
from arena.answer.runs import declared, declared_hash, hash_of_reals
from arena.config.schema import AnswerConfig
from arena.core.degradations import Degradation
from arena.core.seeding import derive_seed
from arena.metrics.auc import summarise
from arena.records.schema import (
    ControlRecord,
    FitnessRecord,
    MarginRecord,
    PhaseRecord,
    ProvenanceRecord,
    QualityRecord,
    Record,
    Regime,
    ScoreFile,
    ScoreRecord,
    Scores,
    Summary,
    TrainingRecord,
)
from arena.records.store import RecordBook, write_scores

BATTERY = {"cnn": 0.5, "dct": 0.5, "forest": 0.5, "spectrum": 0.5, "stack": 0.5}
QUALITY = {
    "kernel_distance": 0.01,
    "kernel_distance_error": 0.001,
    "real_kernel_distance": 0.0002,
    "real_kernel_distance_error": 0.0005,
    "unit": "Gaussian noise of 15.9 grey levels of 255",
    "unit_kernel_distance": 0.08,
    "unit_kernel_distance_error": 0.005,
    "frechet_distance": 0.8,
    "frechet_distance_error": 0.2,
    "real_frechet_distance": -0.1,
    "real_frechet_distance_error": 0.2,
    "precision": 0.7,
    "recall": 0.6,
    "density": 0.9,
    "coverage": 0.8,
    "real_precision": 0.85,
    "real_recall": 0.75,
    "real_density": 1.0,
    "real_coverage": 0.95,
    "memorisation": 0.51,
    "memorisation_low": 0.47,
    "memorisation_high": 0.55,
    "near_copies": 0.001,
    "near_copies_low": 0.0005,
    "near_copies_chance": 0.003,
    "exact_copies": 0.0,
    "exact_copies_p": 1.0,
    "copied_at_most": 0.17,
    "class_attribute": "digit",
    "class_distance": 0.09,
    "class_distance_low": 0.05,
    "class_distance_high": 0.12,
    "unrecognised": 0.08,
    "missing_classes": (),
}


def judge_reals(n_real: int, data_seed: int) -> NDArray[np.int64]:
    """Ids of the reals that test."""
    order = np.random.default_rng(derive_seed(data_seed, "synthetic split")).permutation(3 * n_real)
    return np.sort(order[:n_real]).astype(np.int64)


def synthetic_config(
    *,
    seed: int = 0,
    data_seed: int = 0,
    access: str = "white_box",
    rounds: int = 2,
    techniques: Mapping[str, float] = BATTERY,
    judge_seeds: int = 3,
    folds: int = 3,
    n_real: int = 1000,
    answer: AnswerConfig | None = None,
) -> dict[str, object]:
    """A resolved config with every key the right wing reads, its declaration hashed."""
    config: dict[str, object] = {
        "data": {"_target_": "arena.data.digits.Digits", "resolution": 8, "seed": data_seed, "planted_amplitude": 2.0},
        "evidence": {"_target_": "arena.imaging.evidence.Evidence", "levels": 17, "jpeg": None, "resize": None},
        "generator": {"_target_": "arena.generators.style.StyleGenerator", "width": 32},
        "loss": {"name": "relativistic"},
        "access": {"name": access, "held_out": [], "control": access != "white_box"},
        "objective": {"name": "fool_all"},
        "pool": {"name": "all"},
        "battery": {
            "members": {name: {"_target_": f"arena.detectors.{name}"} for name in techniques if name != "stack"},
            "stack": {"_target_": "arena.detectors.stack"} if "stack" in techniques else None,
            "images": 20_000,
        },
        "race": {"rounds": rounds},
        "judge": {"seeds": judge_seeds, "folds": folds, "images": 20_000, "multiples": [], "more_seeds": 0},
        "answer": dataclasses.asdict(answer or AnswerConfig()),
        "trainer": {"precision": "auto", "accelerator": "auto"},
        "logger": {"mode": "none"},
        "seed": seed,
        "judge_reals": hash_of_reals(judge_reals(n_real, data_seed)),
        "run_dir": f"runs/{access}-{seed}",
        "cache_dir": "cache",
        "environment": {"arena_version": __version__, "python": "3.11"},
    }
    return config | {"declared": declared_hash(declared(config))}


def training_record(purpose: str, **figures: Any) -> TrainingRecord:
    """The state of a GAN after one interval, without the figures that are not given."""
    unknown = ("kernel_distance", "kernel_distance_error", "precision", "recall", "coverage", "memorisation")
    blank: dict[str, Any] = dict.fromkeys((*unknown, "memorisation_low", "memorisation_high", "variety", "fault"))
    blank |= {
        "round": 0,
        "seed": 0,
        "images": 64,
        "images_seen": 64,
        "n": 8,
        "augmentation": 0.0,
        "learning_rate": 0.01,
    }
    return TrainingRecord(purpose=purpose, **(blank | figures))


def synthetic_run(
    run: Path,
    *,
    techniques: Mapping[str, float] = BATTERY,
    start: float = 0.995,
    seed: int = 0,
    data_seed: int = 0,
    access: str = "white_box",
    rounds: int = 2,
    judge_seeds: int = 3,
    folds: int = 3,
    n_real: int = 1000,
    n_fake: int = 1000,
    answer: AnswerConfig | None = None,
    frozen: float = 0.05,
    planted: Mapping[str, float] | float = 0.98,
    half_loss: float = 0.0,
    loop_gain: float = -0.01,
    quality: Mapping[str, object] | None = None,
    differences: tuple[str, ...] = (),
    unrecorded: tuple[str, ...] = (),
    margins: Mapping[Degradation, Mapping[float, float]] | None = None,
    finished: bool = True,
) -> Path:
    """Write a run directory: ``config.yaml``, ``records.jsonl`` and ``scores/``.

    Args:
        run: the directory to make.
        techniques: technique -> AUC expected of its fresh judges at the last round.
        start: AUC expected of every fresh judge at round 0; between, the separation moves in equal steps.
        seed: of the run: its fakes and its judges.
        data_seed: of the split: which reals test.
        access: its name. All except white_box are controls. No access is given to ``forest`` and ``stack``.
        rounds: responses of the generator; there is one round more.
        judge_seeds: fresh judges of each technique.
        folds: cross-fitting folds.
        n_real: judge reals.
        n_fake: test bank of fakes.
        answer: how the outcome is read.
        frozen: AUC expected of every frozen detector.
        planted: AUC expected of a judge on its planted artefact, for all or by technique.
        half_loss: what half the data and images cost a judge, in AUC.
        loop_gain: AUC expected of the retrained detector in the loop less that of fresh judges.
        quality: figures of the last round's ``QualityRecord`` that differ from ``QUALITY``.
        differences: what differs between the files of reals and of fakes.
        unrecorded: techniques of the battery whose judges left no record at the last round.
        margins: degradation -> level -> AUC expected there, of every technique at the last round.
        finished: whether the last round was measured.

    Returns:
        ``run``.
    """
    config = synthetic_config(
        seed=seed,
        data_seed=data_seed,
        access=access,
        rounds=rounds,
        techniques=techniques,
        judge_seeds=judge_seeds,
        folds=folds,
        n_real=n_real,
        answer=answer,
    )
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    attacked = () if access != "white_box" else tuple(name for name in techniques if name not in ("forest", "stack"))
    bench = Bench(run, seed, data_seed, access, folds, n_real, n_fake, (answer or AnswerConfig()).margin, attacked)

    beforehand: list[Record] = []
    for name in techniques:
        amount = planted.get(name, 0.98) if isinstance(planted, Mapping) else planted
        beforehand += [
            bench.fitness(0, name, 0, amount, artefact="checkerboard"),
            bench.control(0, "oracle", name, 0.5),
            bench.control(0, "floor", name, 0.7),
        ]
    bench.close("fitness", 0, "", beforehand)
    provenance = ProvenanceRecord(round=0, seed=seed, checked=True, differences=differences)
    bench.close("provenance", 0, "", [provenance])
    for round_index in range(rounds + 1):
        share = round_index / rounds if rounds else 1.0
        bench.close("forge", round_index, "generator", [])
        for name, end in techniques.items():
            expected = float(norm.cdf((1 - share) * norm.ppf(start) + share * norm.ppf(np.clip(end, 1e-4, 1 - 1e-4))))
            past = [bench.cell(round_index, name, round_index, detector, frozen) for detector in range(round_index)]
            bench.close("confront", round_index, name, past)
            now = bench.cell(round_index, name, round_index, round_index, expected + loop_gain)
            trained = [*(bench.cell(round_index, name, g, round_index, 0.9) for g in range(round_index)), now]
            bench.close("retrain", round_index, name, trained)
            if round_index == rounds and name in unrecorded:
                continue
            judged: list[Record] = [bench.fresh(round_index, name, judge, expected) for judge in range(judge_seeds)]
            if round_index == rounds:
                halved = expected - half_loss
                judged += [
                    bench.fitness(round_index, name, judge, halved, artefact=None) for judge in range(judge_seeds)
                ]
                judged.append(bench.control(round_index, "equal_n", name, expected))
            bench.close("judge", round_index, name, judged)
        if round_index == rounds:
            for degradation, aucs in (margins or {}).items():
                found = [
                    bench.withstood(round_index, name, degradation, level, auc)
                    for level, auc in aucs.items()
                    for name in techniques
                ]
                bench.close("margin", round_index, degradation, found)
        if round_index == rounds and not finished:
            return run
        figures: dict[str, Any] = QUALITY | (dict(quality or {}) if round_index == rounds else {})
        quality_record = QualityRecord(round=round_index, seed=seed, features="fitted", n=n_real, **figures)
        bench.close("measure", round_index, "", [quality_record])
        if round_index < rounds:
            bench.close("respond", round_index, "generator", [])
    return run


@dataclasses.dataclass(frozen=True)
class Bench:
    """Draws the scores of one run, and writes them and their records. Fields are named as in ``synthetic_run``."""

    run: Path
    seed: int
    data_seed: int
    access: str
    folds: int
    n_real: int
    n_fake: int
    margin: float
    attacked: tuple[str, ...]

    @cached_property
    def book(self) -> RecordBook:
        return RecordBook(self.run)

    @cached_property
    def real_ids(self) -> NDArray[np.int64]:
        return judge_reals(self.n_real, self.data_seed)

    def close(self, phase: str, round_index: int, player: str, records: Sequence[Record]) -> None:
        closing = PhaseRecord(
            round=round_index,
            seed=self.seed,
            phase=phase,
            player=player,
            images=20_000,
            seconds=1.5,
            peak_memory_mib=512.0,
            device="cpu",
            precision="fp32",
        )
        self.book.append([*records, closing])

    def fresh(self, round_index: int, technique: str, judge: int, auc: float) -> ScoreRecord:
        validation = float(
            np.clip(auc + 0.003 * self._rng("validation", round_index, f"{technique}-{judge}").normal(), 0, 1)
        )
        return self._score(round_index, technique, "fresh", auc, round_index, round_index, judge, validation)

    def cell(self, round_index: int, technique: str, generator: int, detector: int, auc: float) -> ScoreRecord:
        regime = "frozen" if detector < generator else "retrained"
        return self._score(round_index, technique, regime, auc, generator, detector, None, None)

    def fitness(self, round_index: int, technique: str, judge: int, auc: float, artefact: str | None) -> FitnessRecord:
        name = f"fitness-{artefact or 'half'}-{technique}-{round_index}-{judge}"
        summary, file = self._scored(name, technique, auc, round_index, self.folds)
        return FitnessRecord(
            round=round_index,
            seed=self.seed,
            technique=technique,
            artefact=artefact,
            amplitude=None if artefact is None else 2.0,
            share=0.5 if artefact is None else 1.0,
            judge_seed=judge,
            judge_images=20_000,
            scores=file,
            **summary.as_fields(),
        )

    def withstood(
        self, round_index: int, technique: str, degradation: Degradation, level: float, auc: float
    ) -> MarginRecord:
        summary, file = self._scored(
            f"margin-{degradation}-{level:g}-{technique}", technique, auc, round_index, self.folds
        )
        return MarginRecord(
            round=round_index,
            seed=self.seed,
            technique=technique,
            degradation=degradation,
            level=level,
            judge_seed=0,
            scores=file,
            **summary.as_fields(),
        )

    def control(self, round_index: int, control: str, technique: str, auc: float) -> ControlRecord:
        summary, _ = self._scored(f"{control}-{technique}", technique, auc, round_index, self.folds)
        return ControlRecord(
            round=round_index,
            seed=self.seed,
            control=control,
            technique=technique,
            expected="AUC 1/2" if control == "oracle" else "-",
            found=summary.auc,
            low=summary.auc_low,
            high=summary.auc_high,
            holds=summary.p_above > 0.001 if control == "oracle" else None,
        )

    def _score(
        self,
        round_index: int,
        technique: str,
        regime: Regime,
        auc: float,
        generator_round: int,
        detector_round: int,
        judge: int | None,
        validation_auc: float | None,
    ) -> ScoreRecord:
        folds = 1 if judge is None else self.folds
        name = f"{regime}-{technique}-{generator_round}-{detector_round}-{judge}"
        fakes = self.n_fake if generator_round == detector_round else self.n_fake // 4
        summary, file = self._scored(name, technique, auc, generator_round, folds, fakes)
        return ScoreRecord(
            round=round_index,
            seed=self.seed,
            technique=technique,
            detector=technique,
            regime=regime,
            access="gradients" if technique in self.attacked else "none",
            judge_seed=judge,
            judge_images=None if judge is None else 20_000,
            generator_round=generator_round,
            detector_round=detector_round,
            validation_auc=validation_auc,
            scores=file,
            **dataclasses.asdict(summary),
        )

    def _scored(
        self, name: str, technique: str, auc: float, round_index: int, folds: int, fakes: int | None = None
    ) -> tuple[Summary, ScoreFile]:
        """Scores whose expected AUC is ``auc``: half of their variance is the image's, half the judge's."""
        of_reals = np.random.default_rng(derive_seed(0, "real", 0, technique)).normal(size=3 * self.n_real)
        fakes = self.n_fake if fakes is None else fakes
        of_fakes = self._rng("fake", round_index, technique).normal(size=fakes)
        image = np.concatenate([of_reals[self.real_ids], of_fakes])
        label = np.repeat([0, 1], [self.n_real, fakes]).astype(np.uint8)
        separation = np.sqrt(2.0) * norm.ppf(np.clip(auc, 1e-4, 1 - 1e-4))
        score = label * separation + np.sqrt(0.5) * (
            image + self._rng("judge", round_index, name).normal(size=len(image))
        )
        index = np.concatenate([np.arange(self.n_real), np.arange(fakes)])
        ids = np.concatenate([self.real_ids, np.arange(fakes)])
        scores = Scores(score.astype(np.float32), label, ids, (index % folds).astype(np.uint8), ids)
        return summarise(scores, self.margin), write_scores(self.run, name, scores)

    def _rng(self, purpose: str, round_index: int, player: str) -> np.random.Generator:
        return np.random.default_rng(derive_seed(self.seed, purpose, round_index, f"{self.access}/{player}"))
