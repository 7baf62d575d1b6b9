"""Prices: what fields cost by solvers of the comparison, and what samples and updates of a generator cost."""

from __future__ import annotations

import math
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from experiments.advising.pilot import STAGES, Made, Pilot
from experiments.advising.pilot_data import PilotData
from experiments.evaluation.advice import ENOUGH, Correlation, GeneratorPrice, SolverPrice, SolverTimes
from experiments.tasks.solvers import Solvers, SolverSetting, along_trajectories

if TYPE_CHECKING:
    from experiments.advising.clock import Clock
    from experiments.config import ExperimentConfig
    from gan.training.loop import Trainer

_SETTINGS = 2
"""Solver settings of each kind that are timed, the cheapest by their steps."""
_REPEATS = 5
"""Rounds in which solvers and generator are timed in turn."""
_MANY = 4096
"""Fields that a setting makes at least when it is timed."""
_FEW = 16
"""Fields that show whether a setting stays finite, where there is no time to time it."""
_UPDATES = 7


class Prices:
    """Takes prices for a pilot whose solver times are known."""

    def __init__(self, pilot: Pilot, times: SolverTimes):
        self._pilot, self._times, self._config = pilot, times, pilot.config
        # Never so few that hardly anything but the spin-up is counted: who needs a generator needs many fields.
        self._count = max(2 * pilot.config.compare.tested, _MANY)

    def settings(self) -> dict[str, SolverSetting]:
        """Return settings of the comparison that take fields along trajectories, by what they do, cheap ones first."""
        offered = (self._pilot.task.settings or along_trajectories)(self._config)
        along = sorted((one for one in offered if one.stride and self._times.stride), key=self._work)
        return {self._way(one): one for one in along}

    def _correlation(self, setting: SolverSetting) -> Correlation:
        return "little" if (setting.stride or 0.0) >= ENOUGH * (self._times.stride or math.inf) else "some"

    def _work(self, setting: SolverSetting) -> float:
        """Return the work for one field: steps times grid points, in units of a step of fourth order."""
        # The last step of a time is made shorter, not left out.
        steps = math.ceil((setting.stride or 0.0) / (setting.dt or self._pilot.dt) - 1e-6)
        finish = math.ceil(setting.finish / self._pilot.dt - 1e-6)
        stages = (setting.order or 4) / 4
        return steps * stages * math.prod(self._points(setting)) + finish * math.prod(self._config.data.points)

    def _points(self, setting: SolverSetting) -> tuple[int, ...]:
        shape = self._config.data.points
        return shape if setting.points is None else (setting.points,) * len(shape)

    def _way(self, setting: SolverSetting) -> str:
        """Say how a setting makes a field."""
        shape = " x ".join(map(str, self._points(setting)))
        way = f"a stride of {setting.stride:g} by steps of {setting.dt or self._pilot.dt:g}"
        way += f" on {shape} points" if shape else ""
        return f"{way} and a finish of {setting.finish:g}" if setting.finish else way

    def measured(self, made: Made) -> tuple[tuple[SolverPrice, ...], GeneratorPrice, float]:
        """Time solver settings, the generator and updates of its training.

        The comparison's own number of fields is made by a setting where the time suffices, going on along trajectories
        whose spin-up is spent once; otherwise the steps of a stride are counted at the measured time of a step.

        Args:
            made: fields of the pilot.

        Returns:
            Prices of the solver's fields, the price of a sample, and the seconds of an update.
        """
        from experiments.evaluation.cost import timed, timing

        self._pilot.say(4, "setting up the generator")
        trainer = self._trainer(made.data)
        self._pilot.say(5, "timing solvers and generator in turn")
        way = f"a spin-up of {self._times.spin_up:.4g} from an initial field"
        found = [SolverPrice(way, made.by_spin_up, "none", True)]
        if made.by_stride is not None:
            way = f"a stride of {self._times.stride:.4g} along a trajectory"
            found.append(SolverPrice(way, made.by_stride, "none", True))
        makers, counted = self._makers(made.data)
        found += counted
        draws, samples = self._draws(trainer)
        seconds: dict[str, list[float]] = {name: [] for name in (*makers, *draws)}
        for _ in range(_REPEATS):
            for name, function in (*makers.items(), *draws.items()):
                seconds[name].append(timed(function)[1])
        chosen = self.settings()
        for way in makers:
            price = timing(seconds[way], self._count).seconds
            found.append(SolverPrice(way, price, self._correlation(chosen[way]), True))
        sample, network = (timing(seconds[name], samples) for name in ("sample", "network"))
        evaluations = trainer.networks.evaluations or 1
        self._pilot.say(6, "timing updates of the training")
        update = update_seconds(trainer, self._config, self._pilot.clock)
        self._pilot.say(STAGES, "done")
        return tuple(found), GeneratorPrice(sample, network, evaluations), update

    def _makers(self, data: PilotData) -> tuple[dict[str, Callable[[], np.ndarray]], list[SolverPrice]]:
        """Return what makes fields by the cheapest settings of each correlation, called once, and prices by the count
        of steps of those that would take too long."""
        solvers = Solvers(self._pilot.task.system, self._config, data, self._pilot.varying)
        makers: dict[str, Callable[[], np.ndarray]] = {}
        counted: list[SolverPrice] = []
        taken: Counter[Correlation] = Counter()
        left = self._pilot.clock.until("settings")
        seconds = self._times.step_seconds / math.prod(self._config.data.points)
        for way, setting in self.settings().items():
            correlation = self._correlation(setting)
            if taken[correlation] == _SETTINGS:
                continue
            further = solvers.further(setting)
            assert further is not None, "settings along trajectories have a stride"
            needed = (_REPEATS + 1) * seconds * self._work(setting) * self._count
            # A setting that fails is no rival, and the comparison's table says why.
            with suppress(ValueError, ArithmeticError):
                if not np.isfinite(solvers.fields(setting, _FEW)).all():
                    continue
                taken[correlation] += 1
                if needed <= left:
                    makers[way] = partial(further, self._count)
                    makers[way]()
                    left -= needed
                else:
                    counted.append(SolverPrice(way, seconds * self._work(setting), correlation, False))
        return makers, counted

    def _trainer(self, data: PilotData) -> Trainer:
        """Return the training of the preset, set up on the pilot's fields, which are repeated where they are few."""
        from gan.training.loop import Trainer

        training = self._config.training
        taken = training.batch * self._config.game.critic_steps * training.steps_per_call
        problem = self._pilot.task.problem(self._config, data.repeated(-(-taken // data.fields.shape[1])))
        # A folder that nothing is written to, since the training does not run.
        with tempfile.TemporaryDirectory() as folder:
            return Trainer(problem, self._config, folder)

    def _draws(self, trainer: Trainer) -> tuple[dict[str, Callable[[], np.ndarray]], int]:
        """Return what draws samples, with and without the solver layer, called once, and how many."""
        import jax

        from experiments.evaluation.cost import timed

        settings = self._config.compare
        trained = trainer.trained(trainer.state)
        varying, key = self._pilot.varying, jax.random.key(settings.seed)
        chunk = self._config.training.sample_chunk

        def drawing(count: int) -> dict[str, Callable[[], np.ndarray]]:
            condition = varying.condition(varying.draw(count, settings.seed))
            sample = partial(trained.draw, key, count, condition)
            network = partial(trained.draw_without_solver, key, count, condition)
            draws = {"sample": lambda: sample().fields, "network": lambda: network().fields}
            return draws if self._config.solver_layer.tau > 0 else dict.fromkeys(draws, draws["sample"])

        first = drawing(chunk)
        # The first calls compile.
        for draw in first.values():
            draw()
        seconds = timed(first["sample"])[1]
        chunks = self._pilot.clock.until("samples") / (2 * _REPEATS * seconds)
        count = chunk * int(np.clip(chunks, 1, max(1, 2 * settings.tested // chunk)))
        return drawing(count), count


def update_seconds(trainer: Trainer, config: ExperimentConfig, clock: Clock) -> float:
    """Return the seconds of one update of a training that was set up, the median of a few calls."""
    from experiments.evaluation.cost import timed
    from gan.training.batches import advance as advanced

    training, samples = config.training, len(trainer.problem.train)
    taken = training.batch * config.game.critic_steps * training.steps_per_call
    state, cursor = trainer.state, (0, 0)
    seconds: list[float] = []
    began, limit = clock.spent, clock.until("updates")
    # The first call compiles, and the second one still meets a cold machine.
    while len(seconds) < 3 or (len(seconds) < _UPDATES + 2 and clock.spent - began < limit):
        batch = trainer.next_batch(cursor)
        cursor = advanced(cursor, taken, samples)
        (state, _), spent = timed(partial(trainer.step, state, *batch))
        seconds.append(spent)
    return statistics.median(seconds[2:]) / training.steps_per_call
