"""Comparison of super-resolved fields: with what others make of the same coarse fields, against the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from experiments.config import ExperimentConfig
from experiments.reporting import Report
from experiments.tasks.advance import refiner
from experiments.tasks.resampling import in_chunks, resampled

if TYPE_CHECKING:
    from experiments.evaluation.baselines import Fitted
    from experiments.evaluation.results import Comparison
    from experiments.evaluation.truth_only import Derived, Ensembles
    from experiments.tasks.solver_task import SolverData
    from experiments.tasks.super_resolution import SuperResolution
    from gan.training.trained import Trained
    from physics.grid import Grid

WHY = "Many fine fields fit a coarse one, with probabilities that nobody knows: there is no reference."
"""Why ensembles are held against the truth alone, for the report."""
BANK, COPIES = 1024, 3
"""Training trajectories whose differences serve as those of other cases, and further copies of each, moved by random
symmetries."""
SHOWN = 4


@dataclass(frozen=True)
class Bank:
    """Stored fields (n, *grid, c): at the start, what was given of them, and what came of them."""

    before: np.ndarray
    given: np.ndarray
    after: np.ndarray

    @property
    def differences(self) -> np.ndarray:
        """What the given fields lack."""
        return self.after - self.given


def stored_fields(task: SuperResolution, config: ExperimentConfig, kept: np.ndarray) -> Bank:
    """Return the fields of trajectories (trajectories, time, *grid, c), and copies of them moved by symmetries."""
    import jax

    from gan.augmentation import has_symmetries, transform_batch

    system, symmetries = task.system(config), task.symmetries(config)
    fields = (kept[:, :-1].reshape(-1, *system.field_shape), *task.pairs(config, kept))
    copies: list[tuple[np.ndarray, ...]] = [fields]
    if has_symmetries(symmetries):
        move = jax.jit(partial(transform_batch, symmetries=symmetries, ndim=system.grid.ndim))
        for key in jax.random.split(jax.random.key(config.compare.seed), COPIES):
            keys = jax.random.split(key, len(fields[0]))
            copies.append(tuple(np.asarray(move(one, keys)) for one in fields))
    return Bank(*(np.concatenate(parts) for parts in zip(*copies)))


def nearest(known: np.ndarray, wanted: np.ndarray, count: int) -> np.ndarray:
    """Return the indices (m, count) of those of the known fields (n, *grid, c) that are nearest to each wanted one.

    Every channel counts in its own standard deviation.
    """
    scale = known.std(axis=tuple(range(known.ndim - 1)))
    one, two = ((fields / np.where(scale > 0, scale, 1.0)).reshape(len(fields), -1) for fields in (wanted, known))
    distance = (one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1)[None] - 2 * one @ two.T
    return np.argsort(distance, axis=1)[:, :count]


@dataclass(frozen=True)
class Cases:
    """What is given and what came true.

    Attributes:
        task, config: of the run.
        dt: step of the fine solver.
        before: fine fields (n, *grid, c) at the start.
        given: what is given, interpolated.
        members: of every ensemble.
    """

    task: SuperResolution
    config: ExperimentConfig
    dt: float
    before: np.ndarray
    given: np.ndarray
    members: int

    def alike(self, fields: np.ndarray) -> np.ndarray:
        """Ensembles (n, members, 1, *grid, c) whose members are all the same field."""
        return np.repeat(fields[:, None, None], self.members, axis=1)

    def beside(self, differences: np.ndarray) -> np.ndarray:
        """Ensembles of the given fields with differences (n, members, *grid, c)."""
        return (self.given[:, None] + differences)[:, :, None]

    def stored(self, bank: Bank) -> dict[str, Ensembles]:
        """The given field alone, and with differences of other fields."""
        from experiments.evaluation.truth_only import Ensembles

        rng = np.random.default_rng((self.config.compare.seed, 5))

        def at_random() -> np.ndarray:
            return self.beside(bank.differences[rng.integers(len(bank.after), size=(len(self.given), self.members))])

        def analogues() -> np.ndarray:
            return self.beside(bank.differences[nearest(bank.given, self.given, self.members)])

        return {
            "interpolation": Ensembles(
                "the given field, interpolated; all members are alike", lambda: self.alike(self.given)
            ),
            "other_differences": Ensembles(
                "the given field with the difference of a training field drawn at random", at_random
            ),
            "analogues": Ensembles(
                "the given field with the differences of those training fields whose given fields are nearest, copies "
                "moved by symmetries included",
                analogues,
            ),
        }

    def solved(self, bank: Bank) -> dict[str, Ensembles]:
        """The fine solver, started from the coarse state."""
        from experiments.evaluation.truth_only import Ensembles

        system, coarse = self.task.system(self.config), self.task.coarse_system(self.config)
        fine, whole = refiner(system, self.dt), self.config.data.stride
        run = refiner(coarse, self.task.own_settings(self.config).coarse_dt)

        def cut(fields: np.ndarray) -> np.ndarray:
            return resampled(fields, system.grid, coarse.grid)

        def finished(share: float) -> np.ndarray:
            """The coarse solver first, the fine solver for the last share of the time."""
            start = cut(self.before)
            if share < 1:
                start = run(start, (1 - share) * whole)
            return self.alike(fine(resampled(start, coarse.grid, system.grid), share * whole))

        def ensemble() -> np.ndarray:
            """Members that differ at the start, each with a fine solve of its own."""
            known, seen = (resampled(cut(one), coarse.grid, system.grid) for one in (bank.before, self.before))
            start = seen[:, None] + (bank.before - known)[nearest(known, seen, self.members)]
            made = fine(start.reshape(-1, *system.field_shape), whole)
            return made.reshape(len(seen), self.members, 1, *system.field_shape)

        return {
            **{
                f"fine_solver_{share:g}": Ensembles(
                    f"the coarse solver, then the fine one for the last {share:.0%} of the time; one solve serves all",
                    partial(finished, share),
                )
                for share in (0.25, 0.5, 1.0)
            },
            "fine_solver_ensemble": Ensembles(
                "the coarse start with the fine parts of the training fields whose coarse parts are nearest, then the "
                "fine solver for all of the time, a solve for each member",
                ensemble,
            ),
        }


def against_truth(
    task: SuperResolution,
    config: ExperimentConfig,
    dataset: SolverData,
    trained: Trained,
    report: Report,
    baselines: Mapping[str, Fitted],
) -> tuple[Comparison, dict[str, np.ndarray]]:
    """Score the generator's ensembles and those of others for the test fields."""
    import jax

    from experiments.evaluation.results import Comparison, FieldPictures
    from experiments.evaluation.truth_only import Ensembles, compare_with_truth
    from experiments.evaluation.verdict import verdict

    settings, system = config.compare, task.system(config)
    members, count, key = settings.members, settings.cases, jax.random.key(settings.seed)
    test, steps = np.asarray(dataset.test[:count]), task.samples_per_trajectory(config)
    # One pair of each trajectory, at all times alike: intervals over the cases take them for independent.
    chosen = np.arange(count) * steps + np.arange(count) % steps
    given, truths = (one[chosen] for one in task.pairs(config, test))
    before = test[:, :-1].reshape(-1, *system.field_shape)[chosen]
    bank = stored_fields(task, config, np.asarray(dataset.train[:BANK]))
    cases = Cases(task, config, dataset.dt, before, given, members)

    def learned(sample: Callable[..., np.ndarray]) -> np.ndarray:
        made = sample(key, count * members, {"coarse": np.repeat(given, members, axis=0)})
        return cases.beside(made.reshape(count, members, *given.shape[1:]))

    scored = compare_with_truth(
        truths[:, None],
        Ensembles("the generator", partial(learned, trained.sample)),
        {
            **cases.stored(bank),
            **cases.solved(bank),
            **{name: Ensembles(one.meaning, partial(learned, one.sample)) for name, one in baselines.items()},
        },
        why=WHY,
        members=members,
        seed=settings.seed,
        resamples=settings.resamples,
        repeats=settings.repeats,
        progress=report,
        derived=_derived(system.grid),
    )
    sections = (scored, FieldPictures())
    shown = min(SHOWN, count)
    figures = {
        "samples/generator": given[:shown] + trained.sample(key, shown, {"coarse": given[:shown]}),
        "samples/solver": truths[:shown],
        "samples/given": given[:shown],
        **{f"coordinates/{i}": np.asarray(x) for i, x in enumerate(system.grid.coordinates())},
    }
    title = f"{system.name}: fine fields from coarse ones, against the truth"
    return Comparison(title, verdict(sections), members, sections, channels=tuple(system.channels)), figures


def _derived(grid: Grid) -> Derived:
    """Gradients and spectrum, which interpolation gets wrong first."""
    import jax

    from experiments.evaluation.truth_only import Derived
    from physics import energy_spectrum
    from physics.spectral import gradient

    slopes = jax.jit(jax.vmap(partial(gradient, grid=grid)))

    def gradients(fields: np.ndarray) -> np.ndarray:
        return in_chunks(slopes, fields[:, 0]).reshape(len(fields), -1)

    def spectrum(fields: np.ndarray) -> np.ndarray:
        return energy_spectrum(fields[:, 0], grid)[1].reshape(len(fields), -1)

    meaning = "fair continuous ranked probability score of all first derivatives, a mean over points, axes and cases"
    return Derived({"gradient_crps": (meaning, gradients)}, spectrum)
