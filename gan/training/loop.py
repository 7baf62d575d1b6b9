"""The training loop: batches in, one compiled step after another, records and checkpoints out.

The loop steps in Python (convolution gradients inside a compiled loop are about 100 times slower on a CPU)
and never waits for the device except where it logs and, with several devices of one CPU, before the next call. What
was run between two logged steps is checked there, and only a checked state is saved, so the last checkpoint is always
good. Several processes run the same loop: each reads its own rows of every batch, and the first writes the record.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan import normalizer
from gan.adaptive_augmentation import with_probability
from gan.adversarial import adversarial_game
from gan.config import Recipe
from gan.flow_matching import flow_matching_game
from gan.game import Batch, Game, Players
from gan.networks.players import build
from gan.optimizers.transforms import step_size
from gan.regularizers import neighbour_scale
from gan.short_waves import fit_samples
from gan.training import processes
from gan.training.alarms import ALARMS, Alarms
from gan.training.batches import advance, batches_of
from gan.training.checkpoint import (
    DESCRIPTION,
    METRIC,
    Checkpoints,
    difference,
    read_description,
    write_description,
)
from gan.training.checks import check_penalties
from gan.training.devices import Spread
from gan.training.diagnostics import diagnosis
from gan.training.divergence import Diverged, checked_means, one_by_one
from gan.training.pace import Pace
from gan.training.problem import Problem
from gan.training.record import RECORD, SAMPLE_HISTORY, rewind, write_frame
from gan.training.step import AXIS, TrainingState, first_state, make_step, parallel, repeated
from gan.training.stopping import Interruption, Reserve, StopRequest
from gan.training.trained import Trained, bound_of, describe, evaluations_of, optimizer_of
from gan.training.validation import normalized_distance, variety

Progress = Callable[[int, int, dict[str, float]], None]
Note = Callable[[str], Any]


class Trainer:
    """One training: :func:`train` is this class run once from start to end."""

    def __init__(self, problem: Problem, config: Any, directory: str | Path):
        self.problem, self.recipe, self.folder = problem, Recipe.of(config), Path(directory)
        training, game = self.recipe.training, self.recipe.game
        taken = training.batch * game.critic_steps
        if len(problem.train) < taken:
            raise ValueError(
                f"One update takes {taken} samples, but there are only {len(problem.train)} to train on: "
                "make more data or choose a smaller training.batch."
            )
        if self.recipe.solver_layer.tau > 0 and problem.solver_layer is None:
            raise ValueError(
                f"solver_layer.tau = {self.recipe.solver_layer.tau} needs Problem.solver_layer: give one, or "
                f"set tau to 0."
            )
        check_penalties(self.recipe, problem.penalties)
        self.spread = Spread(self.recipe, problem.spec.grid)
        self.devices = self.spread.devices
        conditions = {name: normalizer.fit(value) for name, value in (problem.condition or {}).items()}
        self.networks, players = build(
            self.recipe.network,
            problem.spec,
            fit_samples(self.recipe.network, problem.train, problem.held, problem.symmetries),
            conditions,
            bound=bound_of(self.recipe),
            evaluations=evaluations_of(self.recipe),
            seed=training.seed,
        )
        # One device has nothing to reduce, and a CPU takes up to a tenth of a small step for it.
        several = len(self.devices) > 1 and training.parallel in ("pmap", "shard_map")
        axis_name = AXIS if several else None
        optimizer = optimizer_of(self.recipe)
        self.state = first_state(with_probability(players, game), optimizer, training.seed)

        def per_device(strength: float) -> Callable[..., Any]:
            step = make_step(self.game_of(axis_name, strength), optimizer, self.recipe, len(problem.train), axis_name)
            return repeated(step, training.steps_per_call)

        self.game = self.game_of(axis_name)
        self.per_device = per_device(float(game.penalty_every))
        self.step = parallel(self.per_device, self.spread.how, self.devices)
        self.step_between = self.step
        if game.penalty_every > 1:
            self.step_between = parallel(per_device(0.0), self.spread.how, self.devices)
        self.batches = batches_of(problem, training.seed)
        self.description = describe(self.recipe, self.networks)
        self.alarms = Alarms(training.alarm_after)
        self._sampler: Trained | None = None
        self._diagnosis: Callable[..., dict[str, Any]] | None = None

    def game_of(self, axis_name: str | None, strength: float = 1.0, *, with_solver: bool = True) -> Game:
        """Return the game of the training.

        Args:
            axis_name: mapped axis of devices, ``None`` for one device.
            strength: how many times as strong the discriminator's gradient penalties are.
            with_solver: whether the solver layer advances samples; without it, parts of an update can be timed.
        """
        problem, game = self.problem, self.recipe.game
        if self.networks.evaluations:
            return flow_matching_game(self.networks, problem.symmetries)
        penalties = {name: strength * getattr(game, name) for name in ("r1", "r2", "gradient_penalty")}
        return adversarial_game(
            self.networks,
            dataclasses.replace(game, **penalties),
            self.recipe.solver_layer,
            solver_layer=problem.solver_layer if with_solver else None,
            symmetries=problem.symmetries,
            penalties=problem.penalties,
            elsewhere=problem.elsewhere,
            gamma_scale=self._gamma_scale,
            axis_name=axis_name,
        )

    @cached_property
    def _gamma_scale(self) -> float | None:
        game = self.recipe.game
        if game.gamma_rule == "dimension" or not (game.r1 > 0 or game.r2 > 0):
            return None
        if game.gamma_rule == "fixed":
            return 1.0
        return neighbour_scale(self.problem.train, self.networks.normalizer)

    def next_batch(self, cursor: tuple[int, int]) -> tuple[Any, Any]:
        """Return this process's data of one call: axes (its devices, steps, critic steps, share of the batch)."""
        count, critic = self.spread.shares, self.recipe.game.critic_steps
        share, steps = self.recipe.training.batch // count, self.recipe.training.steps_per_call
        fields, condition = self.batches.take(cursor, (steps, critic, count, share), (2, self.spread.own_shares))
        return np.moveaxis(fields, 2, 0), {k: np.moveaxis(v, 2, 0) for k, v in condition.items()}

    def trained(self, state: TrainingState, validation: float | None = None) -> Trained:
        """Return the generator of a state."""
        return Trained(
            self.recipe,
            self.networks,
            jax.device_get(state.average),
            solver_layer=self.problem.solver_layer,
            symmetries=self.problem.symmetries,
            step=int(state.step),
            validation=validation,
        )

    def diagnose(self, before: Players, after: Players, batch: tuple[Any, Any], step: int) -> dict[str, float]:
        """Return gradients by layer and the rotation of the game over one call, from the first device's share."""
        fields, condition = jax.tree.map(lambda x: x[-1, -1], self.spread.first_share(batch))
        progress = jnp.float32((step - 1) / self.recipe.training.steps)
        share = Batch(jnp.asarray(fields), condition, jnp.arange(len(fields)), progress)
        if self._diagnosis is None:
            self._diagnosis = diagnosis(self.game_of(None), self.recipe.training.precision)
        key = jax.random.fold_in(jax.random.key(self.recipe.training.seed), step)
        found = self._diagnosis(before, jax.device_get(after), share, key)
        return {name: float(value) for name, value in jax.device_get(found).items()}

    def validate(self, state: TrainingState) -> float | None:
        """Return the validation metric of the averaged generator, ``None`` without held-out samples."""
        return self.examine(state).get(METRIC)

    def examine(self, state: TrainingState, sample_history: Path | None = None) -> dict[str, float]:
        """Return validation metric, variety and the problem's own measures of the averaged generator's samples.

        Every call draws from the same latents. The first of the samples and the generator's parameters are written
        to ``sample_history``, where that is given.
        """
        problem = self.problem
        if problem.validation is None:
            return {}
        count = min(self.recipe.training.validation_samples, len(problem.validation))
        held_out = np.asarray(problem.validation[:count])
        condition = {k: np.asarray(v[:count]) for k, v in (problem.validation_condition or {}).items()}
        if self._sampler is None:
            self._sampler = self.trained(state)
        self._sampler.generator = jax.device_get(state.average)
        fields, valid = self._sampler.draw(jax.random.key(self.recipe.training.seed), count, condition)
        if sample_history is not None:
            write_frame(sample_history, fields[: self.recipe.training.sample_history], self._sampler.params)
        if not valid.any():
            return {METRIC: math.inf}
        normalizer = self.networks.normalizer
        if problem.validate is not None:
            distance = float(problem.validate(fields, held_out))
        else:
            distance = normalized_distance(fields, held_out, normalizer)
        measured = {} if problem.measure is None else dict(problem.measure(fields[valid]))
        return {METRIC: distance, **variety(fields, held_out, normalizer), **measured}

    def run(
        self,
        resume: bool,
        progress: Progress | None,
        note: Note = warnings.warn,
        stop: StopRequest | None = None,
    ) -> Trained:
        """Train to the end; see :func:`train`."""
        training = self.recipe.training
        self._open_folder(resume)
        checkpoints = Checkpoints(self.folder, training.keep)
        try:
            state, before, validation = self._begin(checkpoints, resume, note)
            state = self.spread.replicate(state)
            first = step = int(state.step)
            cursor = (int(state.cursor[0]), int(state.cursor[1]))
            several = training.steps_per_call
            taken = training.batch * self.recipe.game.critic_steps * several
            rates = [
                step_size(self.recipe.optimizer, rate, training.steps)
                for rate in (self.recipe.optimizer.generator_rate, self.recipe.optimizer.discriminator_rate)
            ]
            waiting: list[Any] = []
            pace, reserve, began = Pace(), Reserve(), time.monotonic()
            with Interruption(stop) as interruption, self._record().open("a") as record:
                pace.start()
                block_began = began
                while step < training.steps:
                    diagnosing = training.diagnose_every and not (step + several) % training.diagnose_every
                    diagnosing = diagnosing and processes.is_first()
                    earlier = jax.device_get(state.players) if diagnosing else None
                    batch = self.spread.place(self.next_batch(cursor))
                    self.spread.await_turn(waiting[-1:])
                    penalised = step % self.recipe.game.penalty_every == 0
                    state, metrics = pace.call(self.step if penalised else self.step_between, several, state, *batch)
                    cursor = advance(cursor, taken, len(self.problem.train))
                    waiting.append(metrics)
                    step += several
                    stopping = self._stopping(interruption, reserve, step)
                    if step % training.log_every and step != training.steps and not stopping:
                        continue
                    waiting = jax.device_get(waiting)
                    save_began = time.monotonic()
                    reserve.block(save_began - block_began)
                    taking = pace.read()
                    try:
                        means = checked_means(step, one_by_one(waiting, several), training)
                    except Diverged as error:
                        # All processes see the same metrics.
                        processes.part()
                        raise Diverged(f"{error} {self._kept(checkpoints)}") from None
                    waiting = []
                    line: dict[str, Any] = {
                        "step": step,
                        "seconds": before + time.monotonic() - began,
                        **taking,
                        **means,
                    }
                    line["rate_generator"], line["rate_discriminator"] = (float(rate(step)) for rate in rates)
                    saving = step % training.checkpoint_every == 0 or step == training.steps or stopping
                    if saving:
                        line |= self.examine(state, self._frame(step))
                        # Kinds of processors may differ in the last digits, by which the best is chosen.
                        validation = processes.share(line.get(METRIC))
                    if earlier is not None:
                        line |= self.diagnose(earlier, state.players, batch, step)
                    if raised := self.alarms.see(line):
                        line[ALARMS] = raised
                    # The record first: a line without its checkpoint is run again, the other way it would be lost.
                    record.write(json.dumps(line) + "\n")
                    record.flush()
                    if saving:
                        checkpoints.save(step, state, {} if validation is None else {METRIC: validation})
                        if interruption.limited:
                            checkpoints.wait()
                            reserve.save(time.monotonic() - save_began)
                    if progress is not None:
                        progress(step, training.steps, line)
                    if stopping:
                        checkpoints.wait()
                        processes.part()
                        interruption.honour()
                    pace.start()
                    block_began = time.monotonic()
            if first == step and validation is None:
                validation = self.validate(state)
            return self.trained(state, validation)
        finally:
            checkpoints.close()

    def _stopping(self, interruption: Interruption, reserve: Reserve, step: int) -> bool:
        """Whether to save and end now. Several processes agree on it, where they write a line of the record."""
        asked = interruption.requested(reserve)
        if not processes.joined() or step % self.recipe.training.log_every:
            return asked and not processes.joined()
        agreed = processes.any_of(asked)
        if agreed and not asked:
            interruption.follow("with another process of the training")
        return agreed

    def _record(self) -> Path:
        """The file of the record; of several processes, the first writes it."""
        return self.folder / RECORD if processes.is_first() else Path(os.devnull)

    def _frame(self, step: int) -> Path | None:
        wanted = self.recipe.training.sample_history and processes.is_first()
        return self.folder / SAMPLE_HISTORY / f"{step:08d}.npz" if wanted else None

    def _open_folder(self, resume: bool) -> None:
        """Check what the folder holds, and describe the training in it; of several processes, the first does."""
        if processes.is_first():
            self._describe_folder(resume)
        processes.share()

    def _describe_folder(self, resume: bool) -> None:
        exists = (self.folder / DESCRIPTION).exists()
        if exists and not resume:
            raise ValueError(f"{self.folder} already holds a training: resume it, or choose an empty folder.")
        if exists:
            found = difference(read_description(self.folder), self.description)
            if found:
                raise ValueError(
                    f"The training in {self.folder} cannot be resumed with another configuration: {found}."
                )
        else:
            write_description(self.folder, self.description)

    def _begin(self, checkpoints: Checkpoints, resume: bool, note: Note) -> tuple[TrainingState, float, float | None]:
        """Return the state to start from, the seconds spent before, and its validation metric."""
        found = checkpoints.restore_newest(self.spread.replicate(self.state), note) if resume else None
        kept = rewind(self.folder, found and found[0]) if processes.is_first() else []
        for line in kept:
            # A line that somebody else wrote may lack what the alarms read.
            with suppress(KeyError):
                self.alarms.see(line)
        if found is None:
            return self.state, 0.0, None
        last = kept[-1] if kept else {}
        seconds, validation = processes.share([float(last.get("seconds", 0.0)), last.get(METRIC)])
        return found[1], seconds, validation

    def _kept(self, checkpoints: Checkpoints) -> str:
        latest = checkpoints.latest()
        if latest is None:
            return "No checkpoint had been written yet."
        return f"The checkpoint of step {latest} is kept."


def train(
    problem: Problem,
    config: Any,
    directory: str | Path,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    note: Note = warnings.warn,
    stop: StopRequest | None = None,
) -> Trained:
    """Train a generator and return it, its parameters averaged.

    Args:
        problem: data and physics.
        config: a :class:`gan.config.Recipe`, or any object with its five sections.
        directory: gets ``checkpoints/``, ``gan.json`` and ``metrics.jsonl``.
        resume: go on from the newest whole checkpoint there, bit for bit as if never interrupted on the same count
            of devices. Damaged checkpoints are removed.
        progress: called as ``progress(step, steps, metrics)`` at every logged step.
        note: called with one line for each checkpoint that is removed.
        stop: signals and a time limit that end the training before its last step.

    Raises:
        ValueError: something in problem, configuration or folder does not fit; one sentence says what.
        Diverged: a loss or gradient ran away; the last good checkpoint is kept.
        KeyboardInterrupt: after Ctrl-C, once the state is saved.
        Stopped: by ``stop``, once the state is saved.
    """
    return Trainer(problem, config, directory).run(resume, progress, note, stop)
