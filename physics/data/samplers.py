"""What a data set draws for each trajectory: a system, its initial field, and the parameters that vary.

A sampler is a frozen description: the same key gives the same draw on every machine, and a data set made with
it is found again by what the sampler says of itself.
"""

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from physics.system import System, check_names, with_parameters


@runtime_checkable
class Distribution(Protocol):
    """The distribution of one parameter, as `Uniform` and `LogUniform`."""

    def sample(self, key: Key[Array, ""]) -> Array:
        """One value, an array without axes."""


@runtime_checkable
class RandomField(Protocol):
    """The distribution of initial fields, as `physics.GaussianField`."""

    def sample(self, key: Key[Array, ""]) -> Array:
        """One field, ``(*grid.shape, C)``."""


class Draw(NamedTuple):
    """One trajectory's system, its initial field, and the values of the parameters that vary."""

    system: System
    u0: Float[Array, "*shape c"]
    parameters: dict[str, Array]


@dataclass(frozen=True)
class Uniform:
    """The uniform distribution between ``low`` and ``high``, in the parameter's own units.

    Raises:
        ValueError: the range is empty.
    """

    low: float
    high: float

    def __post_init__(self):
        if not self.low < self.high:
            raise ValueError(f"a range from {self.low} to {self.high} is empty: give low < high")

    def sample(self, key: Key[Array, ""]) -> Float[Array, ""]:
        """One value."""
        return self.low + (self.high - self.low) * jax.random.uniform(key)


@dataclass(frozen=True)
class LogUniform:
    """The distribution between ``low`` and ``high`` that is uniform in the logarithm; both positive.

    Raises:
        ValueError: the range is empty, or begins at 0 or below.
    """

    low: float
    high: float

    def __post_init__(self):
        if not 0 < self.low < self.high:
            raise ValueError(f"a logarithmic range from {self.low} to {self.high} needs 0 < low < high")

    def sample(self, key: Key[Array, ""]) -> Float[Array, ""]:
        """One value."""
        return self.low * (self.high / self.low) ** jax.random.uniform(key)


class Sampler(abc.ABC):
    """Draws trajectories to be solved. Subclasses are frozen dataclasses, which describe themselves."""

    system: System

    @abc.abstractmethod
    def draw(self, key: Key[Array, ""]) -> Draw:
        """One trajectory's system, initial field and parameters; runs under ``jit`` and ``vmap``."""


@dataclass(frozen=True, eq=False)
class FixedSystem(Sampler):
    """All trajectories share one system; only the initial fields differ.

    Arguments:
        system: the system.
        initial: a random field with ``sample(key)``; the system's own initial fields when None.
    """

    system: System
    initial: RandomField | None = None

    def draw(self, key: Key[Array, ""]) -> Draw:
        """The system and one initial field."""
        return Draw(self.system, _initial_field(self.initial, self.system, key), {})


@dataclass(frozen=True, eq=False)
class VaryingParameters(Sampler):
    """Every trajectory has its own parameters, independent of each other and of the initial field.

    Arguments:
        system: the system; the varying parameters keep no trace of the values it has.
        ranges: for each varying parameter by name the distribution it is drawn from, as `LogUniform`.
        initial: a random field with ``sample(key)``; the system's own initial fields when None.

    Raises:
        ValueError: the system has no parameter of that name.
    """

    system: System
    ranges: Mapping[str, Distribution]
    initial: RandomField | None = None

    def __post_init__(self):
        check_names(self.system, self.ranges)

    def draw(self, key: Key[Array, ""]) -> Draw:
        """A system with its own parameters, one initial field and the parameters by name."""
        for_parameters, for_field = jax.random.split(key)
        names = sorted(self.ranges)
        keys = jax.random.split(for_parameters, len(names))
        values = {name: self.ranges[name].sample(one) for name, one in zip(names, keys)}
        system = with_parameters(self.system, values)
        return Draw(system, _initial_field(self.initial, system, for_field), values)


def _initial_field(initial: RandomField | None, system: System, key: Key[Array, ""]) -> Float[Array, "*shape c"]:
    field = system.sample_initial(key) if initial is None else initial.sample(key)
    return jnp.reshape(field, system.field_shape)
