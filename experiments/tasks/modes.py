"""Task ``modes``: draw from a law whose modes are known, so that dropping or misweighting one can be counted.

No solver is needed: the law itself makes training data and yardstick, as many independent samples as asked for. The
comparison counts modes, sharpness and weights beside what exact samples of the same number come to, and holds the
samples against exact ones by distances with floor and null band, as it would against a solver's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from experiments.config import CompareConfig, ExperimentConfig, SamplesConfig, SystemConfig
from experiments.errors import UserError
from experiments.export import Fields
from experiments.options import setting
from experiments.tasks.task import NONE, Report, Task, check_draws
from gan.config import TrainingConfig

AXES = ("y", "x")
NULL_DRAWS = 60
"""Sets of exact samples that give each score its band."""
DISTANCES = 3
"""Values, sliced and kernel, what means something without a place in space; quantiles are one more if asked for."""
COMPARE = CompareConfig(fields=2048, draws=200)
SMOKE_COMPARE = CompareConfig(fields=128, draws=80, resamples=20, repeats=1)
SMOKE_TRAINING = TrainingConfig(
    steps=40,
    batch=16,
    steps_per_call=5,
    log_every=10,
    checkpoint_every=20,
    diagnose_every=20,
    validation_samples=128,
    film=16,
    sample_chunk=128,
)
"""For the presets of every law: sizes of the comparison, and what a test has time for."""


@runtime_checkable
class Law(Protocol):
    """What the task needs to know of a law.

    Attributes:
        name: of the law.
        weights: of its modes, summing to 1.
        channels: names of the numbers at each point of a sample.
        description: what there is to say of it, in plain values.
    """

    name: str
    weights: np.ndarray
    channels: tuple[str, ...]
    description: Mapping[str, Any]

    def draw(self, split: str, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw independent samples (count, *grid, C) of a split: train, validation or test."""
        ...

    def label(self, samples: np.ndarray) -> Any:
        """Return the ``gan.metrics.Labels`` of samples."""
        ...

    def exact(self, count: int, rng: np.random.Generator) -> Any:
        """Return the labels of ``count`` independent samples of the test split."""
        ...


@dataclass(frozen=True)
class ModesConfig(SystemConfig):
    """How many samples the modes are counted over."""

    counted: int = setting(20_000, "samples over which modes and their weights are counted", "samples", minimum=2)


@dataclass(frozen=True)
class Drawn:
    """Samples of a law, split; what a certified data set is to a solver."""

    law: Law
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    path: str
    description: dict[str, Any]


@dataclass(frozen=True)
class Modes(Task):
    """The task for one law.

    Attributes:
        law: ``(config, report) -> Law``; training a classifier is done here.
        shape: ``config -> (*grid, C)`` of a sample; reads and checks what a user gives.
        padding: boundary rule of the samples' grid, where they have one.
    """

    law: Callable[[ExperimentConfig, Report], Law]
    shape: Callable[[ExperimentConfig], tuple[int, ...]]
    padding: str = "zero"

    def told(self, config: ExperimentConfig) -> ModesConfig:
        """Return the section ``system``, which is this task's own."""
        assert isinstance(config.system, ModesConfig)
        return config.system

    def samples_per_trajectory(self, config: ExperimentConfig) -> int:
        """Every sample is independent."""
        return 1

    def check(self, config: ExperimentConfig) -> None:
        """Refuse sizes that would fail only once the training is done."""
        data, taken = config.data, config.training.batch * config.game.critic_steps
        assert isinstance(data, SamplesConfig)
        train, _, test = data.samples
        if train < taken:
            raise UserError(
                f"--training.batch {config.training.batch} takes {taken} samples for one update, but "
                f"--data.samples draws only {train} to train on: draw more, or choose a smaller batch."
            )
        if test < 2 * config.compare.fields:
            raise UserError(
                f"--compare.fields {config.compare.fields} needs two sets of as many test samples, but --data.samples "
                f"draws {test}: draw {2 * config.compare.fields}, or compare fewer."
            )
        if config.carry.tau > 0:
            raise UserError(f"--carry.tau {config.carry.tau:g}: there is no solver here, leave it at 0.")
        distances = DISTANCES + bool(config.compare.quantiles)
        least = int(np.ceil(distances / config.compare.level))
        check_draws(config, least, f"{distances} distances tested")

    def spec(self, config: ExperimentConfig) -> Any:
        """Samples of the law; reads and checks what a user gives."""
        from gan import SampleSpec

        return SampleSpec(self.shape(config), padding=self.padding)

    def data(self, config: ExperimentConfig, report: Report) -> Drawn:
        """Draw the samples: each split from a random stream of its own."""
        began = time.monotonic()
        law = self.law(config, report)
        splits = ("train", "validation", "test")
        drawn = [
            law.draw(split, count, np.random.default_rng((config.data.seed, place))).astype(np.float32)
            for place, (split, count) in enumerate(zip(splits, config.data.samples))
        ]
        sizes = dict(zip(splits, config.data.samples))
        description = {"law": law.name, "modes": len(law.weights), "samples": sizes, **law.description}
        seconds = {"seconds": round(time.monotonic() - began, 3)}
        train, validation, test = drawn
        return Drawn(law, train, validation, test, f"drawn from {law.name}", {**description, **seconds})

    def problem(self, config: ExperimentConfig, dataset: Drawn) -> Any:
        """Train on the drawn samples, counting the modes at every checkpoint."""
        from gan import Problem
        from gan.metrics import mode_scores

        law = dataset.law
        return Problem(
            train=dataset.train,
            validation=dataset.validation,
            padding=self.padding,
            measure=lambda samples: mode_scores(law.label(samples), law.weights),
        )

    def compare(
        self,
        config: ExperimentConfig,
        dataset: Drawn,
        trained: Any,
        seconds: dict[str, float],
        report: Report,
        baselines: Mapping[str, Any] = NONE,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Modes, weights and distances, each beside what exact samples of the same number come to."""
        from experiments.tasks.exact_samples import ModesComparison

        return ModesComparison(self, config, dataset, trained, report).run(seconds, baselines)

    def sampler(self, config: ExperimentConfig, dataset: Drawn, trained: Any) -> Callable[..., Fields]:
        """Draw samples with the names of their axes."""
        grid = dataset.train.shape[1:-1]

        def draw(count: int, *, key: Any, refine: float = 0.0) -> Fields:
            if refine:
                raise UserError(f"refine is {refine:g}, but there is no solver here: leave it at 0.")
            return Fields(
                trained.sample(key, count),
                ("sample", *AXES[: len(grid)], "channel"),
                {name: np.arange(size) for name, size in zip(AXES, grid)},
                dataset.law.channels,
                attrs={"law": dataset.law.name, "step": trained.step},
            )

        return draw


def course(metrics: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return what was measured along the training, by name, with the steps under ``step``."""
    rows = [row for row in metrics if all(name in row for name in names)]
    return {name: np.array([row[name] for row in rows]) for name in ("step", *names)}
