"""Task ``modes``: draw from a distribution whose modes are known, so that dropping or misweighting one can be counted.

No solver is needed: the distribution itself makes training data and reference set, as many independent samples as asked
for. The comparison counts modes, sharpness and weights beside what exact samples of the same number come to, and holds
the samples against exact ones by distances with floor and null band, as it would against a solver's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from experiments.config import CompareConfig, ExperimentConfig, SamplesConfig, SystemConfig
from experiments.errors import UserError
from experiments.export import Fields
from experiments.reporting import Report
from experiments.tasks.task import NONE, Task, check_draws
from gan.config import TrainingConfig
from gan.settings import setting

if TYPE_CHECKING:
    from jax import Array

    from experiments.evaluation.baselines import Fitted
    from experiments.evaluation.exact_samples import ExactDistribution
    from experiments.evaluation.results import Comparison
    from gan.networks.players import SampleSpec
    from gan.training.problem import Problem
    from gan.training.trained import Trained

AXES = ("y", "x")
COMPARE = CompareConfig(fields=2048, draws=200)
SMOKE_COMPARE = CompareConfig(fields=128, draws=80, repeats=1)
SMOKE_TRAINING = TrainingConfig(
    steps=40,
    batch=16,
    steps_per_call=5,
    log_every=10,
    checkpoint_every=20,
    diagnose_every=20,
    validation_samples=128,
    sample_history=16,
    sample_chunk=128,
)
"""For the presets of every distribution: sizes of the comparison, and what a test has time for."""


@dataclass(frozen=True)
class ModesConfig(SystemConfig):
    """How many samples the modes are counted over."""

    counted: int = setting(20_000, "samples over which modes and their weights are counted", "samples", minimum=2)


@dataclass(frozen=True)
class Drawn:
    """Samples of a distribution, split; what a certified data set is to a solver."""

    distribution: ExactDistribution
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    path: str
    description: Mapping[str, object]


@dataclass(frozen=True)
class Modes(Task[Drawn]):
    """The task for one distribution.

    Attributes:
        distribution: ``(config, report) -> ExactDistribution``; training a classifier is done here.
        shape: ``config -> (*grid, C)`` of a sample; reads and checks what a user gives.
        padding: boundary rule of the samples' grid, where they have one.
    """

    unread: ClassVar[tuple[str, ...]] = (
        "solver_layer",
        "compare.tested",
        "compare.refined",
        "compare.relabellings",
        "compare.refine",
        "compare.separations",
        "compare.resolved",
        "compare.members",
        "compare.cases",
        "compare.resamples",
        "compare.search",
    )

    distribution: Callable[[ExperimentConfig, Report], ExactDistribution]
    shape: Callable[[ExperimentConfig], tuple[int, ...]]
    padding: str = "zero"

    def own_settings(self, config: ExperimentConfig) -> ModesConfig:
        """Return the section ``system``, which is this task's own."""
        assert isinstance(config.system, ModesConfig)
        return config.system

    def samples_per_trajectory(self, config: ExperimentConfig) -> int:
        """Every sample is independent."""
        return 1

    def drawn_alone(self, config: ExperimentConfig) -> bool:
        """A sample is what the generator makes."""
        return True

    def check(self, config: ExperimentConfig) -> None:
        """Refuse sizes that would fail only once the training is done."""
        from experiments.evaluation.distances import distance_names

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
        check_draws(config, distance_names(homogeneous=False, separations=(), quantiles=config.compare.quantiles))

    def spec(self, config: ExperimentConfig) -> SampleSpec:
        """Samples of the distribution; reads and checks what a user gives."""
        from gan import SampleSpec

        return SampleSpec(self.shape(config), padding=self.padding)

    def data(self, config: ExperimentConfig, report: Report) -> Drawn:
        """Draw the samples: each split from a random stream of its own."""
        began = time.monotonic()
        distribution = self.distribution(config, report)
        splits = ("train", "validation", "test")
        drawn = [
            distribution.draw(split, count, np.random.default_rng((config.data.seed, place))).astype(np.float32)
            for place, (split, count) in enumerate(zip(splits, config.data.samples))
        ]
        sizes = dict(zip(splits, config.data.samples))
        description = {
            "distribution": distribution.name,
            "modes": len(distribution.weights),
            "samples": sizes,
            **distribution.description,
        }
        seconds = {"seconds": round(time.monotonic() - began, 3)}
        train, validation, test = drawn
        return Drawn(
            distribution, train, validation, test, f"drawn from {distribution.name}", {**description, **seconds}
        )

    def with_fresh_test(
        self, config: ExperimentConfig, dataset: Drawn, seed: int, report: Report
    ) -> tuple[ExperimentConfig, Drawn]:
        """Draw new test samples of the distribution."""
        own = replace(config, data=replace(config.data, seed=seed))
        test = dataset.distribution.draw("test", config.data.samples[2], np.random.default_rng((seed, 2))).astype(
            np.float32
        )
        return own, replace(dataset, test=test)

    def problem(self, config: ExperimentConfig, dataset: Drawn) -> Problem:
        """Train on the drawn samples, counting the modes at every checkpoint."""
        from experiments.evaluation.scores import mode_scores
        from gan import Problem

        distribution = dataset.distribution
        return Problem(
            train=dataset.train,
            validation=dataset.validation,
            padding=self.padding,
            measure=lambda samples: mode_scores(distribution.label(samples), distribution.weights),
        )

    def compare(
        self,
        config: ExperimentConfig,
        dataset: Drawn,
        trained: Trained,
        seconds: Mapping[str, float],
        report: Report,
        baselines: Mapping[str, Fitted] = NONE,
    ) -> tuple[Comparison, dict[str, np.ndarray]]:
        """Modes, weights and distances, each beside what exact samples of the same number come to."""
        from experiments.evaluation.exact_samples import compare_exact_samples
        from experiments.evaluation.results import Comparison
        from experiments.evaluation.verdict import verdict

        distribution = dataset.distribution
        sections, figures = compare_exact_samples(
            distribution,
            trained.sample,
            dataset.train,
            dataset.test,
            counted=self.own_settings(config).counted,
            settings=config.compare,
            fitted=baselines,
            seconds=seconds,
            progress=report,
        )
        title = f"{distribution.name}: generator against exact samples"
        return Comparison(
            title, verdict(sections), config.compare.fields, sections, channels=distribution.channels
        ), figures

    def sampler(self, config: ExperimentConfig, dataset: Drawn, trained: Trained) -> Callable[..., Fields]:
        """Draw samples with the names of their axes."""
        grid = dataset.train.shape[1:-1]

        def draw(count: int, *, key: Array, refine: float = 0.0) -> Fields:
            if refine:
                raise UserError(f"refine is {refine:g}, but there is no solver here: leave it at 0.")
            return Fields(
                trained.sample(key, count),
                ("sample", *AXES[: len(grid)], "channel"),
                {name: np.arange(size) for name, size in zip(AXES, grid)},
                dataset.distribution.channels,
                attrs={"distribution": dataset.distribution.name, "step": trained.step},
            )

        return draw
