"""A pilot of a solver: the seconds of a step, how long trajectories remember, fields, and how thick they are."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experiments.advising.clock import Clock, OutOfTimeError
from experiments.advising.pilot_data import PilotData
from experiments.config import DataConfig, ExperimentConfig
from experiments.errors import UserError
from experiments.evaluation.advice import SolverTimes, Thickness
from experiments.evaluation.varying import joined, parted
from experiments.reporting import Report
from experiments.tasks.advance import initial_fields, member, refiner
from experiments.tasks.equation import homogeneous
from experiments.tasks.snapshot import Snapshot
from experiments.tasks.solver_task import dataset_spec

if TYPE_CHECKING:
    from physics.data.planning import Plan
    from physics.system import System

STAGES = 7
"""Stages that are reported."""
MOST_FIELDS, FEWEST_FIELDS, ROUNDS = 512, 16, 4
"""Trajectories of the pilot, and fields kept of each where trajectories forget."""
_CUT = 256
"""Fields that are cut and advanced."""
_TIMED_STEPS = 10
_LEAST, _MOST, _TIMING_SECONDS = 5, 200, 0.5
"""Calls of so many steps that are timed, and the seconds that more than the fewest may take."""


@dataclass
class _Notes:
    """What the measurement of a system's times found."""

    notes: dict[str, Any] = field(default_factory=dict)

    def note(self, **facts: object) -> None:
        """Keep facts by name."""
        self.notes.update(facts)


class Made(NamedTuple):
    """Fields of the pilot, and the seconds of one by spin-up and of one by a stride; None where there is no stride."""

    data: PilotData
    by_spin_up: float
    by_stride: float | None


class _Times(NamedTuple):
    """Spin-up and stride as a plan of the data has them, and where they are from."""

    spin_up: float
    stride: float
    source: str


class Pilot:
    """Measures one system under one configuration, stage after stage."""

    def __init__(self, task: Snapshot, config: ExperimentConfig, clock: Clock, report: Report):
        from physics import StochasticSystem

        self.task, self.config, self.clock, self._report = task, config, clock, report
        self.system: System = task.system(config)
        self.varying = task.parameters(config)
        self.stochastic = isinstance(self.system, StochasticSystem)
        self.forgets = self.system.chaotic or self.stochastic
        self.dt = config.data.dt

    def say(self, stage: int, what: str) -> None:
        """Report a stage."""
        self._report(stage, STAGES, what)

    def _initial(self, count: int, seed: int) -> np.ndarray:
        import jax

        asked = self.varying.draw(count, seed)
        return initial_fields(self.system, count, jax.random.key(seed), self.varying.names, asked)

    def times(self) -> tuple[SolverTimes, Plan]:
        """Time a step of the solver as the data are made, and measure how long its trajectories remember."""
        self.say(0, "timing a step of the solver")
        width, step_seconds = self._step_seconds()
        self.say(1, "measuring the decorrelation time")
        found, plan = self._decorrelation(step_seconds)
        return SolverTimes(
            dt=self.dt,
            step_seconds=step_seconds,
            width=width,
            spin_up=found.spin_up,
            stride=(found.stride or None) if self.forgets else None,
            source=found.source,
        ), plan

    def _step_seconds(self) -> tuple[int, float]:
        """Return the width of a chunk of the data, and the seconds of a step of one field in it, on all devices."""
        import jax

        from experiments.evaluation.cost import timed
        from physics import NoisePath, advance
        from physics.data.planning import chunk_size

        spec = dataset_spec(self.config.data, self.system)
        width = chunk_size(self.varying.sampler(self.system), spec)
        devices = len(jax.local_devices())
        double = spec.dtype == "float64"

        def one(joint: Any, key: Any) -> Any:
            own, u = member(self.system, joint, self.varying.names)
            noise = NoisePath(key) if self.stochastic else None
            return advance(own, u, self.dt, _TIMED_STEPS, noise=noise)

        with jax.enable_x64(double):
            start = self._initial(devices * width, 0).astype(np.float64 if double else np.float32)
            start = start.reshape(devices, width, *start.shape[1:])
            keys = jax.random.split(jax.random.key(0), (devices, width))
            step = jax.pmap(jax.vmap(one)) if devices > 1 else jax.jit(jax.vmap(jax.vmap(one)))
            step(start, keys)
            seconds: list[float] = []
            while len(seconds) < _LEAST or (len(seconds) < _MOST and sum(seconds) < _TIMING_SECONDS):
                seconds.append(timed(lambda: step(start, keys))[1])
        return width, statistics.median(seconds) / (devices * width * _TIMED_STEPS)

    def _decorrelation(self, step_seconds: float) -> tuple[_Times, Plan]:
        """Return spin-up and stride to independent fields, measured where that can be done, and the plan of the data.

        Raises:
            UserError: the settings leave them open, and the time does not suffice to measure them.
        """
        import jax

        from physics import CertificateRefusedError
        from physics.data.pilot import least_steps
        from physics.data.planning import planned

        data, notes = self.config.data, _Notes()
        sampler = self.varying.sampler(self.system)
        set_by_user = data.spin_up is not None and (data.stride is not None or data.snapshots == 1)
        began, limit = self.clock.spent, self.clock.until("times")

        def watched(done: int, total: int, what: str) -> None:
            if self.clock.spent - began > limit:
                raise OutOfTimeError

        def plan(wanted: DataConfig) -> Plan:
            spec = dataset_spec(wanted, self.system)
            with jax.enable_x64(spec.dtype == "float64"):
                return planned(notes, sampler, spec, watched)

        why = "the trajectories do not forget" if not self.forgets else "this system is not chaotic"
        if self.system.chaotic:
            try:
                # A pilot does not report within its first part.
                if least_steps(self.system) * step_seconds > limit:
                    raise OutOfTimeError
                measured = plan(replace(data, snapshots=2, spin_up=None, stride=None))
            except OutOfTimeError:
                why = f"{limit:.0f} s do not suffice to measure them"
                if not set_by_user:
                    raise UserError(
                        f"--budget-seconds {self.clock.budget:g} does not suffice to measure the decorrelation time, "
                        "which --data.spin_up and --data.stride leave open: give more, or set both."
                    ) from None
            except (CertificateRefusedError, ValueError):
                why = "they cannot be measured"
                if not set_by_user:
                    raise
            else:
                spin_up, stride = (float(one) for one in np.diff(measured.times, prepend=0.0))
                source = f"measured on {measured.measured['pilot_members']} trajectories"
                return _Times(spin_up, stride, source), plan(data)
        own = plan(data)
        # Where a single field of each trajectory is kept, the settings say no stride.
        spin_up, stride = (float(one) for one in (*np.diff(own.times, prepend=0.0), 0.0)[:2])
        return _Times(spin_up, stride, f"as set, since {why}"), own

    def data_steps(self, plan: Plan) -> float:
        """Return the solver steps of all trajectories of the data set."""
        from physics.data.certificate import WINDOW

        snapshots = self.config.data.snapshots
        last = plan.times[snapshots - 1] / plan.dt + (WINDOW if self.system.chaotic else 0)
        return sum(self.config.data.trajectories) * (last + plan.ages * WINDOW)

    def fields(self, times: SolverTimes) -> Made:
        """Make the pilot's fields, and time a field by spin-up and one by a stride."""
        self.say(2, "making fields")
        steps = times.spin_up / self.dt + (ROUNDS * times.stride / self.dt if times.stride else 0)
        count = MOST_FIELDS
        while count > FEWEST_FIELDS and count * steps * times.step_seconds > self.clock.until("fields"):
            count //= 2
        refine = refiner(self.system, self.dt, parameters=self.varying.names, chunk=count)
        start = self._initial(count, self.config.data.seed)
        if times.spin_up > 0:
            # Compiled before the clock starts: blocks of 100, 10 and one step.
            refine(start, min(times.spin_up, 111 * self.dt))
        before = time.perf_counter()
        kept = [refine(start, times.spin_up) if times.spin_up > 0 else self._initial(count, self.config.data.seed)]
        by_spin_up = (time.perf_counter() - before) / count
        by_stride = None
        if times.stride is not None:
            refine(kept[0], min(times.stride, 111 * self.dt))
            before = time.perf_counter()
            for _ in range(ROUNDS - 1):
                kept.append(refine(kept[-1], times.stride))
            by_stride = (time.perf_counter() - before) / count / (ROUNDS - 1)
        joint = np.stack(kept, axis=1)
        if not np.isfinite(joint).all():
            raise UserError(
                f"the solver's fields are not finite after {times.spin_up:g} time units: halve --data.dt "
                f"{self.dt:g}, or use more --data.points."
            )
        names = self.varying.names
        _, logarithms = parted(kept[0], len(names))
        data = PilotData(
            fields=joint[..., : joint.shape[-1] - len(names)],
            times=times.spin_up + (times.stride or 0.0) * np.arange(len(kept)),
            dt=self.dt,
            grid=self.system.grid,
            values={name: np.exp(logarithms[:, i]) for i, name in enumerate(names)},
        )
        return Made(data, by_spin_up, by_stride)

    def thickness(self, data: PilotData) -> Thickness:
        """Count the numbers that say a field, before and after the solver has made what it makes by itself."""
        from experiments.evaluation.thickness import SHARE, Components, Cut, Waves, numbers_for_variance, numbers_needed

        self.say(3, "counting the numbers that say a field")
        shape, names = self.system.field_shape, self.varying.names
        fields = np.asarray(data.fields.reshape(-1, *shape))
        counted = numbers_for_variance(fields, homogeneous(self.system))
        periodic = bool(self.system.grid.shape) and self.system.grid.periodic
        cut: Cut = Waves(fields, self.system.grid.extent) if periodic else Components(fields)
        tau = self.config.solver_layer.tau
        few = np.asarray(data.fields[:_CUT, 0])
        columns = [np.log(data.values[name][: len(few)]) for name in names]
        logarithms = np.stack(columns, axis=1) if columns else np.zeros((len(few), 0), np.float32)
        skipped = ""
        if not self.system.dissipative:
            skipped = f"{type(self.system).__name__} is not dissipative, so that its solver makes nothing by itself"
        elif self.stochastic:
            skipped = "noise would drive cut fields and whole ones apart"
        elif tau <= 0:
            skipped = "this preset has no solver layer (--solver_layer.tau 0)"
        without = after = None
        if not skipped:
            refine = refiner(self.system, self.dt, parameters=names, chunk=len(few))

            def advance(u: np.ndarray) -> np.ndarray:
                return parted(refine(joined(u, logarithms), tau), len(names))[0]

            without = numbers_needed(few, cut, None)
            after = numbers_needed(few, cut, advance)
        return Thickness(
            fields=len(fields),
            numbers=math.prod(shape),
            variance_99=counted.numbers[0],
            variance_999=counted.numbers[1],
            few=counted.few,
            parts=cut.name,
            share=SHARE,
            tau=tau,
            without_solver=without,
            with_solver=after,
            skipped=skipped,
        )
