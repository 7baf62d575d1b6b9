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
from experiments.tasks.task import Data
from gan.config import FLOW_MATCHING

if TYPE_CHECKING:
    from experiments.evaluation.baselines import Fitted
    from experiments.evaluation.cost import Candidate
    from experiments.evaluation.results import Comparison, ImportanceWeights
    from experiments.tasks.posterior_task import Posed, PosteriorTask, Solver
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
    task: PosteriorTask[Data],
    config: ExperimentConfig,
    dataset: Data,
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

    settings, own, posed = config.compare, task.observing(config), task.posed(config, dataset)
    key, members, count = jax.random.key(settings.seed), settings.members, settings.cases
    observed = task.observe(config, dataset, "test")[:count]
    solved = partial(task.solved, config, dataset)
    runs = long_runs(
        posed.problem,
        observed,
        own.particles // 2,
        moves=own.moves,
        seed=settings.seed + 1,
        identity=posed.identity,
        say=report,
    )
    # Of either run as many members as the generator draws, evenly spaced.
    chosen = np.linspace(0, own.particles // 2 - 1, members).astype(int)
    reference = runs.unknowns[:, np.concatenate([chosen, own.particles // 2 + chosen])]

    def draw(sample: Callable[..., np.ndarray], count: int) -> np.ndarray:
        unknowns = sample(key, count * members, {"observed": np.repeat(observed[:count], members, axis=0)})
        return solved(unknowns.reshape(count, members, -1))

    def misfit(ensembles: np.ndarray) -> np.ndarray:
        apart = task.predicted(config, ensembles) - observed[: len(ensembles), None]
        return np.sqrt((apart**2).mean(axis=-1)) / own.noise

    meaning = "root mean square of observed minus simulated over the noise, a mean over members"
    inside = Cases(
        "inside",
        task.truths(config, dataset, count),
        solved(reference),
        draw,
        {"misfit": (meaning, "", misfit)},
        np.broadcast_to(posed.places, (count, *posed.places.shape)),
        # In the pictures of the unknown field there is no value to mark: other fields were observed.
        np.empty((count, 0)),
        posed.labels[:count],
        posed.coordinates,
    )

    def climatology(count: int) -> np.ndarray:
        stored = task.unknowns(config, dataset, "train")
        chosen = np.random.default_rng((settings.seed, 3)).integers(len(stored), size=(count, members))
        return solved(stored[chosen])

    rivals = {"prior": Rival("the solver from unknowns of the training data, whatever was observed", climatology)}
    weighed: tuple[ImportanceWeights, ...] = ()
    if config.game.objective == FLOW_MATCHING:
        propose = partial(_weighed, posed, config, trained)
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
        within=posed.within,
        times=posed.times,
        extent=posed.extent,
        sizes=PosteriorSizes(settings.draws, settings.resamples, settings.level, settings.resolved, settings.seed),
        rivals=rivals,
        fitted=baselines,
        candidates=lambda count: _candidates(posed, config, own.moves, observed[:count], solved),
        repeats=settings.repeats,
        spent=Spent(seconds["data"], seconds["training"]),
        progress=report,
        evaluations=trained.evaluations,
        members_shown=MEMBERS_SHOWN,
        reference_name="long tempered runs",
        exact=False,
    )
    sections = (*sections, *weighed)
    title = f"{posed.name}: posteriors against long tempered runs"
    agreement = (
        f"Two long tempered runs agree to a potential scale reduction of {np.median(runs.agreement):.3f} (median of "
        f"{count} cases, at most {runs.agreement.max():.3f})."
    )
    return Comparison(title, f"{agreement} {verdict(sections)}", members, sections, channels=posed.channels), figures


def against_truth(
    task: PosteriorTask[Data],
    config: ExperimentConfig,
    dataset: Data,
    trained: Trained,
    report: Report,
    baselines: Mapping[str, Fitted],
) -> tuple[Comparison, dict[str, np.ndarray]]:
    """Ensembles against the truth alone, beside those of samplers that need no training."""
    import jax

    from experiments.evaluation.results import Comparison, Section
    from experiments.evaluation.truth_only import Ensembles, compare_with_truth
    from experiments.evaluation.verdict import verdict

    settings, posed = config.compare, task.posed(config, dataset)
    members, count = settings.members, settings.cases
    observed = task.observe(config, dataset, "test")[:count]
    solved, keys = partial(task.solved, config, dataset), jax.random.split(jax.random.key(settings.seed))
    stored = task.unknowns(config, dataset, "train")

    def learned(sample: Callable[..., np.ndarray]) -> np.ndarray:
        unknowns = sample(keys[0], count * members, {"observed": np.repeat(observed, members, axis=0)})
        return solved(unknowns.reshape(count, members, -1))

    def prior() -> np.ndarray:
        chosen = np.random.default_rng((settings.seed, 3)).integers(len(stored), size=(count, members))
        return solved(stored[chosen])

    def sampled(rival: Sampler) -> np.ndarray:
        parts = [
            rival.draw(posed.problem, observed[first : first + CASES], members, jax.random.fold_in(keys[1], first))
            for first in range(0, count, CASES)
        ]
        return solved(np.concatenate([np.asarray(one.unknowns) for one in parts]))

    def named(setting: Mapping[str, object]) -> str:
        return "_".join(str(value) for value in setting.values())

    others = {"prior": Ensembles("the solver from unknowns of the training data, whatever was observed", prior)}
    sections: tuple[Section, ...] = ()
    if config.game.objective == FLOW_MATCHING:
        report(0, 1, "importance weights of the generator's samples")
        resampled, weights = _weighed(posed, config, trained, observed)
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
        task.truths(config, dataset, count),
        Ensembles("the generator", partial(learned, trained.sample)),
        others,
        why=NO_REFERENCE,
        members=members,
        seed=settings.seed,
        resamples=settings.resamples,
        repeats=settings.repeats,
        progress=report,
    )
    sections = (scored, *sections)
    title = f"{posed.name}: posteriors against the truth"
    return Comparison(title, verdict(sections), members, sections, channels=posed.channels), {}


def _weighed(
    posed: Posed, config: ExperimentConfig, trained: Trained, observed: np.ndarray
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
    log_target = log_posterior(posed.problem, unknowns, condition["observed"])
    log_density = log_density.reshape(count, draws)
    weights = normalized_weights(log_target.reshape(count, draws), log_density)
    shares = tuple(float(one) for one in effective_share(weights))
    found = ImportanceWeights(draws, shares, float(np.isnan(log_density).mean()))
    return resampled(unknowns.reshape(count, draws, -1), weights, settings.members, settings.seed), found


def _candidates(
    posed: Posed,
    config: ExperimentConfig,
    moves: int,
    observed: np.ndarray,
    solved: Callable[[np.ndarray], np.ndarray],
) -> list[Candidate]:
    """Return the reference's own sampler, and samplers that might do as well for less."""
    import jax

    from experiments.evaluation.cost import Candidate

    members, key = config.compare.members, jax.random.key(config.compare.seed + 2)

    def candidate(rival: Sampler, solver: Solver) -> Candidate:
        def make() -> np.ndarray:
            parts = [
                rival.draw(
                    solver.problem, observed[first : first + CASES], members, jax.random.fold_in(key, first)
                ).unknowns
                for first in range(0, len(observed), CASES)
            ]
            return solved(np.concatenate(parts))

        return Candidate({**rival.setting, **solver.setting}, make)

    own, *cheaper = posed.solvers
    reference = candidate(tempered(moves), own)
    if not config.compare.search:
        return [reference]
    # A cheaper solver changes less than the noise does.
    return [reference, *(candidate(rival, one) for rival in RIVALS for one in rival.tried_with(cheaper))]
