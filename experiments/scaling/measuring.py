"""What one process measures of a training on its devices: an update, its parts, its memory, what it costs to begin."""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

from experiments.config import ExperimentConfig
from experiments.evaluation.cost import in_turn, timed
from experiments.scaling.energy import Meter
from experiments.scaling.programs import Compiled, Parts, Program, compiled, matrix_rate, memory_rate
from experiments.scaling.records import Phase, Point
from experiments.scaling.work import counts, passes, work
from gan.training import processes
from gan.training.batches import advance
from gan.training.checkpoint import Checkpoints
from gan.training.loop import Trainer

if TYPE_CHECKING:
    from gan.training.problem import Problem

_REPEATS, _BLOCKS = 5, 5
"""Timings of every part, and blocks of updates."""
_BLOCK_SECONDS, _MOST_CALLS = 0.5, 200
"""What a block of updates should take, and its most calls."""
_TRACED = 5
"""Calls in a trace of the profiler."""


class Measurement:
    """One training whose updates are measured, on all devices of its recipe.

    Args:
        config: of the training.
        problem: data and solver layer.
        folder: an existing one, in which checkpoints are written and removed again.
        started: the time of the process's start, as `time.time` has it.
    """

    def __init__(self, config: ExperimentConfig, problem: Problem, folder: Path, started: float):
        self._config, self._problem, self._folder = config, problem, folder
        self._trainer = trainer = Trainer(problem, config, folder / "unused")
        self._state = trainer.spread.replicate(trainer.state)
        self._cursor = (0, 0)
        batch = self._batch()
        self._start_seconds = time.time() - started
        several = trainer.step_between is not trainer.step
        self._steps = [compiled(trainer.step, self._state, *batch)]
        self._steps += [compiled(trainer.step_between, self._state, *batch)] if several else []
        self._made = 0

    def point(self, trace: Path | None = None) -> Point:
        """Measure everything.

        Args:
            trace: folder for a trace of the profiler; None for none.
        """
        training, trainer = self._config.training, self._trainer
        step_seconds = self._step_seconds()
        with Meter(trainer.devices[0].platform) as meter:
            blocks, made, busy = self._blocks(step_seconds)
        if trace is not None:
            self._trace(trace)
        parts = Parts(trainer, self._state, trainer.spread.place(trainer.next_batch((0, 0))))
        phases, reduction_seconds = self._phases(parts, step_seconds, statistics.median(blocks))
        save_seconds, validation_seconds, first_validation = self._saving()
        phases["checkpoint"] = Phase((save_seconds + validation_seconds) / training.checkpoint_every)
        mesh, devices = trainer.spread.mesh, trainer.devices
        return Point(
            devices=len(devices),
            processes=jax.process_count(),
            batch=training.batch,
            processors=self._processors(),
            seconds=statistics.median(blocks),
            spread=(min(blocks), max(blocks)),
            step_seconds=step_seconds,
            phases=phases,
            reduction_seconds=reduction_seconds,
            reduced_bytes=parts.reduced_bytes(),
            matrix_rate=matrix_rate(mesh, training.precision, self._config.network.compute),
            memory_rate=memory_rate(mesh),
            start_seconds=self._start_seconds,
            compile_seconds=sum(one.compile_seconds for one in self._steps)
            + max(first_validation - validation_seconds, 0.0),
            save_seconds=save_seconds,
            validation_seconds=validation_seconds,
            program_bytes=max(one.memory for one in self._steps),
            device_bytes=_most_held(devices),
            process_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            * (1 if sys.platform == "darwin" else 1024),
            joules=None if meter.joules is None else meter.joules / made * jax.process_count(),
            energy_of=meter.source,
            busy=busy if trainer.devices[0].platform == "cpu" else None,
        )

    def _batch(self) -> Any:
        """Return the next batch on the devices."""
        trainer, training = self._trainer, self._config.training
        batch = trainer.spread.place(trainer.next_batch(self._cursor))
        taken = training.batch * self._config.game.critic_steps * training.steps_per_call
        self._cursor = advance(self._cursor, taken, len(self._problem.train))
        return batch

    def _next_step(self) -> Compiled:
        """Return the program of the next call: penalties are left out of some updates."""
        made, self._made = self._made, self._made + 1
        return self._steps[0 if made % self._config.game.penalty_every == 0 else -1]

    def _step_seconds(self) -> float:
        """Return the seconds of an update, waited for, over all kinds of updates as often as they come."""
        batch, found = self._batch(), []
        for one in self._steps:
            seconds = []
            # The first call still meets a cold machine.
            for _ in range(_REPEATS + 1):
                (self._state, _), spent = timed(lambda one=one: one.function(self._state, *batch))  # type: ignore[misc]
                seconds.append(spent)
            found.append(statistics.median(seconds[1:]))
        share = 1.0 / self._config.game.penalty_every
        return (share * found[0] + (1 - share) * found[-1]) / self._config.training.steps_per_call

    def _blocks(self, step_seconds: float) -> tuple[list[float], int, float]:
        """Return the seconds of an update in several blocks of the training's loop, how many updates were made, and
        how many cores of all processes were at work, if they are alike."""
        several, every = self._config.training.steps_per_call, self._config.game.penalty_every
        calls = min(max(round(_BLOCK_SECONDS / (step_seconds * several)), 2), _MOST_CALLS)
        # Whole periods, so that every block has the same mixture of updates.
        calls = -(-calls // every) * every
        # All processes must make the same.
        calls = int(processes.share(calls))
        blocks = []
        began_all, worked = time.perf_counter(), time.process_time()
        for _ in range(_BLOCKS):
            began, metrics = time.perf_counter(), list[Any]()
            for _ in range(calls):
                batch = self._batch()
                self._trainer.spread.await_turn(metrics[-1:])
                self._state, one = self._next_step().function(self._state, *batch)
                metrics.append(one)
            # As the loop reads its metrics at every line of the record.
            jax.device_get(metrics)
            jax.block_until_ready(self._state)
            blocks.append((time.perf_counter() - began) / (calls * several))
        busy = (time.process_time() - worked) / (time.perf_counter() - began_all) * jax.process_count()
        return blocks, _BLOCKS * calls * several, busy

    def _trace(self, folder: Path) -> None:
        """Write a trace of a few calls for the profiler's viewers."""
        with jax.profiler.trace(str(folder)):
            for _ in range(_TRACED):
                self._state, _ = self._next_step().function(self._state, *self._batch())
                jax.block_until_ready(self._state)

    def _phases(self, parts: Parts, step_seconds: float, loop_seconds: float) -> tuple[dict[str, Phase], float]:
        """Return the phases of an update, and the seconds of a reduction without traffic."""
        trainer, often = self._trainer, counts(self._trainer.recipe)
        training, devices = self._config.training, len(self._trainer.devices)
        needed = work(passes(trainer.networks, self._state.players, self._problem, trainer.recipe), trainer.recipe)
        programs: dict[str, tuple[str, Program, int]] = {"generator": ("generator", parts.generator(), often.fields)}
        if often.draws:
            programs["draw"] = ("generator", parts.draw(), often.draws)
        if often.judgements:
            programs["discriminator"] = ("discriminator", parts.discriminator(), often.judgements)
        for name, reverse, times in (("solver", True, often.fields), ("solver forwards", False, often.draws)):
            if times and (one := parts.solver(reverse)) is not None:
                programs[name] = ("solver", one, times)
        if devices > 1:
            programs["all-reduce"] = ("all-reduce", parts.reduction(traffic=True), 1)
            programs["empty all-reduce"] = ("", parts.reduction(traffic=False), 1)
        functions: dict[str, Callable[[], object]] = {name: one.call for name, (_, one, _) in programs.items()}
        functions["nothing"] = parts.nothing().call
        functions["data"] = lambda: jax.block_until_ready(self._batch())
        found = {name: one.seconds for name, one in in_turn(functions, repeats=_REPEATS, count=1).items()}
        # The parts of an update are called together, so that a call of their own is not theirs.
        found |= {name: max(found[name] - found["nothing"], 0.0) for name in programs}
        operations = {
            "generator": needed.generator * training.batch,
            "discriminator": needed.discriminator * training.batch,
            "solver": needed.solver * training.batch,
        }
        phases = {"data": Phase(found["data"] / training.steps_per_call)}
        for phase in ("generator", "discriminator", "solver", "all-reduce"):
            own = [(found[name], one, times) for name, (of, one, times) in programs.items() if of == phase]
            if own:
                traffic = [None if one.bytes is None else one.bytes * times * devices for _, one, times in own]
                total = None if None in traffic else float(sum(one for one in traffic if one is not None))
                seconds = sum(spent * times for spent, _, times in own)
                phases[phase] = Phase(seconds, operations.get(phase, 0.0), total)
        phases["other"] = Phase(step_seconds - sum(phases[one].seconds for one in phases if one != "data"))
        phases["host"] = Phase(max(loop_seconds - step_seconds - phases["data"].seconds, 0.0))
        return phases, found.get("empty all-reduce", 0.0)

    def _saving(self) -> tuple[float, float, float]:
        """Return the seconds of a save, of a validation, and of the first one, which compiles."""
        with self._scratch() as place:
            checkpoints = Checkpoints(place, 1)
            try:
                saves = []
                for number in range(1, 4):
                    began = time.perf_counter()
                    checkpoints.save(number, self._state, {})
                    checkpoints.wait()
                    saves.append(time.perf_counter() - began)
            finally:
                checkpoints.close()
        validations = []
        for _ in range(3):
            began = time.perf_counter()
            self._trainer.examine(self._state)
            validations.append(time.perf_counter() - began)
        return statistics.median(saves[1:]), statistics.median(validations[1:]), validations[0]

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Give a folder for checkpoints, into which all processes write; the first makes and removes it."""
        made = tempfile.mkdtemp(dir=self._folder) if processes.is_first() else ""
        place = Path(processes.share(made))
        try:
            yield place
        finally:
            processes.share()
            if processes.is_first():
                shutil.rmtree(place, ignore_errors=True)

    def _processors(self) -> int:
        """Devices that can work at the same time: those of one CPU share its cores."""
        devices = self._trainer.devices
        if devices[0].platform != "cpu":
            return len(devices)
        return min(len(devices), len(os.sched_getaffinity(0)))


def _most_held(devices: list[jax.Device]) -> int | None:
    """Return the most memory that a device of this process held, where devices say."""
    said = [one.memory_stats() for one in devices if one.process_index == jax.process_index()]
    found = [one["peak_bytes_in_use"] for one in said if one and "peak_bytes_in_use" in one]
    return max(found, default=None)
