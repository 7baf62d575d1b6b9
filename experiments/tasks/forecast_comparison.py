"""Comparison of forecasts: with ensembles of the solver from exact draws of the initial field's posterior."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from experiments.config import ExperimentConfig
from experiments.reporting import Report
from experiments.tasks.forecast import INITIAL
from experiments.tasks.observations import Observed, observe

if TYPE_CHECKING:
    from experiments.evaluation.baselines import Fitted
    from experiments.evaluation.results import Comparison
    from experiments.tasks.forecast import Forecast
    from experiments.tasks.solver_task import SolverData
    from gan.training.trained import Trained

_OUTSIDE = 16
"""First of the random streams of the cases outside the range, apart from those of posterior and search."""


def against_exact(
    task: Forecast,
    config: ExperimentConfig,
    dataset: SolverData,
    trained: Trained,
    seconds: Mapping[str, float],
    report: Report,
    baselines: Mapping[str, Fitted],
) -> tuple[Comparison, dict[str, np.ndarray]]:
    """Ensembles against the exact posterior: inside the parameter's range, and at each value outside."""
    import jax

    from experiments.evaluation.forecast import Cases, Rival, Spent, compare_forecast
    from experiments.evaluation.posterior_reference import PosteriorSizes
    from experiments.evaluation.results import Comparison
    from experiments.evaluation.verdict import verdict

    settings, own = config.compare, task.own_settings(config)
    system = task.system(config, own.parameter[0])
    key, members = jax.random.key(settings.seed), settings.members
    posterior = task.exact_posterior(config, dataset)

    def known(label: str, seen: Observed, truths: np.ndarray) -> Cases:
        conditions = task.condition(config, seen)

        def draw(sample: Callable[..., np.ndarray], count: int) -> np.ndarray:
            given = {name: np.repeat(value[:count], members, axis=0) for name, value in conditions.items()}
            fields = sample(key, count * members, given)
            fields = fields.reshape(count, members, *fields.shape[1:])
            return posterior.solve(fields, seen.parameter[:count]) if own.generates == INITIAL else fields

        initial = posterior.draw(seen, 2 * members, jax.random.fold_in(key, 1))
        meaning = "root mean square of the defect by the solver and step that made the data, a mean over members"
        defects = (meaning, "field / time", lambda ensembles: posterior.defects(ensembles, seen.parameter))
        return Cases(
            label,
            truths,
            posterior.solve(initial, seen.parameter),
            draw,
            {"defect": defects},
            posterior.x[seen.points],
            seen.values,
            tuple(f"{task.parameter} {value:.3g}" for value in seen.parameter),
        )

    def outside() -> Iterator[Cases]:
        for number, value in enumerate(own.outside, start=_OUTSIDE):
            initial = posterior.prior_fields(settings.cases, 1, jax.random.fold_in(key, number))
            rng = np.random.default_rng((settings.seed, number))
            parameter = np.full(settings.cases, value)
            seen = observe(initial[:, 0], parameter, own.observations, own.noise, rng, sensors=own.sensors)
            yield known(f"{task.parameter} {value:g}", seen, posterior.solve(initial, parameter)[:, 0])

    tests = task.observe(config, dataset, "test").first(settings.cases)

    def climatology(count: int) -> np.ndarray:
        chosen = np.random.default_rng((settings.seed, 3)).integers(len(dataset.train), size=(count, members))
        return np.asarray(dataset.train)[chosen]

    def unconditioned(count: int) -> np.ndarray:
        initial = posterior.prior_fields(count, members, jax.random.fold_in(key, 4))
        return posterior.solve(initial, tests.parameter[:count])

    inside = known("inside", tests, np.asarray(dataset.test[: settings.cases]))
    sections, figures = compare_forecast(
        inside,
        outside(),
        trained.sample,
        within="{} {:g} to {:g}".format(task.parameter, *own.parameter),
        times=dataset.times,
        extent=system.grid.extent,
        sizes=PosteriorSizes(settings.draws, settings.resamples, settings.level, settings.resolved, settings.seed),
        rivals={
            "climatology": Rival("training trajectories drawn at random, whatever was observed", climatology),
            "prior": Rival(
                f"the solver from initial fields drawn whatever was observed, with the case's own {task.parameter}",
                unconditioned,
                timed=True,
            ),
        },
        fitted=baselines,
        candidates=lambda count: posterior.candidates(tests.first(count), members, jax.random.fold_in(key, 2))[
            : None if settings.search else 1
        ],
        repeats=settings.repeats,
        spent=Spent(seconds["data"], seconds["training"]),
        progress=report,
        evaluations=trained.evaluations,
    )
    title = f"{system.name}: forecasts against the exact posterior"
    return Comparison(title, verdict(sections), members, sections, channels=tuple(system.channels)), figures
