"""Generators of posteriors that learn for a given time, and the judge of their samples, for `neural_posteriors.py`.

An arm is one of three trainings of one network: flow matching, the fair CRPS without a discriminator, and the game with
the fair CRPS. The judge holds samples of the unknowns for test cases of an experiment against the truth and against
long tempered runs.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from experiments import catalog
from experiments.config import ExperimentConfig
from experiments.evaluation.ensemble_statistics import calibration, calibration_parts
from experiments.evaluation.importance import effective_share, normalized_weights
from experiments.evaluation.posterior_reference import PosteriorReference, PosteriorSizes
from experiments.evaluation.scores import crps, energy_score
from experiments.reporting import silent
from experiments.tasks.posterior import Posterior
from experiments.tasks.posterior_programs import log_posterior
from experiments.tasks.posterior_samplers import long_runs
from gan.baselines.ensemble_score import ensemble_score
from gan.baselines.fitting import Fit
from gan.config import Recipe
from gan.networks.players import Networks
from gan.training.batches import advance
from gan.training.loop import Trainer
from gan.training.trained import Trained

FLOW, FAIR, GAME = "flow matching", "fair CRPS", "game and fair CRPS"
DENSITIES = 256
"""Test cases at whose true unknowns densities are taken."""
STEPS = 40
"""Runge-Kutta steps for the density of a velocity field."""


class Ensembles(NamedTuple):
    """What an arm leaves for the judge.

    Attributes:
        unknowns: (cases, members, d).
        log_density: of these samples, (cases, members); None where the arm has none.
        log_density_true: of the true unknowns of `DENSITIES` test cases; None where the arm has none.
        about: updates made, seconds and more, in plain values.
    """

    unknowns: np.ndarray
    log_density: np.ndarray | None
    log_density_true: np.ndarray | None
    about: dict[str, Any]


class Study:
    """One experiment: data, reference and judge.

    Args:
        name: of the experiment in the catalogue.
        preset: of it.
    """

    def __init__(self, name: str, preset: str = "demo"):
        experiment = catalog.load(name)
        task, config = experiment.learnt(), experiment.presets[preset]
        assert isinstance(task, Posterior)
        self.name, self.task, self.config = name, task, config
        self.data = task.data(config, silent)
        problem = task.problem(config, self.data)
        assert problem.condition is not None and problem.validation_condition is not None
        # Nothing of ours is chosen by the validation data, and all arms learn from the stored pairs.
        self.problem = replace(problem, validation=None, validation_condition=None, stream=None)
        self.sbi_data = {
            "theta": np.asarray(problem.train, np.float32),
            "x": np.asarray(problem.condition["observed"], np.float32),
            "validation/theta": np.asarray(problem.validation, np.float32),
            "validation/x": np.asarray(problem.validation_condition["observed"], np.float32),
        }
        self.cases, self.members = config.compare.cases, config.compare.members
        self.true = np.asarray(task.unknowns(config, self.data, "test")[:DENSITIES], np.float32)
        self.observed = task.observe(config, self.data, "test")[:DENSITIES]
        self.repeated = np.repeat(self.observed[: self.cases], self.members, axis=0)

    def recipe(self, arm: str, seed: int, steps: int) -> ExperimentConfig:
        """Return the settings of one of our arms."""
        config = self.config
        if arm != FLOW:
            adversarial = catalog.load("burgers_inverse").presets["adversarial"]
            config = replace(config, game=adversarial.game, optimizer=adversarial.optimizer)
        several = config.training.steps_per_call
        training = replace(config.training, seed=seed, steps=steps, log_every=several, checkpoint_every=several)
        return replace(config, training=replace(training, diagnose_every=0))

    @cached_property
    def long_runs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the reference's members (cases, 2 members, d), and as many others as an arm draws."""
        task, config, own = self.task, self.config, self.task.own_settings(self.config)
        half = own.particles // 2
        runs = long_runs(
            task.inverse_problem(config, self.data.times),
            self.observed[: self.cases],
            half,
            moves=own.moves,
            seed=config.compare.seed + 1,
            identity=task.identity(config, self.data.times),
            say=silent,
        )
        # As the comparison of the experiment chooses them.
        chosen = np.linspace(0, half - 1, self.members).astype(int)
        rest = np.setdiff1d(np.arange(half), chosen)
        others = rest[np.linspace(0, len(rest) - 1, self.members // 2).astype(int)]
        both = [runs.unknowns[:, np.concatenate([one, half + one])] for one in (chosen, others)]
        return both[0], both[1]

    @cached_property
    def reference(self) -> PosteriorReference:
        """Return what ensembles of trajectories are held against."""
        settings, cases = self.config.compare, self.cases
        truths = np.concatenate([self.data.initial["test"][:cases, None], self.data.test[:cases]], axis=1)
        return PosteriorReference(
            self.trajectories(self.long_runs[0]),
            truths,
            members=self.members,
            extent=self.task.system_of(self.config).grid.extent,
            sizes=PosteriorSizes(settings.draws, settings.resamples, settings.level, settings.resolved, settings.seed),
        )

    def trajectories(self, unknowns: np.ndarray) -> np.ndarray:
        """Solve."""
        return self.task.trajectories(self.config, self.data.times, unknowns)

    def judged(self, made: Ensembles) -> dict[str, Any]:
        """Return all measures of ensembles."""
        unknowns, fields = made.unknowns, self.trajectories(made.unknowns)
        finite = np.isfinite(fields).reshape(*fields.shape[:2], -1).all(axis=-1)
        for case, member in zip(*np.nonzero(~finite)):
            # The solver cannot go from there; another member counts twice.
            fields[case, member] = fields[case, np.flatnonzero(finite[case])[0]]
        x, y = np.moveaxis(unknowns, 1, 0), self.true[: self.cases]
        parts = jax.device_get(calibration_parts(x, y, jax.random.split(jax.random.key(0), len(y))))
        found = {
            **made.about,
            "not_finite": int((~finite).sum()),
            "fields": self.reference.figures_of_merit(fields),
            "unknowns": {
                "crps": float(crps(x, y).mean()),
                "energy_score": float(energy_score(x, y).mean()) / x.shape[-1] ** 0.5,
                **calibration(parts),
            },
        }
        if made.log_density_true is not None:
            found["log_density"] = float(np.mean(made.log_density_true))
        if made.log_density is not None:
            problem = self.task.inverse_problem(self.config, self.data.times)
            target = log_posterior(problem, unknowns.reshape(-1, unknowns.shape[-1]), self.repeated)
            weights = normalized_weights(target.reshape(made.log_density.shape), made.log_density)
            found["effective"] = float(np.median(effective_share(weights)))
        return found


def log_density(networks: Networks, generator: Any, x: np.ndarray, observed: np.ndarray) -> Float[Array, " n"]:
    """Return the logarithms (n,) of the densities of a velocity field at samples (n, d) in physical units.

    By the classical Runge-Kutta method from data (time 1) to noise (time 0), with the exact divergence.
    """

    def one(point: Array, given: Array) -> Array:
        def velocity(state: Array, time: Array) -> Array:
            params, network_state = generator
            return networks.velocity(params, network_state, state[None], time[None], {"observed": given[None]})[0]

        def both(state: Array, time: Array) -> tuple[Array, Array]:
            return velocity(state, time), jnp.trace(jax.jacfwd(velocity)(state, time))

        def step(carried: tuple[Array, Array], time: Array) -> tuple[tuple[Array, Array], None]:
            (state, volume), h = carried, -1.0 / STEPS
            one, d_one = both(state, time)
            two, d_two = both(state + 0.5 * h * one, time + 0.5 * h)
            three, d_three = both(state + 0.5 * h * two, time + 0.5 * h)
            four, d_four = both(state + h * three, time + h)
            state = state + h / 6 * (one + 2 * two + 2 * three + four)
            return (state, volume + h / 6 * (d_one + 2 * d_two + 2 * d_three + d_four)), None

        start = networks.normalizer.normalize(point)
        (noise, volume), _ = jax.lax.scan(step, (start, jnp.zeros(())), 1.0 - jnp.arange(STEPS) / STEPS)
        scale = jnp.sum(jnp.log(jnp.broadcast_to(jnp.asarray(networks.normalizer.std), start.shape)))
        return jax.scipy.stats.norm.logpdf(noise).sum() + volume - scale

    found: Array = jax.jit(jax.vmap(one))(jnp.asarray(x), jnp.asarray(observed))
    return found


@lru_cache
def study_of(name: str) -> Study:
    """Return an experiment with its data, read once."""
    return Study(name)


Sample = Callable[[Array, int, Mapping[str, np.ndarray]], np.ndarray]


def fair(study: Study, seed: int, steps: int) -> tuple[Sample, float, int]:
    """Train the generator without a discriminator; return its sampler, processor seconds and the updates in them."""
    config, began = study.recipe(FAIR, seed, steps), 0.0

    def progress(done: int, total: int, what: str) -> None:
        nonlocal began
        # The loop tells the progress for the first time after its first call, which compiles.
        began = began or time.process_time()

    baseline = ensemble_score(Fit(study.problem, Recipe.of(config), progress))
    return baseline.sample, time.process_time() - began, steps - config.training.steps_per_call


def played(study: Study, arm: str, seed: int, steps: int) -> tuple[Trained, float, int]:
    """Train by the project's own steps; return the generator, processor seconds and the updates in them."""
    config = study.recipe(arm, seed, steps)
    trainer, several = Trainer(study.problem, config, tempfile.gettempdir()), config.training.steps_per_call
    state, cursor, began = trainer.spread.replicate(trainer.state), (0, 0), 0.0
    for _ in range(steps // several):
        batch = trainer.spread.place(trainer.next_batch(cursor))
        state, metrics = trainer.step(state, *batch)
        cursor = advance(cursor, config.training.batch * several, len(study.problem.train))
        # Not ahead of the device, or batches of the whole training would wait in memory.
        jax.block_until_ready(metrics)
        # The first call compiles.
        began = began or time.process_time()
    spent = time.process_time() - began
    if not all(np.isfinite(one).all() for one in jax.tree.leaves(jax.device_get(state.average))):
        raise SystemExit(f"{arm} diverged on {study.name} at seed {seed}.")
    return trainer.trained(state), spent, steps - several


def own_arm(study: Study, arm: str, seed: int, seconds: float, pace: float) -> Ensembles:
    """Train one of our arms for so many processor seconds, at so many for an update, and draw."""
    several = study.config.training.steps_per_call
    steps = several * (1 + round(seconds / pace / several))
    key, count = jax.random.key(study.config.compare.seed), len(study.repeated)
    condition, shape = {"observed": study.repeated}, (study.cases, study.members)
    density = at_truth = None
    if arm == FAIR:
        sample, spent, updates = fair(study, seed, steps)
        unknowns = sample(key, count, condition)
    else:
        trained, spent, updates = played(study, arm, seed, steps)
        unknowns = trained.sample(key, count, condition)
        if arm == FLOW:
            made, density = trained.sample_with_log_density(key, count, condition)
            np.testing.assert_allclose(made, unknowns, atol=1e-3)
            density = density.reshape(shape)
            at_truth = np.asarray(log_density(trained.networks, trained.generator, study.true, study.observed))
    about = {"updates": updates, "seconds": spent}
    return Ensembles(unknowns.reshape(*shape, -1), density, at_truth, about)
