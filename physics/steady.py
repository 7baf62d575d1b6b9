"""Steady systems A u = f: solving them, their discrete residual, and how far a field is from the solution.

A is never a matrix. Conjugate gradients, or lineax's GMRES where A is not symmetric and positive, run on it with the
system's approximate inverse as preconditioner. Gradients with respect to everything in the system follow from
the implicit function theorem, du = A^{-1} (df - dA u), by one more solve in either mode of differentiation; no
iteration is stored. A solve that did not converge, the one for the value or the one for the gradient, is NaN wherever
it is traced, in that member of a batch alone. Everything batches by ``jax.vmap``, a batch takes as many iterations as
its slowest member, and works under ``jit`` and ``pmap``.

Where A knows fields only up to a constant (`SteadySystem.singular`) the solution is the one of zero mean.

A small residual does not say that a field is close to the solution: -div(a grad u) = f has the residual -f at the
field zero, which is nothing where f is nothing, and a field that is 10% too small misses by a tenth of that. The
**re-solve error** does say so (`resolve_error`).
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from equinox.internal import unvmap_any
from jaxtyping import Array, Float

from physics.arguments import check_boundaries, check_field, is_concrete
from physics.grid import Grid
from physics.solving.meshes import away_from_meshes

_MOST_ITERATIONS = 1000


class SteadySystem(eqx.Module):
    """An equation A(parameters) u = f(parameters) for one field u ``(*grid.shape, C)``.

    The grid is static, parameters are leaves, as in `physics.System`. ``definite`` says that A is symmetric and
    positive, on zero-mean fields where it is singular.
    """

    grid: eqx.AbstractVar[Grid]
    name: ClassVar[str]
    channels: ClassVar[tuple[str, ...]]
    definite: ClassVar[bool] = True
    boundaries: ClassVar[tuple[str, ...]] = ("periodic", "dirichlet", "neumann")

    def __check_init__(self):
        check_boundaries(type(self).__name__, self.grid, self.boundaries)

    @abc.abstractmethod
    def operator(self) -> Callable[[Array], Array]:
        """The linear map u -> A u; what is given at boundaries belongs to the right-hand side."""

    @abc.abstractmethod
    def right_hand_side(self) -> Float[Array, "*shape c"]:
        """f, with what is given at boundaries."""

    def approximate_inverse(self) -> Callable[[Array], Array]:
        """A linear map close to A^{-1}, symmetric and positive where A is, to precondition with."""
        return lambda r: r

    @property
    def singular(self) -> bool:
        """Whether A maps constants to zero."""
        return False

    @property
    def field_shape(self) -> tuple[int, ...]:
        """``(*grid.shape, C)``."""
        return (*self.grid.shape, len(self.channels))


def solve_steady(
    system: SteadySystem, *, tolerance: float | None = None, max_iterations: int = _MOST_ITERATIONS
) -> Float[Array, "*shape c"]:
    """The field u with A u = f.

    **Arguments:**

    - ``system``: batches of systems by ``jax.vmap``.
    - ``tolerance``: the largest residual that is left, relative to the largest value of f; 1e-5 in single and 1e-9
      in double precision where None.
    - ``max_iterations``: of the solve, and of the one more that a gradient takes. Where they do not suffice the field
      is NaN (traced) or ``ValueError`` is raised (concrete), and every gradient that needs what was not solved is NaN.

    **Returns:** ``(*grid.shape, C)``, of zero mean where the system is singular.

    Raises ``ValueError`` for a tolerance that is not positive, and where the iteration did not converge.
    """
    return _checked(_solve(_floats(system), _tolerance(tolerance), max_iterations)[0], max_iterations)


def count_iterations(
    system: SteadySystem, *, tolerance: float | None = None, max_iterations: int = _MOST_ITERATIONS
) -> Array:
    """How many iterations `solve_steady` takes for a system, an integer."""
    return _solve(_floats(system), _tolerance(tolerance), max_iterations)[1]


def steady_residual(system: SteadySystem, u: Float[Array | np.ndarray, "*shape c"]) -> Float[Array, "*shape c"]:
    """A u - f, the discrete equation that `solve_steady` solves applied to a field.

    **Arguments:**

    - ``u``: one field ``(*grid.shape, C)``; batches by ``jax.vmap``. Differentiable in u and in the system.

    Raises ``ValueError`` for fields of another shape or with values that are not finite.
    """
    check_field("u", u, system.field_shape, system.channels)
    system = _floats(system, u)
    return system.operator()(jnp.asarray(u)) - system.right_hand_side()


def resolve_error(
    system: SteadySystem,
    u: Float[Array | np.ndarray, "*shape c"],
    *,
    tolerance: float | None = None,
    max_iterations: int = _MOST_ITERATIONS,
) -> Float[Array, ""]:
    """The re-solve error |u - A^{-1} f| / |A^{-1} f| in the Euclidean norm: 0 for the solution, 1 for the zero field.

    **Arguments:**

    - ``u``: one field ``(*grid.shape, C)`` that is compared with the solution for the parameters in ``system``;
      a constant added to it counts as error also where the system is singular.
    - ``tolerance``, ``max_iterations``: as in `solve_steady`.

    Raises ``ValueError`` as `solve_steady` and `steady_residual`.
    """
    check_field("u", u, system.field_shape, system.channels)
    solution = solve_steady(_floats(system, u), tolerance=tolerance, max_iterations=max_iterations)
    square = jnp.sum((u - solution) ** 2)
    # The root has no slope at 0, where the error is least.
    error = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
    return error / jnp.sqrt(jnp.sum(solution**2))


def _floats(system: SteadySystem, *fields: Any) -> SteadySystem:
    """The system with all its parameters as arrays of one precision."""
    arrays = [jnp.asarray(leaf) for leaf in (*jax.tree.leaves(system), *fields) if hasattr(leaf, "dtype")]
    dtype = jnp.result_type(*arrays) if arrays else jnp.result_type(float)
    dtype = dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), system)


def _tolerance(tolerance: float | None) -> float | None:
    if tolerance is not None and not 0 < tolerance < 1:
        raise ValueError(f"tolerance must lie between 0 and 1, not {tolerance}: the default is None.")
    return tolerance


def _checked(u: Array, max_iterations: int) -> Array:
    if is_concrete(u) and not np.all(np.isfinite(np.asarray(u))):
        raise ValueError(
            f"the steady system was not solved within max_iterations = {max_iterations}: allow more, loosen the "
            "tolerance, or check that the operator is not singular."
        )
    return u


def _solve(system: SteadySystem, tolerance: float | None, max_iterations: int) -> tuple[Array, Array]:
    return away_from_meshes(_solve_here)(system, tolerance, max_iterations)


@eqx.filter_jit
def _solve_here(system: SteadySystem, tolerance: float | None, max_iterations: int) -> tuple[Array, Array]:
    # Behind the barrier, or a constant source would be folded for every member of a batch while compiling.
    f = jax.lax.optimization_barrier(system.right_hand_side())
    if tolerance is None:
        tolerance = 1e-5 if f.dtype == jnp.float32 else 1e-9
    # Nothing iterates on parameters being differentiated, so this needs no derivative.
    approximate_inverse = jax.lax.stop_gradient(system).approximate_inverse()
    method = _conjugate_gradients if system.definite else _gmres

    def zero_mean(u: Array) -> Array:
        return u - jnp.mean(u) if system.singular else u

    def iterate(operator: Callable[[Array], Array], b: Array) -> tuple[Array, Array]:
        # Tolerances are absolute in a problem scaled to one: cotangents come in any size.
        b = zero_mean(b)
        largest = jnp.max(jnp.abs(b))
        scale = jnp.where(largest > 0, largest, 1.0)
        u, iterations, solved = method(operator, approximate_inverse, b / scale, tolerance, max_iterations)
        return jnp.where(solved, zero_mean(u) * scale, jnp.nan), iterations

    return jax.lax.custom_linear_solve(
        system.operator(), f, iterate, transpose_solve=iterate, symmetric=system.definite, has_aux=True
    )


def _conjugate_gradients(
    operator: Callable[[Array], Array],
    approximate_inverse: Callable[[Array], Array],
    b: Array,
    tolerance: float,
    max_iterations: int,
) -> tuple[Array, Array, Array]:
    """Preconditioned conjugate gradients until the largest residual is below ``tolerance``: u, iterations, success.

    The members of a batch go on together until the last one is done, without masks: those that are done only get
    better. lineax's take up to 2.5 times as long, since they test the step as well, in divisions by every value, and
    select every array of a batch anew in every iteration.
    """

    def unfinished(state: Any) -> Array:
        *_, largest, _, count = state
        return (count < max_iterations) & unvmap_any(largest > tolerance)

    def step(state: Any) -> Any:
        u, r, p, product, largest, iterations, count = state
        image = operator(p)
        length = _ratio(product, jnp.vdot(p, image))
        u, r = u + length * p, r - length * image
        z = approximate_inverse(r)
        before, product = product, jnp.vdot(r, z)
        p = z + _ratio(product, before) * p
        return u, r, p, product, jnp.max(jnp.abs(r)), iterations + (largest > tolerance), count + 1

    z, none = approximate_inverse(b), jnp.asarray(0)
    start = (jnp.zeros_like(b), b, z, jnp.vdot(b, z), jnp.max(jnp.abs(b)), none, none)
    u, *_, largest, iterations, _ = jax.lax.while_loop(unfinished, step, start)
    return u, iterations, largest <= tolerance


def _ratio(above: Array, below: Array) -> Array:
    """The quotient, 0 where a member of the batch has nothing left to divide by."""
    return jnp.where(below > 0, above / jnp.where(below > 0, below, 1.0), 0.0)


def _gmres(
    operator: Callable[[Array], Array],
    approximate_inverse: Callable[[Array], Array],
    b: Array,
    tolerance: float,
    max_iterations: int,
) -> tuple[Array, Array, Array]:
    """The same by lineax's GMRES, for operators that are not symmetric and positive."""
    structure = jax.ShapeDtypeStruct(b.shape, b.dtype)
    solution = lx.linear_solve(
        lx.FunctionLinearOperator(operator, structure),
        b,
        lx.GMRES(rtol=tolerance, atol=tolerance, max_steps=max_iterations),
        options={"preconditioner": lx.FunctionLinearOperator(approximate_inverse, structure)},
        throw=False,
    )
    return solution.value, solution.stats["num_steps"], solution.result == lx.RESULTS.successful
