"""Parameters of a system that vary from sample to sample: their ranges, their draws, and conditions made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.evaluation.varying import JoinedFields
from experiments.tasks.advance import condition_name

if TYPE_CHECKING:
    from jax import Array
    from numpy.typing import ArrayLike

    from experiments.tasks.solver_task import SolverData
    from physics.data.samplers import Sampler
    from physics.system import System


@dataclass(frozen=True)
class Varying:
    """The parameters that vary, each log-uniform and independent of the others.

    Attributes:
        names: of the parameters, as the system has them; none: every sample has one and the same system.
        ranges: the lowest and the highest value of each.
        outside: a parameter and a value of it outside its range, for each region that is compared too.
    """

    names: tuple[str, ...]
    ranges: tuple[tuple[float, float], ...]
    outside: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(cls, config: ExperimentConfig, names: tuple[str, ...]) -> Varying:
        """Read the ranges from the settings of the section ``system`` that are called like the parameters.

        Values outside are those of the settings ``outside_viscosity`` and so on, where the section has them.

        Raises:
            UserError: a range that is no lower and a higher positive value, or a value outside that is inside.
        """
        ranges = tuple(tuple(getattr(config.system, name)) for name in names)
        for name, ends in zip(names, ranges):
            if len(ends) != 2 or not 0 < ends[0] < ends[1]:
                shown = ",".join(f"{end:g}" for end in ends)
                raise UserError(f"--system.{name} {shown}: give a lower and a higher positive value.")
        outside = []
        for name, (low, high) in zip(names, ranges):
            for value in getattr(config.system, f"outside_{name}", ()):
                if low <= value <= high:
                    raise UserError(f"--system.outside_{name} {value:g}: give values below {low:g} or above {high:g}.")
                outside.append((name, value))
        return cls(names, ranges, tuple(outside))

    @property
    def within(self) -> str:
        """The range of training, in words."""
        return ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in zip(self.names, self.ranges))

    def draw(self, count: int, seed: int, outside: tuple[str, float] | None = None) -> np.ndarray:
        """Draw logarithms of parameters (count, k), independent of those of the data, one of them given a value."""
        low, high = np.log(np.reshape(self.ranges, (-1, 2))).T
        shares = np.random.default_rng((seed, 61)).uniform(size=(count, len(self.names)))
        logarithms = (low + (high - low) * shares).astype(np.float32)
        if outside is not None:
            logarithms[:, self.names.index(outside[0])] = np.log(outside[1])
        return logarithms

    def sampler(self, system: System) -> Sampler:
        """Return what draws the systems of a data set."""
        from physics import FixedSystem, LogUniform, VaryingParameters

        if not self.names:
            return FixedSystem(system)
        return VaryingParameters(system, {name: LogUniform(*ends) for name, ends in zip(self.names, self.ranges)})

    def logarithms(self, parameters: Mapping[str, Mapping[str, np.ndarray]], split: str, fields: int = 1) -> np.ndarray:
        """Return the logarithms (n, k) of a data set's parameters in a split, for ``fields`` fields of each trajectory.

        Without parameters that vary there are no columns, and no rows: nothing says how many fields there are.
        """
        if not self.names:
            return np.zeros((0, 0), np.float32)
        columns = [np.log(np.asarray(parameters[split][name], np.float64)) for name in self.names]
        return np.repeat(np.stack(columns, axis=1), fields, axis=0).astype(np.float32)

    def condition(self, logarithms: np.ndarray) -> dict[str, np.ndarray] | None:
        """Return what the networks see of the logarithms (n, k); None where nothing varies."""
        return {condition_name(name): logarithms[:, i : i + 1] for i, name in enumerate(self.names)} or None

    def asked(self, count: int, key: Array, given: Mapping[str, ArrayLike]) -> np.ndarray:
        """Return the logarithms (count, k) of the parameters that are given by name, the others drawn.

        Raises:
            UserError: another name, a value that is not positive, or neither one value nor ``count`` of them.
        """
        import jax

        if unknown := set(given) - set(self.names):
            known = f"a condition is {' or '.join(self.names)}" if self.names else "this generator has none"
            raise UserError(f"{min(unknown)} is no condition; {known}.")
        logarithms = self.draw(count, int(jax.random.bits(key, dtype="uint32")))
        for i, name in enumerate(self.names):
            if name in given:
                values = np.asarray(given[name], np.float64)
                if values.shape not in ((), (1,), (count,)) or not np.all((values > 0) & np.isfinite(values)):
                    raise UserError(f"{name} must be one positive value, or {count} of them.")
                logarithms[:, i] = np.log(values)
        return logarithms

    def training(self, dataset: SolverData, shape: tuple[int, ...]) -> np.ndarray | JoinedFields:
        """Return all kept training fields, joined with their parameters where these vary."""
        fields = dataset.train.reshape(-1, *shape)
        if not self.names:
            return fields
        return JoinedFields(fields, self.logarithms(dataset.parameters, "train", dataset.train.shape[1]))
