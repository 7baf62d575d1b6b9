"""Three apparatuses whose measurements have a known law: a pendulum, a reaction and an epidemic of `physics`.

Every run is made with another *unit* (a bob and its release, a batch of catalyst, a region): its hidden parameters
are drawn from a population, the system is solved with them, and an instrument reads the outcome with noise. So the
law of the responses at a setting can be sampled without limit. A last factor, the operator, has no effect at all:
whoever finds one has found a false alarm.

The same program with unknown parameters of the population is the parametric fit of `fitted_equation`, the strongest
rival where the equation is right. Its *simplified* version has a usual mistake, for the rival whose equation is
wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from experiments.own_data.tables import Factor, Table

if TYPE_CHECKING:
    from jax import Array

    from experiments.evaluation.virtual_runs import Sample

    Respond = Callable[[Array, Mapping[str, Array], Array, bool], Array]

OPERATORS = ("A", "B")
_FEW, _CHUNK = 64, 512
_GAS = 8.314462618
"""Gas constant, J / (mol K)."""


@dataclass(frozen=True)
class Apparatus:
    """One apparatus.

    Attributes:
        title: in words.
        factors: what is set, numbers, as (name, unit).
        levels: of every factor in the design, which is their product.
        beyond: settings outside the design.
        responses: what is read, as (name, unit).
        logs: responses that are learned and judged as logarithms.
        population: the hidden parameters' own parameters, all positive, by name.
        normals: standard normal numbers that a run takes, unit and instrument together.
        mistake: what the simplified equation gets wrong.
        respond: ``(setting, population, normals, simplified) -> responses`` of one run.
    """

    title: str
    factors: tuple[tuple[str, str], ...]
    levels: tuple[tuple[float, ...], ...]
    beyond: tuple[tuple[float, ...], ...]
    responses: tuple[tuple[str, str], ...]
    logs: tuple[str, ...]
    population: Mapping[str, float]
    normals: int
    mistake: str
    respond: Respond

    def table_factors(self) -> tuple[Factor, ...]:
        """Return the factors with the operator as the last."""
        return (*(Factor(name, (), unit) for name, unit in self.factors), Factor("operator", OPERATORS))

    def design(self) -> Float[np.ndarray, "s k"]:
        """Return the settings of the full factorial design, every operator at each."""
        return np.array([(*one, place) for one in product(*self.levels) for place in (0.0, 1.0)], np.float32)

    def between(self) -> Float[np.ndarray, "s k"]:
        """Return the settings halfway between those of the design, the operators in turn."""
        middles = [np.add(one[1:], one[:-1]) / 2 for one in self.levels]
        return _with_operators(list(product(*middles)))

    def outside(self) -> Float[np.ndarray, "s k"]:
        """Return the settings outside the design, the operators in turn."""
        return _with_operators(list(self.beyond))

    def steps(self, shares: tuple[float, ...]) -> tuple[Float[np.ndarray, "p k"], Float[np.ndarray, "p k"]]:
        """Return pairs of settings: one between those of the design, and one a share of a level further on."""
        first, second = [], []
        for setting in self.between():
            for c, levels in enumerate(self.levels):
                for share in shares:
                    moved = setting.copy()
                    moved[c] += share * (levels[1] - levels[0])
                    first.append(setting)
                    second.append(moved)
        return np.array(first, np.float32), np.array(second, np.float32)

    def runs(
        self,
        settings: Float[np.ndarray, "s k"],
        count: int,
        rng: np.random.Generator,
        population: Mapping[str, float] | None = None,
        *,
        simplified: bool = False,
    ) -> Float[np.ndarray, "s count d"]:
        """Make runs at settings, each with a unit of its own.

        Args:
            settings: the operator last.
            count: runs at each.
            rng: draws units and noise.
            population: of the units; the apparatus's own where left out.
            simplified: whether the equation has its mistake.
        """
        normals = rng.standard_normal((len(settings) * count, self.normals)).astype(np.float32)
        made = self.responses_of(np.repeat(settings, count, axis=0), normals, population, simplified=simplified)
        return made.reshape(len(settings), count, -1)

    def responses_of(
        self,
        settings: Float[np.ndarray, "n k"],
        normals: Float[np.ndarray, "n h"],
        population: Mapping[str, float] | None = None,
        *,
        simplified: bool = False,
    ) -> Float[np.ndarray, "n d"]:
        """Return the responses of runs whose units and noise are given as standard normal numbers."""
        program = _program(self.respond, simplified)
        own = {name: np.float32(value) for name, value in (population or self.population).items()}
        # Two sizes of chunks, so that few programs are compiled.
        size, parts = _FEW if len(settings) <= _FEW else _CHUNK, []
        for start in range(0, len(settings), size):
            rows = np.minimum(np.arange(start, start + size), len(settings) - 1)
            parts.append(np.asarray(program(settings[rows], own, normals[rows]))[: len(settings) - start])
        values = np.concatenate(parts).astype(np.float64)
        for c, (name, _) in enumerate(self.responses):
            if name in self.logs:
                values[:, c] = np.log(values[:, c])
        return values

    def measured(self, replicates: int, rng: np.random.Generator) -> Table:
        """Make the runs of the design; responses of ``logs`` are logarithms."""
        design = self.design()
        values = self.runs(design, replicates, rng).reshape(-1, len(self.responses))
        names, units = zip(*self.responses)
        return Table(self.table_factors(), names, units, np.repeat(design, replicates, axis=0), values, self.logs)


@lru_cache(maxsize=16)
def _program(respond: Respond, simplified: bool) -> Callable[..., Array]:
    import jax

    def one(setting: Array, population: Mapping[str, Array], normals: Array) -> Array:
        return respond(setting, population, normals, simplified)

    return jax.jit(jax.vmap(one, in_axes=(0, None, 0)))


def _with_operators(settings: list[tuple[float, ...]]) -> Float[np.ndarray, "s k"]:
    return np.array([(*one, float(place % 2)) for place, one in enumerate(settings)], np.float32)


def _pendulum(setting: Array, p: Mapping[str, Array], z: Array, simplified: bool) -> Array:
    """Period of a swing and its height on the other side, from the two first passages through the lowest point."""
    import jax.numpy as jnp

    from physics import Pendulum, solve, with_parameters

    dt, count = 0.03, 300
    length = setting[0] * (1 + p["length_error"] * z[0])
    release = setting[1] + p["release_error"] * z[1]
    friction = p["friction"] * jnp.exp(p["friction_spread"] * z[2])
    # The formula of small swings is the equation at a thousandth of the angle.
    size = 1e-3 if simplified else 1.0
    system = with_parameters(Pendulum(), {"length": length, "damping": friction})
    swing = solve(system, jnp.stack([size * release, 0.0 * release]), np.linspace(dt, count * dt, count), dt=dt)
    angle = swing[:, 0] / size
    before, after = angle[:-1], angle[1:]
    passed = (before * after < 0) | (after == 0)
    times = dt * (1 + jnp.arange(count - 1) + before / jnp.where(passed, before - after, 1.0))
    first = jnp.argmax(passed)
    later = passed & (jnp.arange(count - 1) > first)
    # A bob that never comes back within the time is read at its end.
    second = jnp.where(later.any(), jnp.argmax(later), count - 2)
    inside = (jnp.arange(count) > first) & (jnp.arange(count) <= second)
    period = 2 * (times[second] - times[first]) + p["stopwatch"] * z[3]
    height = jnp.max(jnp.where(inside, jnp.abs(angle), 0.0)) + p["protractor"] * z[4]
    return jnp.stack([period, height])


def _reaction(setting: Array, p: Mapping[str, Array], z: Array, simplified: bool) -> Array:
    """Shares of substance and of the intermediate after some seconds, from Robertson's scheme at moderate rates."""
    import diffrax
    import jax.numpy as jnp

    from physics import Robertson, solve, with_parameters

    kelvin = setting[0] + 273.15 + p["thermometer"] * z[0]
    arrhenius = (1 / 333.15 - 1 / kelvin) / _GAS
    activity = jnp.exp(p["activity_spread"] * z[1])
    # In units of the time at which the reaction is stopped.
    rates = {
        "slow": p["slow"] * activity * jnp.exp(6e4 * arrhenius) * setting[1],
        "fast": 30.0 * jnp.exp(4e4 * arrhenius) * setting[1],
        "back": (0.0 if simplified else 1.0) * p["back"] * jnp.exp(5e4 * arrhenius) * setting[1],
    }
    system = with_parameters(Robertson(), rates)
    left = solve(system, jnp.array([1.0, 0.0, 0.0]), np.array([1.0]), dt=1 / 300, solver=diffrax.Tsit5())[0]
    substance = left[0] + p["photometer"] * z[2]
    return jnp.stack([substance, jnp.maximum(left[1], 1e-9) * jnp.exp(p["titration"] * z[3])])


def _epidemic(setting: Array, p: Mapping[str, Array], z: Array, simplified: bool) -> Array:
    """Share of a region's population that falls ill, and day of the peak, with less contact and some vaccinated."""
    import jax.numpy as jnp

    from physics import SIR, solve, with_parameters

    contact = p["contact"] * jnp.exp(p["contact_spread"] * z[0]) * (1 - setting[0])
    recovery = p["recovery"] * jnp.exp(p["recovery_spread"] * z[1])
    infected = 1e-3 * jnp.exp(p["start_spread"] * z[2])
    protected = (1.0 if simplified else 0.8) * setting[1]
    system = with_parameters(SIR(), {"contact": contact, "recovery": recovery})
    start = jnp.stack([(1 - infected) * (1 - protected), infected, (1 - infected) * protected])
    course = solve(system, start, np.arange(2.0, 301.0, 2.0), dt=2.0)
    ill = (start[0] - course[-1, 0] + infected) * jnp.exp(p["reporting"] * z[3])
    peak = 2.0 * (1.0 + jnp.argmax(course[:, 1])) + p["dating"] * z[4]
    return jnp.stack([ill, peak])


APPARATUSES: dict[str, Apparatus] = {
    "pendulum": Apparatus(
        title="pendulum",
        factors=(("length", "m"), ("release", "rad")),
        levels=((0.4, 0.7, 1.0, 1.3, 1.6), (0.5, 1.0, 1.5, 2.0, 2.5)),
        beyond=((1.9, 0.75), (1.9, 1.75), (0.55, 2.75), (1.15, 2.75), (1.9, 2.75), (0.25, 1.25)),
        responses=(("period", "s"), ("height", "rad")),
        logs=(),
        population={
            "length_error": 0.015,
            "release_error": 0.05,
            "friction": 0.15,
            "friction_spread": 0.5,
            "stopwatch": 0.02,
            "protractor": 0.02,
        },
        normals=5,
        mistake="it takes the formula of small swings",
        respond=_pendulum,
    ),
    "reaction": Apparatus(
        title="reaction",
        factors=(("temperature", "degC"), ("duration", "s")),
        levels=((40.0, 50.0, 60.0, 70.0, 80.0), (4.0, 10.0, 20.0, 30.0, 40.0)),
        beyond=((85.0, 7.0), (85.0, 25.0), (45.0, 45.0), (65.0, 45.0), (85.0, 45.0), (35.0, 15.0)),
        responses=(("substance", "share"), ("intermediate", "share")),
        logs=("intermediate",),
        population={
            "slow": 0.04,
            "back": 2.0,
            "activity_spread": 0.2,
            "thermometer": 1.0,
            "photometer": 0.01,
            "titration": 0.05,
        },
        normals=4,
        mistake="it leaves the back reaction out",
        respond=_reaction,
    ),
    "epidemic": Apparatus(
        title="epidemic",
        factors=(("distancing", "share"), ("vaccinated", "share")),
        levels=((0.0, 0.15, 0.3, 0.45, 0.6), (0.0, 0.15, 0.3, 0.45, 0.6)),
        beyond=((0.675, 0.075), (0.675, 0.375), (0.075, 0.675), (0.375, 0.675), (0.675, 0.675), (0.675, 0.225)),
        responses=(("ill", "share"), ("peak_day", "d")),
        logs=("ill",),
        population={
            "contact": 0.3,
            "contact_spread": 0.15,
            "recovery": 0.1,
            "recovery_spread": 0.1,
            "start_spread": 0.5,
            "reporting": 0.1,
            "dating": 2.0,
        },
        normals=5,
        mistake="it takes vaccination for complete protection",
        respond=_epidemic,
    ),
}
"""Every apparatus by name. The numbers are plausible, and no measurement of anything."""


def fitted_equation(apparatus: Apparatus, table: Table, seed: int, *, simplified: bool = False) -> Sample:
    """Fit the parameters of the population to the runs of a table, and return virtual runs of the fitted equation.

    The fair energy score of 3 simulated runs for every real one is minimised (minimum score estimation, Gneiting and
    Raftery 2007, J. Am. Stat. Assoc. 102, section 9.1) by the method of Nelder and Mead, from parameters that are off
    by a factor of about 1.5, with the same random numbers throughout. What the operator does is not in the equation.

    Args:
        apparatus: whose program is the equation.
        table: of real runs; the operator is the last column of the settings.
        seed: of the start and the random numbers.
        simplified: whether the equation has its mistake.
    """
    from scipy.optimize import minimize

    rng, draws = np.random.default_rng((seed, 81)), 3
    names = tuple(apparatus.population)
    different, which = table.grouped()
    groups = [table.values[which == place] for place in range(len(different))]
    scale = np.maximum(np.concatenate([one - one.mean(axis=0) for one in groups]).std(axis=0), 1e-9)
    normals = rng.standard_normal((draws * len(table), apparatus.normals)).astype(np.float32)
    settings = np.tile(table.settings, (draws, 1))

    def population(logs: np.ndarray) -> dict[str, float]:
        return dict(zip(names, np.exp(np.clip(logs, -12.0, 6.0))))

    def score(logs: np.ndarray) -> float:
        made = apparatus.responses_of(settings, normals, population(logs), simplified=simplified) / scale
        made = made.reshape(draws, len(table), -1)
        if not np.isfinite(made).all():
            return 1e6
        to_real = np.linalg.norm(made - table.values / scale, axis=-1).mean()
        # One pairing of the draws in place of all: each draw with the next, which is fair too.
        return float(to_real - 0.5 * np.linalg.norm(made - np.roll(made, 1, axis=0), axis=-1).mean())

    true = np.log([apparatus.population[name] for name in names])
    start = true + 0.4 * rng.standard_normal(len(names))
    simplex = np.concatenate([start[None], start + 0.4 * np.eye(len(names))])
    options: Any = {
        "initial_simplex": simplex,
        "maxfev": 25 * len(names),
        "xatol": 1e-3,
        "fatol": 1e-6,
        "adaptive": True,
    }
    found = population(minimize(score, start, method="Nelder-Mead", options=options).x)
    stream = np.random.default_rng((seed, 82))

    def sample(asked: np.ndarray, count: int) -> np.ndarray:
        return apparatus.runs(asked, count, stream, found, simplified=simplified)

    return sample
