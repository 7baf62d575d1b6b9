"""Task ``own_fields``: draw fields like those of a file, where no equation is known.

Held-out fields of the file stand in the solver's place: the comparison asks whether samples can be distinguished from
them, and how many real fields the samples are worth. There is no refinement and no search for a cheaper solver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from experiments.config import CompareConfig, ExperimentConfig, SystemConfig
from experiments.errors import UserError
from experiments.export import Fields
from experiments.own_data.transforms import TRANSFORMS
from experiments.python_file import digest
from experiments.reporting import Report
from experiments.tasks.advance import refiner, solver_layer
from experiments.tasks.equation import comparison_sizes, equation
from experiments.tasks.task import NONE, Task, check_draws
from gan.settings import check, nearest, setting

if TYPE_CHECKING:
    from jax import Array

    from experiments.evaluation.baselines import Fitted
    from experiments.evaluation.results import Comparison
    from experiments.evaluation.snapshot_inputs import SnapshotSizes
    from experiments.own_data.description import Layout
    from experiments.own_data.equation_file import KnownPhysics
    from experiments.own_data.preparation import PreparedFields
    from gan.augmentation import ArraySymmetries
    from gan.networks.players import SampleSpec
    from gan.penalties import Penalty
    from gan.training.problem import Problem
    from gan.training.trained import Trained


@dataclass(frozen=True)
class HeldOutConfig:
    """How the fields of the file are split; by blocks of time or of independent samples, never at random."""

    shares: tuple[float, float, float] = setting(
        (0.7, 0.1, 0.2), "shares of the fields for training, validation and test", above=0
    )
    gap: int | None = setting(
        None, "times left out between two splits; none: from the measured decorrelation", "time steps", minimum=0
    )
    # The split has nothing random in it; reports name the data by this number.
    seed: int = setting(0, "number of the data in reports; the split is not random", minimum=0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class OwnFieldsConfig(SystemConfig):
    """Which fields of which file, and what is known of them."""

    file: str = setting("", "file of fields: .npy, .npz, .h5, .nc, .zarr or .csv")
    variable: tuple[str, ...] = setting((), "variables that become the channels (none: the only ones in question)")
    axes: tuple[str, ...] = setting(
        (), "name of every axis: time, sample, channel, or a name of space such as y,x (none: as the file says)"
    )
    group: str = setting("", "variable that labels independent samples, such as subjects or runs (empty: none)")
    patch: int = setting(0, "points along each axis of the patches that are learnt (0: whole fields)", minimum=0)
    transform: tuple[str, ...] = setting(
        ("none",), "before the training, one for all variables or one for each", choices=TRANSFORMS
    )
    periodic: tuple[str, ...] = setting((), "axes of space that are periodic")
    physics: str = setting(
        "",
        "Python file that defines system(points, extent), the equation of the fields, or residual(field, extent), "
        "which is zero for them (empty: none)",
    )
    residual: float = setting(
        0.0, "weight of the mean squared residual of that file in the generator's loss", minimum=0
    )
    planned: int = setting(
        0, "fields of a planned second group, for the power of a study (0: as many as trained on)", "fields", minimum=0
    )
    homogeneous: tuple[str, ...] = setting(
        (), "periodic axes along which the distribution is the same everywhere, so that shifted fields are as likely"
    )


@dataclass(frozen=True)
class OwnFields(Task["PreparedFields"]):
    """The task for any file."""

    unread: ClassVar[tuple[str, ...]] = (
        "solver_layer",
        "compare.refine",
        "compare.members",
        "compare.cases",
        "compare.repeats",
        "compare.resamples",
        "compare.search",
    )

    def own_settings(self, config: ExperimentConfig) -> OwnFieldsConfig:
        """Return the section ``system``, which is this task's own."""
        assert isinstance(config.system, OwnFieldsConfig)
        return config.system

    def unread_by(self, config: ExperimentConfig) -> tuple[str, ...]:
        """With an equation there is a solver layer, and without one there is no residual."""
        if self.own_settings(config).physics:
            return tuple(name for name in self.unread if name != "solver_layer")
        return (*self.unread, "system.residual")

    def samples_per_trajectory(self, config: ExperimentConfig) -> int:
        """Every field is a sample."""
        return 1

    def drawn_alone(self, config: ExperimentConfig) -> bool:
        """Whole fields as they are; transforms have to be undone, and missing points marked."""
        prepared = self._prepared(config)
        return prepared.missing is None and all(one.kind == "none" for one in prepared.transforms)

    def check(self, config: ExperimentConfig) -> None:
        """Read the file, and refuse what could not be trained on or compared."""
        from experiments.evaluation.distances import distance_names
        from physics import StochasticSystem

        prepared = self._prepared(config)
        self._distribution(config, prepared)
        known, tau, own = self._physics(config, prepared), config.solver_layer.tau, self.own_settings(config)
        if tau > 0 and own.physics and known.system is None:
            raise UserError(
                f"--solver_layer.tau {tau:g}: {own.physics} defines no system(points, extent) that could be solved; "
                "give 0."
            )
        if own.residual > 0 and known.residual is None:
            raise UserError(f"--system.residual {own.residual:g}: {own.physics} defines no residual(field, extent).")
        if tau > 0 and isinstance(known.system, StochasticSystem):
            raise UserError(f"--solver_layer.tau {tau:g}: the solver of a stochastic system is no layer; give 0.")
        taken = config.training.batch * config.game.critic_steps
        if (have := len(prepared.train)) < taken:
            raise UserError(
                f"--training.batch {config.training.batch} takes {taken} fields for one update, but the file leaves "
                f"only {have} to train on: choose a smaller batch, or cut the fields with --system.patch."
            )
        if not prepared.grid and config.network.kind != "mlp":
            raise UserError(f"--network.kind {config.network.kind} needs a grid, and points have none: give mlp.")
        settings, homogeneous = config.compare, self._homogeneous(config, prepared)
        names = distance_names(homogeneous=homogeneous, separations=settings.separations, quantiles=settings.quantiles)
        check_draws(config, names)

    def spec(self, config: ExperimentConfig) -> SampleSpec:
        """Fields or patches of the file."""
        from gan import SampleSpec

        prepared = self._prepared(config)
        padding, extent, _ = self._distribution(config, prepared)
        return SampleSpec(prepared.train.shape[1:], padding=padding, extent=extent)

    def penalties(self, config: ExperimentConfig) -> tuple[str, ...]:
        """The residual, where it has a weight."""
        return ("residual",) if self.own_settings(config).residual > 0 else ()

    def data(self, config: ExperimentConfig, report: Report) -> PreparedFields:
        """Read and split the file."""
        return self._prepared(config, lambda what: report(0, 1, what))

    def problem(self, config: ExperimentConfig, dataset: PreparedFields) -> Problem:
        """Train on the training fields; what is always missing is held at its fill."""
        from gan import Problem

        padding, extent, symmetries = self._distribution(config, dataset)
        known = self._physics(config, dataset)
        system = known.system if config.solver_layer.tau > 0 else None
        return Problem(
            train=dataset.train,
            validation=dataset.validation,
            symmetries=symmetries if symmetries.shift_axes else None,
            padding=padding,
            extent=extent,
            held=dataset.missing,
            solver_layer=None if system is None else solver_layer(system, config.solver_layer.steps),
            penalties={name: self._penalty(config, known) for name in self.penalties(config)},
        )

    def with_fresh_test(
        self, config: ExperimentConfig, dataset: PreparedFields, seed: int, report: Report
    ) -> tuple[ExperimentConfig, PreparedFields]:
        """Refuse: a file has no fresh fields."""
        raise UserError(f"--fresh {seed}: a file has no other held-out fields than its own; leave it out.")

    def compare(
        self,
        config: ExperimentConfig,
        dataset: PreparedFields,
        trained: Trained,
        seconds: Mapping[str, float],
        report: Report,
        baselines: Mapping[str, Fitted] = NONE,
    ) -> tuple[Comparison, dict[str, np.ndarray]]:
        """Tests, distances, scores and worth against the held-out fields."""
        import jax

        from experiments.evaluation.planning import planning, quantities
        from experiments.evaluation.results import Comparison
        from experiments.evaluation.snapshot import compare_snapshot
        from experiments.evaluation.snapshot_inputs import DATA, Equation
        from experiments.evaluation.verdict import verdict

        sizes = affordable(config.compare, len(dataset.train), dataset.test)
        _, extent, symmetries = self._distribution(config, dataset)
        homogeneous = self._homogeneous(config, dataset)
        named = tuple(one.named(name) for one, name in zip(dataset.transforms, dataset.channels))
        drawn, valid = trained.draw(jax.random.key(config.compare.seed), sizes.drawn + sizes.drawn // 8)
        samples = dataset.masked(np.where(valid.reshape(-1, *[1] * (drawn.ndim - 1)), drawn, np.nan))
        physics = self._physics(config, dataset)
        system, each = physics.system, None if physics.residual is None else physics.mean_squares()
        known = Equation(named, extent) if system is None else equation(system, refiner(system, system.recommended_dt))
        sections, figures = compare_snapshot(
            samples,
            dataset.test,
            dataset.train,
            replace(
                known,
                channels=named,
                extent=extent,
                symmetries=symmetries,
                homogeneous=homogeneous,
                periodic=homogeneous,
                reference=DATA,
                residual=None if each is None else lambda fields: np.asarray(each(fields)),
            ),
            trained_on=dataset.trained_on,
            layer_time=config.solver_layer.tau,
            sizes=sizes,
            baselines=baselines,
            progress=report,
        )
        seen = None if dataset.missing is None else ~dataset.missing
        found = [quantities(dataset.physical(one), dataset.channels, seen) for one in (samples, dataset.test)]
        by_quantity = {
            name: unit
            for name in found[0]
            for c, unit in zip(dataset.channels, dataset.units)
            if name.endswith(f" {c}")
        }
        planned = self.own_settings(config).planned or dataset.trained_on
        sections = (*sections, planning(found[0], found[1], dataset.trained_on, planned, by_quantity))
        if len(dataset.grid) == 2:
            # Pictures run along the first axis to the right; files of planes have rows first.
            for name in ("samples/generator", "samples/solver"):
                figures[name] = np.swapaxes(figures[name], 1, 2)
            figures["coordinates/0"], figures["coordinates/1"] = figures["coordinates/1"], figures["coordinates/0"]
        units = {name: unit for name, unit, one in zip(named, dataset.units, dataset.transforms) if one.kind == "none"}
        comparison = Comparison(
            title=f"{Path(dataset.path).name}: generator against held-out fields",
            verdict=" ".join([verdict(sections), *dataset.cautions]),
            n=sizes.fields,
            sections=sections,
            channels=named,
            units={name: unit for name, unit in units.items() if unit},
            reference="data",
        )
        return comparison, figures

    def sampler(self, config: ExperimentConfig, dataset: PreparedFields, trained: Trained) -> Callable[..., Fields]:
        """Draw fields in the units of the file, with the coordinates of its axes."""
        axes = dataset.grid
        units = {name: unit for name, unit in zip(dataset.channels, dataset.units) if unit}
        system = self._physics(config, dataset).system
        advance = None if system is None else refiner(system, system.recommended_dt)

        def draw(count: int, *, key: Array, refine: float = 0.0) -> Fields:
            if refine and advance is None:
                raise UserError(f"refine is {refine:g}, but there is no solver here: leave it at 0.")
            fields = dataset.physical(trained.sample(key, count))
            return Fields(
                advance(fields, refine) if refine and advance is not None else fields,
                ("sample", *(one.name for one in axes), "channel"),
                {one.name: np.arange(one.size) if one.coordinate is None else one.coordinate for one in axes},
                dataset.channels,
                {**units, **{one.name: one.units for one in axes if one.units}},
                attrs={"learnt_from": Path(dataset.path).name, "step": trained.step},
            )

        return draw

    def _prepared(self, config: ExperimentConfig, say: Callable[[str], None] = lambda what: None) -> PreparedFields:
        settings, data = self.own_settings(config), config.data
        assert isinstance(data, HeldOutConfig)
        if not settings.file:
            raise UserError("--system.file is not given: say which file to learn from.")
        path = Path(settings.file)
        files = [path, *([Path(settings.physics)] if settings.physics else [])]
        changed = tuple(one.stat().st_mtime_ns if one.exists() else 0 for one in files)
        say(f"reading {path.name}")
        return _prepared(settings, data, changed)

    def _penalty(self, config: ExperimentConfig, known: KnownPhysics) -> Penalty:
        """The mean squared residual of samples with its weight."""
        from gan import Penalty

        each = known.mean_squares()

        def function(samples: Array, condition: object) -> Array:
            return each(samples).mean()

        return Penalty(function, self.own_settings(config).residual)

    def _physics(self, config: ExperimentConfig, prepared: PreparedFields) -> KnownPhysics:
        """What a file of the user says of the fields; nothing without one."""
        from experiments.own_data.equation_file import KnownPhysics, known_physics

        settings = self.own_settings(config)
        if not settings.physics:
            return KnownPhysics()
        return known_physics(settings.physics, prepared, settings.periodic, settings.patch > 0)

    def _homogeneous(self, config: ExperimentConfig, prepared: PreparedFields) -> bool:
        """Whether the distribution is the same everywhere on a periodic grid, so that spectra mean something."""
        return bool(prepared.grid) and len(self._distribution(config, prepared)[2].shift_axes) == len(prepared.grid)

    def _distribution(
        self, config: ExperimentConfig, prepared: PreparedFields
    ) -> tuple[tuple[str, ...], tuple[float, ...], ArraySymmetries]:
        """Boundary rule and length of every axis, and the shifts under which the distribution is the same.

        Raises:
            UserError: an axis that there is not, one that is homogeneous and not periodic, or points that are always
                missing in a distribution that is the same everywhere.
        """
        from gan.augmentation import ArraySymmetries

        settings, names = self.own_settings(config), [one.name for one in prepared.grid]
        for option, given in (("periodic", settings.periodic), ("homogeneous", settings.homogeneous)):
            for name in given:
                if name not in names:
                    known = f"; the axes are {', '.join(names) or 'none'}."
                    raise UserError(f"--system.{option} {name} is no axis of space{nearest(name, names) or known}")
        if settings.periodic and settings.patch:
            raise UserError("--system.periodic: a patch has no periodic axis; leave it out.")
        if not_periodic := [name for name in settings.homogeneous if name not in settings.periodic]:
            raise UserError(f"--system.homogeneous {not_periodic[0]} needs --system.periodic {not_periodic[0]} too.")
        if settings.homogeneous and prepared.missing is not None:
            raise UserError(
                "--system.homogeneous: where points are always missing, the distribution is not the same everywhere."
            )
        padding = tuple("circular" if name in settings.periodic else "zero" for name in names)
        shifts = tuple(i for i, name in enumerate(names) if name in settings.homogeneous)
        return padding, tuple(one.extent for one in prepared.grid), ArraySymmetries(shifts)


def open_layout(settings: OwnFieldsConfig) -> Layout:
    """Return variables and axes of the configured file."""
    from experiments.own_data.description import layout
    from experiments.own_data.readers import read

    return layout(read(settings.file), settings.variable, settings.axes, settings.group)


@lru_cache(maxsize=1)
def _prepared(settings: OwnFieldsConfig, data: HeldOutConfig, changed: tuple[int, ...]) -> PreparedFields:
    """Keep the fields between the check and the training; ``changed`` is when the files were."""
    from experiments.own_data.contents import checksum
    from experiments.own_data.preparation import Wishes, prepare

    found = open_layout(settings)
    wishes = Wishes(settings.patch, settings.transform, settings.group, data.shares, data.gap)
    prepared = prepare(found, wishes)
    known = checksum(found.contents.path)
    if settings.physics and Path(settings.physics).is_file():
        known += f", equation {digest(settings.physics)}"
    return replace(prepared, description={"checksum": known, **prepared.description})


def affordable(settings: CompareConfig, training: int, test: np.ndarray) -> SnapshotSizes:
    """Return the sizes that were asked for, or the largest that the fields at hand allow.

    Args:
        settings: section ``compare``.
        training: number of training fields: classifiers take some of them, and the baselines others.
        test: held-out fields (m, *grid, C); two sets of them make the floor of a distance.
    """
    held = len(test)
    refined = min(settings.refined, held // 2, training // 4)
    sizes = replace(
        comparison_sizes(settings),
        fields=min(settings.fields, held // 2, 2 * refined),
        refined=refined,
        tested=min(settings.tested, training - 2 * refined),
    )
    shortest = min(test.shape[1:-1], default=1)
    return replace(sizes, separations=tuple(one for one in settings.separations if one < shortest))
