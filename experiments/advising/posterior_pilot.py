"""A pilot of a posterior: what samplers cost that are as good as a reference, and what a generator's samples cost.

    cases of the prior -> two long tempered runs of each -> samplers, cheap ones first -> the generator's price

How difficult a posterior is shows only where one samples it, so a few cases are sampled here as the comparison would.
"""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from experiments.advising.clock import Clock
from experiments.advising.prices import update_seconds
from experiments.config import ExperimentConfig
from experiments.evaluation.advice import GeneratorPrice, Once
from experiments.evaluation.posterior_advice import SamplerPrice
from experiments.reporting import Report
from experiments.tasks.posterior_programs import CHUNK, streamed
from experiments.tasks.posterior_samplers import RIVALS, Sampler, potential_scale_reduction

if TYPE_CHECKING:
    from experiments.tasks.posterior_task import PosteriorTask, Solver
    from experiments.tasks.task import TrainingData
    from gan.training.loop import Trainer
    from physics.inference.inverse_problem import InverseProblem

STAGES = 5
"""Stages that are reported."""
CASES, MEMBERS = 4, 128
"""Of the pilot's ensembles."""
JUDGED = 64
"""Members of the reference that stand for the truth in the expected CRPS."""
_REPEATS, _CALLS = 5, 16
TRIED = ("ensemble_smoother", "tempered", "crank_nicolson")
"""Samplers that are tried; the no-U-turn sampler takes minutes."""


def _order(sampler: Sampler) -> tuple[int, int]:
    """Cheap samplers first."""
    return TRIED.index(str(sampler.setting["sampler"])), int(str(sampler.setting["steps"]))


class References(NamedTuple):
    """Two independent tempered runs for each case.

    Attributes:
        runs: unknowns (2, cases, members, d).
        agreement: potential scale reduction of the two, the largest over the cases.
    """

    runs: np.ndarray
    agreement: float


class PosteriorPilot:
    """Measures one posterior under one configuration, stage after stage."""

    def __init__(self, task: PosteriorTask[TrainingData], config: ExperimentConfig, clock: Clock, report: Report):
        self.task, self.config, self.clock, self._report = task, config, clock, report
        self._planned = task.planned(config)
        self._own, *self._cheaper = self._planned.solvers
        self.problem: InverseProblem = self._own.problem
        seed = config.compare.seed
        # Made as the training's samples are: unknowns of the prior, and what is observed of them.
        self._stream = streamed(self.problem, config.data.seed)
        _, seen = self._stream(seed, np.arange(CASES, dtype=np.uint32))
        self.observed = np.asarray(seen["observed"])

    def _say(self, stage: int, what: str) -> None:
        self._report(stage, STAGES, what)

    def call_seconds(self) -> float:
        """Return the seconds of one solver call, in batches as samplers make them."""
        import jax

        from experiments.evaluation.cost import timed

        self._say(0, "timing the solver")
        rng = np.random.default_rng(self.config.compare.seed)
        unknowns = rng.standard_normal((CASES * MEMBERS, self.problem.dimension)).astype(np.float32)
        run = jax.jit(jax.vmap(self.problem.predict))
        jax.block_until_ready(run(unknowns))
        taken = [timed(lambda: jax.block_until_ready(run(unknowns)))[1] for _ in range(_CALLS)]
        return statistics.median(taken) / len(unknowns)

    def references(self) -> References:
        """Draw the reference twice, with the moves of the comparison's long runs."""
        import jax

        from physics import tempered_posterior

        moves = self.task.observing(self.config).moves
        runs = []
        for number in range(2):
            self._say(1, f"long tempered run {number + 1} of 2")
            key = jax.random.key(self.config.compare.seed + 11 + number)
            found = tempered_posterior(self.problem, self.observed, 2 * MEMBERS, key, moves=moves, last_moves=4 * moves)
            runs.append(np.asarray(found.unknowns))
        agreement = max(potential_scale_reduction(one, two) for one, two in zip(*runs, strict=True))
        return References(np.stack(runs), agreement)

    def samplers(self, references: References) -> tuple[SamplerPrice, ...]:
        """Try samplers with the data's solver steps, and the cheapest good one with longer steps too.

        The expected CRPS of an ensemble X under the reference's members r is E|X - r| - E|X - X'| / 2, a mean over the
        values of the fields; the reference's own is that of its first run under the second.
        """
        truths = self._solved(references.runs[1][:, :: 2 * MEMBERS // JUDGED])
        scale = np.std(truths, axis=(0, 1, *range(3, truths.ndim - 1)), keepdims=True)
        own = self._expected_crps(self._solved(references.runs[0][:, ::2]), truths, scale)
        tried: list[SamplerPrice] = []

        def tries(sampler: Sampler, solver: Solver) -> SamplerPrice:
            setting = {**sampler.setting, **solver.setting}
            self._say(2, "sampling by " + ", ".join(map(str, sampler.setting.values())))
            seconds, calls, unknowns = self._timed(sampler, solver.problem)
            score = self._expected_crps(self._solved(unknowns), truths, scale)
            tried.append(SamplerPrice(setting, seconds, calls, score / own - 1))
            return tried[-1]

        good: list[tuple[float, Sampler]] = []
        for sampler in sorted((one for one in RIVALS if one.setting["sampler"] in TRIED), key=_order):
            if good and self.clock.spent > self.clock.budget:
                # What is left costs more than what was found.
                break
            found = tries(sampler, self._own)
            if found.good:
                good.append((found.seconds, sampler))
        if good:
            _, cheapest = min(good, key=lambda one: one[0])
            for solver in cheapest.tried_with(self._cheaper):
                # A step that does not divide the times of the observations is none to sample with.
                with suppress(ValueError):
                    tries(cheapest, solver)
        return tuple(tried)

    def _timed(self, sampler: Sampler, problem: InverseProblem) -> tuple[float, float, np.ndarray]:
        """Return seconds and solver calls of a member, and the ensembles (cases, members, d)."""
        import jax

        from experiments.evaluation.cost import timed

        key = jax.random.key(self.config.compare.seed + 5)
        # The first call compiles; where programs serve all lengths, one compiles for all of them.
        sampler.draw(problem, self.observed, MEMBERS, key)
        found, seconds = timed(lambda: sampler.draw(problem, self.observed, MEMBERS, key))
        return seconds / (CASES * MEMBERS), float(found.solver_calls), np.asarray(found.unknowns)

    def _solved(self, unknowns: np.ndarray) -> np.ndarray:
        return self._planned.solved(unknowns)

    def _expected_crps(self, ensembles: np.ndarray, truths: np.ndarray, scale: np.ndarray) -> float:
        import jax
        import jax.numpy as jnp

        from experiments.evaluation.scores.ensemble import crps

        # A member that is not finite is as far off as one can be.
        members = np.nan_to_num(ensembles / scale, nan=1e3, posinf=1e3, neginf=-1e3).clip(-1e3, 1e3)

        def one(case: tuple[jax.Array, jax.Array]) -> jax.Array:
            drawn, others = case
            return jax.lax.map(lambda truth: jnp.mean(crps(drawn, truth, fair=True)), others).mean()

        return float(jax.lax.map(one, (jnp.asarray(members), jnp.asarray(truths / scale))).mean())

    def generator(self) -> tuple[GeneratorPrice, Once]:
        """Time samples of the preset's networks with untrained parameters, and updates of their training."""
        from experiments.evaluation.cost import timed, timing

        self._say(3, "timing the generator")
        trainer = self._trainer()
        chunk = max(self.config.training.sample_chunk, CASES * MEMBERS)
        draws = self._draws(trainer, chunk)
        seconds: dict[str, list[float]] = {name: [] for name in draws}
        for draw in draws.values():
            draw()
        for _ in range(_REPEATS):
            for name, draw in draws.items():
                seconds[name].append(timed(draw)[1])
        sample, network = (timing(seconds[name], chunk) for name in ("sample", "network"))
        self._say(4, "timing updates of the training")
        update = update_seconds(trainer, self.config, self.clock)
        solve = max(sample.seconds - network.seconds, 0.0)
        once = Once(self._planned.solves * solve, self.config.training.steps, update)
        self._say(STAGES, "done")
        return GeneratorPrice(sample, network, trainer.networks.evaluations or 1), once

    def _trainer(self) -> Trainer:
        """Return the training of the preset, set up on samples made here."""
        from gan.training.loop import Trainer
        from gan.training.problem import Problem

        training = self.config.training
        taken = training.batch * self.config.game.critic_steps * training.steps_per_call
        count = CHUNK * math.ceil(taken / CHUNK)
        unknowns, seen = self._stream(self.config.compare.seed + 1, np.arange(count, dtype=np.uint32))
        problem = Problem(np.asarray(unknowns), condition={name: np.asarray(one) for name, one in seen.items()})
        # A folder that nothing is written to, since the training does not run.
        with tempfile.TemporaryDirectory() as folder:
            return Trainer(problem, self.config, folder)

    def _draws(self, trainer: Trainer, count: int) -> Mapping[str, Callable[[], np.ndarray]]:
        """Return what draws unknowns by the network, and what adds their fields."""
        import jax

        trained, key = trainer.trained(trainer.state), jax.random.key(self.config.compare.seed)
        condition = {"observed": np.resize(self.observed, (count, self.observed.shape[1]))}
        network: Callable[[], np.ndarray] = partial(trained.sample, key, count, condition)
        rng = np.random.default_rng(self.config.compare.seed)
        # Untrained networks make unknowns that the solver may not stand; what a call costs does not depend on them.
        stood = rng.standard_normal((count, self.problem.dimension)).astype(np.float32)

        def sample() -> np.ndarray:
            network()
            return self._solved(stood)

        return {"sample": sample, "network": network}
