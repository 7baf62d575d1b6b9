"""Task ``measurements``: draw virtual runs of an apparatus at any setting, having learned from a table of real runs.

The table is a file of the user's, or the runs of one of three apparatuses whose true law is known
(`experiments.tasks.apparatus`). The generator is given the setting and draws the responses. It is held against real
runs that it has not seen, beside bootstraps, a Gaussian copula, a Gaussian process and, where the law is known, the
fitted equation: by the number of real runs that it is worth at each setting, by its CRPS, and by what virtual runs make
of a planned test.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from experiments.config import LARGEST_SEED, ExperimentConfig, SystemConfig
from experiments.errors import UserError
from experiments.export import Fields
from experiments.reporting import Report
from experiments.tasks.task import NONE, Task
from gan.settings import check, setting

if TYPE_CHECKING:
    from jax import Array

    from experiments.evaluation.baselines import Fitted
    from experiments.evaluation.results import Comparison
    from experiments.evaluation.virtual_runs import Held, Pairs, Trial
    from experiments.own_data.tables import Table
    from experiments.tasks.apparatus import Apparatus
    from gan.networks.players import SampleSpec
    from gan.training.problem import Problem
    from gan.training.trained import Trained

PENDULUM, REACTION, EPIDEMIC = NAMES = ("pendulum", "reaction", "epidemic")
"""Names of the apparatuses, here so that help does not import jax."""
STEPS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Shares of a level of the design by which settings of a planned test differ."""
EFFECTS = (0.4, 1.5)
"""Differences that are planned for, in standard deviations: a test of smaller or larger ones is not planned."""
PILOTS = (4, 8, 16, 32, 64)
"""Real runs at each setting of the pilots that stand beside plans by virtual runs."""
AUTOENCODER_UPDATES = 4
"""Updates of an autoencoder for each of the generator's: theirs are cheaper."""
MOST_PAIRS = 12
"""Pairs of settings of planned tests at most."""
_ROUGHLY = 64
"""Runs that say roughly how large a difference is."""


@dataclass(frozen=True)
class TableConfig:
    """How the runs of a file are split: whole settings, drawn at random."""

    shares: tuple[float, float, float] = setting(
        (0.7, 0.1, 0.2), "shares of a file's settings for training, validation and test", above=0
    )
    seed: int = setting(
        0,
        "seed of the split; of the measurements of an apparatus too, with --seed, so that no two runs share them",
        minimum=0,
        maximum=LARGEST_SEED,
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class MeasurementsConfig(SystemConfig):
    """Which table, and which test is planned."""

    file: str = setting("", "table of runs: .csv, .npz, .nc, .h5 or .zarr (empty: the apparatus is measured)")
    factors: tuple[str, ...] = setting((), "columns of the file that were set, numbers or labels")
    responses: tuple[str, ...] = setting((), "columns of the file that were read")
    logs: tuple[str, ...] = setting((), "responses of the file that are learned and compared as logarithms")
    apparatus: str = setting(PENDULUM, "whose runs are made where no file is given", choices=NAMES)
    replicates: int = setting(6, "real runs at each setting of its design", "runs", minimum=2, maximum=10_000)
    planned: int = setting(12, "real runs in each group of its planned test", "runs", minimum=2, maximum=10_000)
    pooled: int = setting(60, "virtual runs pooled with them", "runs", minimum=1, maximum=100_000)


@dataclass(frozen=True)
class Measured:
    """Runs, split.

    Attributes:
        train: real runs that the generator learns from.
        validation: others, which the validation metric alone looks at.
        asked: settings that none of them has.
        truth: makes what methods are compared with: held-out runs by place, and a planned test, None where the true
            law is not known.
        path: of the file, or what made the runs.
        description: for ``data.json``.
    """

    train: Table
    validation: Table
    asked: np.ndarray
    truth: Callable[[], tuple[Mapping[str, Held], Trial | None]]
    path: str
    description: Mapping[str, object]


@dataclass(frozen=True)
class Measurements(Task[Measured]):
    """The task; stateless."""

    unread: ClassVar[tuple[str, ...]] = (
        "solver_layer",
        "compare.draws",
        "compare.tested",
        "compare.refined",
        "compare.relabellings",
        "compare.resamples",
        "compare.level",
        "compare.refine",
        "compare.separations",
        "compare.quantiles",
        "compare.projections",
        "compare.resolved",
        "compare.members",
        "compare.cases",
        "compare.search",
    )

    def own_settings(self, config: ExperimentConfig) -> MeasurementsConfig:
        """Return the section ``system``, which is this task's own."""
        assert isinstance(config.system, MeasurementsConfig)
        return config.system

    def unread_by(self, config: ExperimentConfig) -> tuple[str, ...]:
        """A file has no apparatus, and an apparatus no columns to choose."""
        if self.own_settings(config).file:
            return (*self.unread, "system.apparatus", "system.replicates", "system.planned", "system.pooled")
        return (*self.unread, "system.factors", "system.responses", "system.logs", "data.shares")

    def samples_per_trajectory(self, config: ExperimentConfig) -> int:
        """Every run is a sample."""
        return 1

    def drawn_alone(self, config: ExperimentConfig) -> bool:
        """Logarithms are undone after the generator."""
        own = self.own_settings(config)
        return not (own.logs if own.file else self._apparatus(config).logs)

    def check(self, config: ExperimentConfig) -> None:
        """Read the file, and refuse what could not be trained on."""
        if config.network.kind not in ("mlp", "residual_mlp"):
            raise UserError(f"--network.kind {config.network.kind} needs a grid, and responses have none: give mlp.")
        if (own := self.own_settings(config)).file:
            have = len(self._split(config, self._table(config))[0])
        else:
            have = len(self._apparatus(config).design()) * own.replicates
        if have < (taken := config.training.batch * config.game.critic_steps):
            raise UserError(
                f"--training.batch {config.training.batch} takes {taken} runs for one update, but there are {have} to "
                "train on: choose a smaller batch."
            )

    def spec(self, config: ExperimentConfig) -> SampleSpec:
        """Responses, given the setting."""
        from gan import SampleSpec

        if self.own_settings(config).file:
            table = self._table(config)
            return SampleSpec(table.values.shape[1:], conditions={"setting": table.settings.shape[1:]})
        apparatus = self._apparatus(config)
        settings = apparatus.design().shape[1:]
        return SampleSpec((len(apparatus.responses),), conditions={"setting": settings})

    def data(self, config: ExperimentConfig, report: Report) -> Measured:
        """Read and split the file, or measure the apparatus."""
        table, own = self._table(config), self.own_settings(config)
        counts = {"runs": len(table), "settings": len(table.grouped()[0]), "factors": [f.name for f in table.factors]}
        if not own.file:
            began = time.monotonic()
            apparatus = self._apparatus(config)
            rng = np.random.default_rng((config.data.seed, config.training.seed, 92))
            between = apparatus.between()
            validation = replace(
                table,
                settings=np.repeat(between, 16, axis=0),
                values=apparatus.runs(between, 16, rng).reshape(len(between) * 16, -1),
            )
            truth = partial(self._truth, config, config.data.seed)
            seconds = {"seconds": round(time.monotonic() - began, 3)}
            return Measured(table, validation, between, truth, f"runs of the {apparatus.title}", {**counts, **seconds})
        from experiments.evaluation.virtual_runs import Held
        from experiments.own_data.contents import checksum

        train, validation, test = (table.rows(rows) for rows in self._split(config, table))
        settings, which = test.grouped()
        runs = [test.values[which == place] for place in range(len(settings))]
        # Two or three replicates tell no spread of their own: the one within all settings of the training serves.
        places, each = train.grouped()
        inner = np.concatenate([train.values[each == s] - train.values[each == s].mean(0) for s in range(len(places))])
        freedom = max(len(train) - len(places), 1)
        scale = np.sqrt(np.maximum((inner**2).sum(axis=0) / freedom, 1e-24))
        held = {"held_out": Held(settings, runs, np.repeat(scale[None], len(settings), axis=0))}
        said = {"checksum": checksum(Path(own.file)), **counts, "held_out_settings": len(settings)}
        return Measured(train, validation, settings, lambda: (held, None), own.file, said)

    def with_fresh_test(
        self, config: ExperimentConfig, dataset: Measured, seed: int, report: Report
    ) -> tuple[ExperimentConfig, Measured]:
        """Draw new runs from the true law.

        Raises:
            UserError: the table is a file, which has no others.
        """
        if self.own_settings(config).file:
            raise UserError(f"--fresh {seed}: a file has no other held-out runs than its own; leave it out.")
        fresh = replace(dataset, truth=partial(self._truth, config, seed))
        return replace(config, data=replace(config.data, seed=seed)), fresh

    def problem(self, config: ExperimentConfig, dataset: Measured) -> Problem:
        """Responses with their settings."""
        from gan import Problem

        return Problem(
            train=dataset.train.values.astype(np.float32),
            condition={"setting": dataset.train.settings},
            validation=dataset.validation.values.astype(np.float32),
            validation_condition={"setting": dataset.validation.settings},
        )

    def compare(
        self,
        config: ExperimentConfig,
        dataset: Measured,
        trained: Trained,
        seconds: Mapping[str, float],
        report: Report,
        baselines: Mapping[str, Fitted] = NONE,
    ) -> tuple[Comparison, dict[str, np.ndarray]]:
        """Every method's laws at held-out settings, and what its runs make of a planned test."""
        from experiments.evaluation.results import Baselines, Comparison, FieldPictures
        from experiments.tasks.measurement_rows import compared_rows, meaning, verdict

        report(0, 1, "held-out runs")
        held, trial = dataset.truth()
        rows, figures = compared_rows(
            dataset.train,
            held,
            trial,
            trained,
            {**self._networks(config, dataset, report), **baselines},
            None if self.own_settings(config).file else self._apparatus(config),
            count=config.compare.fields,
            repeats=config.compare.repeats,
            seed=config.compare.seed,
            report=report,
        )
        generator = replace(rows.pop("generator"), training_seconds=seconds["training"])
        section = Baselines(meaning(dataset.train, tuple(held), trial), generator, rows)
        sections = (section, FieldPictures())
        table = dataset.train
        title = f"{Path(dataset.path).name}: virtual runs against real ones"
        return Comparison(
            title,
            verdict(section, dataset.train),
            config.compare.fields,
            sections,
            channels=tuple(f"log {name}" if name in table.logs else name for name in table.responses),
            units={name: unit for name, unit in zip(table.responses, table.units) if unit and name not in table.logs},
            reference="real runs",
        ), figures

    def _networks(self, config: ExperimentConfig, dataset: Measured, report: Report) -> dict[str, Fitted]:
        """Train the generator's network without its discriminator, and autoencoders of the same size."""
        from gan.baselines import Fit
        from gan.baselines.autoencoders import autoencoder, variational_autoencoder
        from gan.baselines.ensemble_score import ensemble_score
        from gan.config import Recipe

        problem, recipe, steps = self.problem(config, dataset), Recipe.of(config), config.training.steps
        more = replace(config.training, steps=AUTOENCODER_UPDATES * steps)
        fits = {"autoencoder": autoencoder, "variational_autoencoder": variational_autoencoder}
        longer = Fit(problem, replace(recipe, training=more), report)
        return {
            "without_discriminator": ensemble_score(Fit(problem, recipe, report)),
            **{name: fit(longer) for name, fit in fits.items()},
        }

    def sampler(self, config: ExperimentConfig, dataset: Measured, trained: Trained) -> Callable[..., Fields]:
        """Draw virtual runs; levels are given by the factors' names, or are those of the held-out settings in turn."""
        table = dataset.train
        units = {name: unit for name, unit in zip(table.responses, table.units) if unit}
        units |= {one.name: one.units for one in table.factors if one.units}
        labels = {f"levels_of_{one.name}": ", ".join(one.labels) for one in table.factors if one.labels}

        def draw(count: int, *, key: Array, refine: float = 0.0, **levels: object) -> Fields:
            if refine:
                raise UserError(f"refine is {refine:g}, but there is no solver here: leave it at 0.")
            turn = np.arange(count) % len(dataset.asked)
            settings = table.encoded(levels, count) if levels else dataset.asked[turn]
            return Fields(
                table.physical(trained.sample(key, count, {"setting": settings})),
                ("sample", "channel"),
                table.levels(settings),
                table.responses,
                units,
                attrs={"learnt_from": Path(dataset.path).name, "step": trained.step, **labels},
            )

        return draw

    def _apparatus(self, config: ExperimentConfig) -> Apparatus:
        from experiments.tasks.apparatus import APPARATUSES

        return APPARATUSES[self.own_settings(config).apparatus]

    def _table(self, config: ExperimentConfig) -> Table:
        own = self.own_settings(config)
        changed = Path(own.file).stat().st_mtime_ns if own.file and Path(own.file).exists() else 0
        return _table(own, config.data.seed, config.training.seed, changed)

    def _split(self, config: ExperimentConfig, table: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from experiments.own_data.tables import split_by_setting

        assert isinstance(config.data, TableConfig)
        return split_by_setting(table, config.data.shares, config.data.seed)

    def _truth(self, config: ExperimentConfig, seed: int) -> tuple[dict[str, Held], Trial]:
        """Draw real runs from the true law: at the design's settings, between and beyond them, and for a test."""
        from experiments.evaluation.virtual_runs import Held, Trial

        apparatus, own, count = self._apparatus(config), self.own_settings(config), config.compare.fields
        rng = np.random.default_rng((seed, 93))
        design = apparatus.design()
        held = {}
        # Of the design every other run of settings, so that each has one operator.
        operators = (np.arange(len(design)) // 2 + np.arange(len(design))) % 2 == 0
        for place, settings in (
            ("at_design", design[operators]),
            ("between", apparatus.between()),
            ("beyond", apparatus.outside()),
        ):
            runs = apparatus.runs(settings, count, rng)
            held[place] = Held(settings, list(runs), runs.std(axis=1))
        repeats = max(2, count // 20)
        pairs = _pairs(apparatus, max(own.pooled, own.planned) * repeats, rng)
        return held, Trial(*pairs, real=own.planned, virtual=own.pooled, repeats=repeats)


def _pairs(apparatus: Apparatus, count: int, rng: np.random.Generator) -> tuple[Pairs, Pairs]:
    """Return pairs of one law, which differ in the operator alone, and pairs whose means differ."""
    from experiments.evaluation.virtual_runs import Pairs

    def pairs(first: np.ndarray, second: np.ndarray, draws: int) -> Pairs:
        one, two = apparatus.runs(first, draws, rng), apparatus.runs(second, draws, rng)
        size = np.abs(two.mean(1) - one.mean(1)) / np.sqrt((one.var(1) + two.var(1)) / 2)
        return Pairs(first, second, one, two, (size >= EFFECTS[0]) & (size <= EFFECTS[1]))

    first, second = apparatus.between(), apparatus.between()
    first[:, -1], second[:, -1] = 0.0, 1.0
    alike = pairs(first, second, count)
    alike = replace(alike, asked=np.ones_like(alike.asked))
    first, second = apparatus.steps(STEPS)
    # Few draws say roughly which steps are of a size that one would plan for; many say exactly.
    kept = np.flatnonzero(pairs(first, second, _ROUGHLY).asked.any(axis=1))
    kept = kept[np.linspace(0, len(kept) - 1, min(MOST_PAIRS, len(kept))).astype(int)]
    return alike, pairs(first[kept], second[kept], count)


def open_table(own: MeasurementsConfig) -> Table:
    """Return the runs of the configured file.

    Raises:
        UserError: as `experiments.own_data.tables.read_table`.
    """
    from experiments.own_data.tables import read_table

    return read_table(own.file, own.factors, own.responses, own.logs)


@lru_cache(maxsize=4)
def _table(own: MeasurementsConfig, data_seed: int, training_seed: int, changed: int) -> Table:
    """Keep the table between the check and the training; ``changed`` is when the file was."""
    if own.file:
        return open_table(own)
    from experiments.tasks.apparatus import APPARATUSES

    rng = np.random.default_rng((data_seed, training_seed, 91))
    return APPARATUSES[own.apparatus].measured(own.replicates, rng)
