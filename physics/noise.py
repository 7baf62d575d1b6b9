"""Noise of stochastic systems: paths that are known by a key, and the terms that diffrax's solvers step with.

A path is a Brownian motion for every entry of the noise. What it does within step i is drawn from the key
and i alone, so the same path can be followed again, from any step on, and at half the step: what `solve`
made with a path, `defect` checks with the same path.

Drawn for every step of length h are the increment W and the space-time Levy area

    H = 1/h int_0^h (W_s - s/h W) ds,      W ~ N(0, h),  H ~ N(0, h/12),  independent,

and for the halves of a step their exact distribution given W and H of the whole (J. Foster, Numerical
approximations for stochastic differential equations, thesis, Oxford 2020, theorem 6.1.6; A. Jelincic, J. Foster and
P. Kidger, 2024, arXiv:2405.06464).
"""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key, Num, PyTree

from physics.arguments import Scalar
from physics.system import StochasticSystem, System

# What sets a trajectory's noise apart from its initial field, which the same key draws.
_NOISE = 0x6E6F6973
_ITO_OR_STRATONOVICH = (diffrax.AbstractItoSolver, diffrax.AbstractStratonovichSolver)


def _step_number(step: Any) -> Array:
    return jnp.asarray(step, jnp.uint32)


class NoisePath(eqx.Module):
    """One realisation of the noise, for fixed steps; batches by ``jax.vmap`` over independent keys.

    The path belongs to the step that it is first used with: another step is another realisation, but half
    the step with `halved` is the same one. float32 and float64 draw different paths.

    **Arguments:**

    - ``key``: a random key of ``jax.random.key``.
    """

    key: Key[Array, "..."]
    first: Num[Array, "..."] = eqx.field(converter=_step_number, default=0)
    halvings: int = eqx.field(static=True, default=0)

    def after(self, steps: Scalar) -> "NoisePath":
        """The path from ``steps`` steps on, for a solve that starts there; may be traced."""
        return NoisePath(self.key, self.first + steps, self.halvings)

    def halved(self) -> "NoisePath":
        """The same path for steps of half the length, twice as many of them."""
        return NoisePath(self.key, 2 * self.first, self.halvings + 1)

    def increments(
        self, step: Scalar, dt: Scalar, shape: tuple[int, ...], dtype: DTypeLike
    ) -> diffrax.SpaceTimeLevyArea:
        """W and H of step number ``step``, counted from the start of this path, each of the given shape."""
        number = _step_number(self.first + step)
        dt = jnp.asarray(dt, dtype)
        length = dt * 2**self.halvings
        node = jax.random.fold_in(self.key, number >> self.halvings)
        w = jnp.sqrt(length) * _normal(node, 0, shape, dtype)
        h = jnp.sqrt(length / 12) * _normal(node, 1, shape, dtype)
        for level in reversed(range(self.halvings)):
            second_half = (number >> level) & 1
            z = jnp.sqrt(length / 16) * _normal(node, 2, shape, dtype)
            n = jnp.sqrt(length / 12) * _normal(node, 3, shape, dtype)
            first_w = w / 2 + 1.5 * h + z
            w = jnp.where(second_half, w - first_w, first_w)
            h = h / 4 - z / 2 + jnp.where(second_half, -n, n) / 2
            node = jax.random.fold_in(node, 4 + second_half)
            length = length / 2
        return diffrax.SpaceTimeLevyArea(dt=dt, W=w, H=h)


def own_noise(system: System, key: Key[Array, ""]) -> NoisePath | None:
    """The path of the trajectory that is drawn with ``key``; None for a deterministic system."""
    return NoisePath(jax.random.fold_in(key, _NOISE)) if isinstance(system, StochasticSystem) else None


def _normal(node: Any, which: int, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    return jax.random.normal(jax.random.fold_in(node, which), shape, dtype)


class NoiseTerm(diffrax.AbstractTerm):
    """g(u) dW over one step, whose increment is given: what Ito and Stratonovich solvers of diffrax step with."""

    system: StochasticSystem
    increment: diffrax.SpaceTimeLevyArea

    def vf(self, t: Scalar, y: Array, args: PyTree) -> Array:
        """g."""
        return self.system.diffusion(t, y, args)

    def contr(self, t0: Scalar, t1: Scalar, **kwargs: object) -> Array | diffrax.SpaceTimeLevyArea:
        """The increment of the step, with its Levy area where the solver needs it."""
        return self.increment if kwargs.get("use_levy", False) else self.increment.W

    def prod(self, vf: Array, control: Array) -> Array:
        """g dW."""
        return vf * self.system.noise_field(control)


def stochastic_terms(
    system: StochasticSystem, noise: NoisePath, step: Scalar, dt: Scalar, dtype: DTypeLike
) -> diffrax.MultiTerm:
    """Drift and noise of step number ``step``."""
    increment = noise.increments(step, dt, system.noise_shape, dtype)
    return diffrax.MultiTerm(diffrax.ODETerm(system.vector_field), NoiseTerm(system, increment))


def kicks(
    system: StochasticSystem, noise: NoisePath, step: Scalar, t: Scalar, dt: Scalar, u: Float[Array, "*shape c"]
) -> tuple[Float[Array, "*shape c"], Float[Array, "*shape c"]]:
    """Additive noise of the step from ``t`` on in two independent halves W/2 +- sqrt(3) H, before and after the drift.

    The symmetric splitting keeps statistics to second order in the step and paths to first.
    """
    increment = noise.increments(step, dt, system.noise_shape, u.dtype)
    term, offset = NoiseTerm(system, increment), jnp.sqrt(3.0).astype(u.dtype) * increment.H
    g = term.vf(t, u, None)
    return term.prod(g, increment.W / 2 + offset), term.prod(g, increment.W / 2 - offset)


def check_noise(system: System, noise: NoisePath | None) -> None:
    """Raise ``ValueError`` unless there is noise where the system is stochastic, and only there."""
    name = type(system).__name__
    if noise is None and isinstance(system, StochasticSystem):
        raise ValueError(f"noise is missing, but {name} is stochastic: give noise=NoisePath(jax.random.key(0)).")
    if noise is not None and not isinstance(system, StochasticSystem):
        raise ValueError(f"noise is given, but {name} is deterministic: leave noise out.")


def check_solver_of_noise(system: System, solver: diffrax.AbstractSolver, exponential: bool) -> None:
    """Raise ``ValueError`` where the system is stochastic and the solver does not converge to its solution."""
    name, solver_name = type(system).__name__, type(solver).__name__
    if not isinstance(system, StochasticSystem):
        return
    if not exponential and not isinstance(solver, _ITO_OR_STRATONOVICH):
        raise ValueError(f"solver {solver_name} knows no noise, but {name} is stochastic: use diffrax.ShARK().")
    if not system.additive and not isinstance(solver, diffrax.AbstractItoSolver):
        raise ValueError(
            f"solver {solver_name} does not converge to the Ito solution of {name}, whose noise depends on the "
            "state: use diffrax.ItoMilstein() or diffrax.Euler()."
        )
