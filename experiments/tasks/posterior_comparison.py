"""Comparison of posteriors: with long runs of a sampler where these agree with each other, or the truth alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from experiments.config import ExperimentConfig
from experiments.reporting import Report
from experiments.tasks.posterior_programs import CHUNK, log_posterior
from experiments.tasks.posterior_samplers import RIVALS, TRUTH_RIVALS, Sampler, long_runs, tempered
from gan.config import FLOW_MATCHING

if TYPE_CHECKING:
    from experiments.evaluation.baselines import Fitted
    from experiments.evaluation.cost import Candidate
    from experiments.evaluation.results import Comparison, ImportanceWeights
    from experiments.tasks.posterior import Posterior
    from experiments.tasks.solver_task import SolverData
    from gan.training.trained import Trained

NO_REFERENCE = "No reference is taken for these posteriors: long runs of a sampler are not relied upon."
"""Why ensembles are held against the truth alone, for the report."""
PROPOSALS = 4
"""Samples of the generator for each member that is resampled by importance weights."""
MEMBERS_SHOWN = 32
"""Members in the pictures: enough to see modes and their weights."""
CASES = 4
"""Cases that a rival samples at once, since so few trajectories stay in a processor's cache."""


def against_long_runs(
    task: Posterior,
    config: ExperimentConfig,
    dataset: SolverData,
    trained: Trained,
    seconds: Mapping[str, float],
    report: Report,
    baselines: Mapping[str, Fitted],
) -> tuple[Comparison, dict[str, np.ndarray]]:
    """Ensembles against a long tempered run, beside the samplers that reach as much with fewer solver calls."""
    import jax

    from experiments.evaluation.forecast import Cases, Rival, Spent, compare_forecast
    from experiments.evaluation.posterior_reference import PosteriorSizes
    from experiments.evaluation.results import Comparison
    from experiments.evaluation.verdict import verdict

    settings, own = config.compare, task.own_settings(config)
    system = task.system_of(config)
    key, members, count = jax.random.key(settings.seed), settings.members, settings.cases
    observed = task.observe(config, dataset, "test")[:count]
    solved = partial(task.trajectories, config, dataset.times)
    truths = np.concatenate([dataset.initial["test"][:count, None], dataset.test[:count]], axis=1)
    runs = long_runs(
        task.inverse_problem(config, dataset.times),
        observed,
        own.particles // 2,
        moves=own.moves,
        seed=settings.seed + 1,
        identity=task.identity(config, dataset.times),
        say=report,
    )
    # Of either run as many members as the generator draws, evenly spaced.
    chosen = np.linspace(0, own.particles // 2 - 1, members).astype(int)
    reference = runs.unknowns[:, np.concatenate([chosen, own.particles // 2 + chosen])]

    def draw(sample: Callable[..., np.ndarray], count: int) -> np.ndarray:
        unknowns = sample(key, count * members, {"observed": np.repeat(observed[:count], members, axis=0)})
        return solved(unknowns.reshape(count, members, -1))

    def misfit(ensembles: np.ndarray) -> np.ndarray:
        apart = np.asarray(task.seen(config, ensembles[:, :, 1:])) - observed[: len(ensembles), None]
        return np.sqrt((apart**2).mean(axis=-1)) / own.noise

    meaning = "root mean square of observed minus simulated over the noise, a mean over members"
    shown = np.tile(task.places(config) * float(system.grid.spacing[0]), (count, 1))
    inside = Cases(
        "inside",
        truths,
        solved(reference),
        draw,
        {"misfit": (meaning, "", misfit)},
        shown,
        # In the pictures of the initial field there is nothing to mark: later fields were observed.
        np.empty((count, 0)),
        tuple(
            f"{task.parameter} {dataset.parameters['test'][task.parameter][one]:.3g}"
            if task.parameter
            else f"case {one + 1}"
            for one in range(count)
        ),
    )

    def climatology(count: int) -> np.ndarray:
        stored = task.unknowns(config, dataset, "train")
        chosen = np.random.default_rng((settings.seed, 3)).integers(len(stored), size=(count, members))
        return solved(stored[chosen])

    rivals = {"prior": Rival("the solver from unknowns of the training data, whatever was observed", climatology)}
    weighed: tuple[ImportanceWeights, ...] = ()
    if config.game.objective == FLOW_MATCHING:
        propose = partial(_weighed, task, config, dataset.times, trained)
        report(0, 1, "importance weights of the generator's samples")
        weighed = (propose(observed)[1],)
        rivals["weighted"] = Rival(
            f"the generator's samples, {PROPOSALS} for each member, resampled by their importance weights",
            lambda count: solved(propose(observed[:count])[0]),
        )

    sections, figures = compare_forecast(
        inside,
        (),
        trained.sample,
        within="{} {:g} to {:g}".format(task.parameter, *own.parameter) if task.parameter else "test trajectories",
        times=np.concatenate([[0.0], dataset.times]),
        extent=system.grid.extent,
        sizes=PosteriorSizes(settings.draws, settings.resamples, settings.level, settings.resolved, settings.seed),
        rivals=rivals,
        fitted=baselines,
        candidates=lambda count: _candidates(task, config, dataset.times, observed[:count]),
        repeats=settings.repeats,
        spent=Spent(seconds["data"], seconds["training"]),
        progress=report,
        evaluations=trained.evaluations,
        members_shown=MEMBERS_SHOWN,
        reference_name=(
            f"a long tempered run (two runs agree to a potential scale reduction of "
            f"{np.median(runs.agreement):.3f}, at most {runs.agreement.max():.3f})"
        ),
    )
    sections = (*sections, *weighed)
    title = f"{system.name}: posteriors against long tempered runs"
    return Comparison(title, verdict(sections), members, sections, channels=tuple(system.channels)), figures


def against_truth(
    task: Posterior,
    config: ExperimentConfig,
    dataset: SolverData,
    trained: Trained,
    report: Report,
    baselines: Mapping[str, Fitted],
) -> tuple[Comparison, dict[str, np.ndarray]]:
    """Ensembles against the truth alone, beside those of samplers that need no training."""
    import jax

    from experiments.evaluation.results import Comparison, Section
    from experiments.evaluation.truth_only import Ensembles, compare_with_truth
    from experiments.evaluation.verdict import verdict

    settings, times = config.compare, dataset.times
    members, count = settings.members, settings.cases
    observed = task.observe(config, dataset, "test")[:count]
    truths = np.concatenate([dataset.initial["test"][:count, None], dataset.test[:count]], axis=1)
    solved, keys = partial(task.trajectories, config, times), jax.random.split(jax.random.key(settings.seed))
    problem, stored = task.inverse_problem(config, times), task.unknowns(config, dataset, "train")

    def learned(sample: Callable[..., np.ndarray]) -> np.ndarray:
        unknowns = sample(keys[0], count * members, {"observed": np.repeat(observed, members, axis=0)})
        return solved(unknowns.reshape(count, members, -1))

    def prior() -> np.ndarray:
        chosen = np.random.default_rng((settings.seed, 3)).integers(len(stored), size=(count, members))
        return solved(stored[chosen])

    def sampled(rival: Sampler) -> np.ndarray:
        parts = [
            rival.draw(problem, observed[first : first + CASES], members, jax.random.fold_in(keys[1], first))
            for first in range(0, count, CASES)
        ]
        return solved(np.concatenate([np.asarray(one.unknowns) for one in parts]))

    def named(setting: Mapping[str, object]) -> str:
        return "_".join(str(value) for value in setting.values())

    others = {"prior": Ensembles("the solver from unknowns of the training data, whatever was observed", prior)}
    sections: tuple[Section, ...] = ()
    if config.game.objective == FLOW_MATCHING:
        report(0, 1, "importance weights of the generator's samples")
        resampled, weights = _weighed(task, config, times, trained, observed)
        sections = (weights,)
        others["weighted"] = Ensembles(
            f"the generator's samples, {PROPOSALS} for each member, resampled by their importance weights",
            lambda: solved(resampled),
            timed=False,
        )
    others |= {
        named(rival.setting): Ensembles(
            "a sampler that needs no training: " + ", ".join(f"{key} {value}" for key, value in rival.setting.items()),
            partial(sampled, rival),
        )
        for rival in (TRUTH_RIVALS if settings.search else ())
    }
    others |= {name: Ensembles(one.meaning, partial(learned, one.sample)) for name, one in baselines.items()}
    scored = compare_with_truth(
        truths,
        Ensembles("the generator", partial(learned, trained.sample)),
        others,
        why=NO_REFERENCE,
        members=members,
        seed=settings.seed,
        resamples=settings.resamples,
        progress=report,
    )
    sections = (scored, *sections)
    system = task.system_of(config)
    title = f"{system.name}: posteriors against the truth"
    return Comparison(title, verdict(sections), members, sections, channels=tuple(system.channels)), {}


def _weighed(
    task: Posterior, config: ExperimentConfig, times: np.ndarray, trained: Trained, observed: np.ndarray
) -> tuple[np.ndarray, ImportanceWeights]:
    """Return the generator's samples resampled by importance, (cases, members, d), and what the weights say."""
    import jax

    from experiments.evaluation.importance import effective_share, normalized_weights, resampled
    from experiments.evaluation.results import ImportanceWeights

    settings = config.compare
    count, draws = len(observed), PROPOSALS * settings.members
    condition = {"observed": np.repeat(observed, draws, axis=0)}
    key = jax.random.fold_in(jax.random.key(settings.seed), 5)
    unknowns, log_density = trained.sample_with_log_density(key, count * draws, condition, chunk=CHUNK)
    log_target = log_posterior(task.inverse_problem(config, times), unknowns, condition["observed"])
    log_density = log_density.reshape(count, draws)
    weights = normalized_weights(log_target.reshape(count, draws), log_density)
    shares = tuple(float(one) for one in effective_share(weights))
    found = ImportanceWeights(draws, shares, float(np.isnan(log_density).mean()))
    return resampled(unknowns.reshape(count, draws, -1), weights, settings.members, settings.seed), found


def _candidates(task: Posterior, config: ExperimentConfig, times: np.ndarray, observed: np.ndarray) -> list[Candidate]:
    """Return the reference's own sampler, and samplers that might do as well for less."""
    import jax

    from experiments.evaluation.cost import Candidate

    members, key = config.compare.members, jax.random.key(config.compare.seed + 2)

    def candidate(rival: Sampler, coarsening: int = 1, order: int = 4) -> Candidate:
        problem = task.inverse_problem(config, times, coarsening=coarsening, order=order)

        def make() -> np.ndarray:
            parts = [
                rival.draw(problem, observed[first : first + CASES], members, jax.random.fold_in(key, first)).unknowns
                for first in range(0, len(observed), CASES)
            ]
            return task.trajectories(config, times, np.concatenate(parts))

        return Candidate({**rival.setting, "dt": coarsening * config.data.dt, "order": order}, make)

    reference = candidate(tempered(task.own_settings(config).moves))
    if not config.compare.search:
        return [reference]
    # Longer solver steps, perhaps of a lower order, change less than the noise does.
    coarse = [candidate(rival, *how) for rival in RIVALS for how in rival.coarse]
    return [reference, *coarse]
