"""What the exponential integrators share: the term they integrate, their coefficients, their state between steps.

A semilinear system u_t = L u + N(u) reaches the solver as a `SemilinearTerm`. Its state is the physical
field under `diffrax.diffeqsolve` (diffrax's complex support is unfinished), and the spectrum inside the
fixed-step scan of `physics.solving.evolution`, which saves one pair of transforms in every step. Both go through
the same ``step``.
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import diffrax
import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, PyTree

from physics.arguments import Scalar, is_concrete
from physics.integrators.dense_output import ExponentialInterpolation, Segment
from physics.integrators.phi import PhiFunctions, phi_functions, phi_functions_of_matrices
from physics.spectral import apply_symbol, to_physical, to_spectral
from physics.system import SemilinearSystem, System


class SemilinearTerm(diffrax.AbstractTerm):
    """A semilinear system as a diffrax term, for the exponential integrators.

    **Arguments:**

    - ``system``: the system to integrate.
    - ``spectral``: whether the solver's state is the spectrum ``(C, *grid.spectral_shape)`` instead of the
      physical field. For scans of one's own; `diffrax.diffeqsolve` wants the physical field.
    """

    system: SemilinearSystem
    spectral: bool = eqx.field(static=True, default=False)

    def vf(self, t: Scalar, y: Array, args: PyTree) -> Array:
        """dy/dt for the physical field or the spectrum."""
        if not self.spectral:
            return self.system.vector_field(t, y, args)
        return apply_symbol(jnp.asarray(self.system.symbol()).astype(y.dtype), y) + self.system.nonlinear(t, y, args)

    def contr(self, t0: Scalar, t1: Scalar, **kwargs: object) -> Scalar:
        """The step in time."""
        return t1 - t0

    def prod(self, vf: Array, control: Scalar) -> Array:
        """Vector field times step."""
        return vf * control

    def spectrum(self, y: Array) -> Array:
        """The spectrum of a state."""
        return y if self.spectral else to_spectral(y, self.system.grid)

    def state(self, u_hat: Array) -> Array:
        """The state of a spectrum."""
        return u_hat if self.spectral else to_physical(u_hat, self.system.grid)


def semilinear(system: System, solver: diffrax.AbstractSolver) -> SemilinearSystem:
    """The system itself, or a ``ValueError`` if it is not semilinear, as the exponential ``solver`` needs it."""
    if not isinstance(system, SemilinearSystem):
        raise ValueError(
            f"solver {type(solver).__name__} needs a semilinear system, but {type(system).__name__} is none: use "
            "diffrax.Tsit5()."
        )
    return system


class Stages(NamedTuple):
    """What one step makes: the change of the spectrum, the embedded error, and, from order four on, N at half the step
    to third order.

    The error may be a function of N at the end of the step.
    """

    change: Array
    error: Array | Callable[[Array], Array]
    n_middle: Array | None = None


class Coefficients(NamedTuple):
    """The functions of h L for one step of length ``step``, which is None where it can never change."""

    step: Array | None
    values: tuple[Array, ...]


class Memory(NamedTuple):
    """What a solve passes from step to step beside its state.

    ``rest`` is what rounding has left out of the state, None where it is not kept; ``u_hat`` and ``n_u`` are the
    state's spectrum and its N, None where every step finds them anew.
    """

    coefficients: Coefficients
    rest: Array | None
    u_hat: Array | None = None
    n_u: Array | None = None


def compensated_sum(u_hat: Array, change: Array, rest: Array | None) -> tuple[Array, Array | None]:
    """``u_hat + change`` and what its rounding leaves out, which the next step adds (Kahan, 1965).

    To derivatives the rest is a constant: the sum that it makes exact has those of ``u_hat + change``.
    """
    if rest is None:
        return u_hat + change, None
    change = change + rest
    new = u_hat + change
    return new, jax.lax.stop_gradient(change - (new - u_hat))


class AbstractExponentialSolver(diffrax.AbstractAdaptiveSolver):
    """Base of the exponential integrators.

    With a constant step the coefficients are computed once for the whole solve. Under an adaptive controller they are
    computed again, directly and without contour integrals, when the step has changed (under ``vmap``: when that of
    any member of the batch has, and then for all), and the last evaluation of a step is the first of the next one.

    **Arguments:**

    - ``compensated``: whether single-precision steps hand on what the rounding of their sum left out, so that many
      small steps do not each round the whole field. Double precision does without. docs/physics.md has what it gains.
    """

    compensated: bool = eqx.field(static=True, default=True)
    term_structure: ClassVar = SemilinearTerm
    interpolation_cls: ClassVar[Callable[..., ExponentialInterpolation]] = ExponentialInterpolation

    @abc.abstractmethod
    def evaluate(self, phi: PhiFunctions, h: Scalar) -> tuple[Array | np.ndarray, ...]:
        """The method's coefficients, e^{h L} first; ``phi(c, k)`` are phi_0 ... phi_k of c h L."""

    @abc.abstractmethod
    def stages(
        self, nonlinear: Callable[[float, Array], Array], h: Array, u_hat: Array, n_u: Array, values: tuple[Array, ...]
    ) -> Stages:
        """One step from the spectrum ``u_hat`` with N(u) = ``n_u``; ``nonlinear(c, v_hat)`` is N(v) at t + c h.

        The first of the ``values`` is e^{h L} - 1.
        """

    def coefficients(self, system: SemilinearSystem, h: Scalar, dtype: DTypeLike) -> Coefficients:
        """Coefficients for the constant step ``h``, cast to the precision of fields of ``dtype``.

        In float64 on the host where ``h`` and all parameters are concrete, else traced in the field's
        precision.
        """
        symbol, real = system.symbol(), jnp.finfo(dtype).dtype
        if isinstance(symbol, np.ndarray) and is_concrete(h):
            h = float(h)
        else:
            symbol = jnp.asarray(symbol)
            symbol = symbol.astype(jnp.result_type(real, 1j) if jnp.iscomplexobj(symbol) else real)
            h = jnp.asarray(h, real)
        matrices = symbol.ndim > system.grid.ndim + 1
        functions = phi_functions_of_matrices if matrices else phi_functions
        values = self.evaluate(lambda c, highest: functions((c * h) * symbol, highest), h)
        # In single precision e^z itself would be off by the same 6e-8 at every step, and the steps would add that up.
        if matrices:
            growth = values[0] - np.eye(len(symbol)).reshape(*symbol.shape[:2], *[1] * system.grid.ndim)
        else:
            # Traced in single precision, e^z minus 1 would have lost what the sum of many small steps needs.
            growth = (np if isinstance(symbol, np.ndarray) and is_concrete(h) else jnp).expm1(h * symbol)
        values = (growth, *values[1:])
        cast = [jnp.asarray(v, jnp.result_type(real, 1j) if np.iscomplexobj(v) else real) for v in values]
        return Coefficients(None, tuple(cast))

    def first_rest(self, u_hat: Array) -> Array | None:
        """What rounding has left out of the spectrum at the start of a solve: zero, or None where it is not kept."""
        return jnp.zeros_like(u_hat) if self.compensated and jnp.finfo(u_hat.dtype).bits < 64 else None

    def init(self, terms: PyTree[diffrax.AbstractTerm], t0: Scalar, t1: Scalar, y0: Array, args: PyTree) -> Memory:
        """The coefficients of the first step, no rest yet, the spectrum and its nonlinear term."""
        h, t = jnp.asarray(terms.contr(t0, t1)), getattr(terms, "direction", 1) * t0
        term = getattr(terms, "term", terms)
        u_hat = term.spectrum(y0)
        values = self.coefficients(term.system, h, y0.dtype).values
        return Memory(Coefficients(h, values), self.first_rest(u_hat), u_hat, term.system.nonlinear(t, u_hat, args))

    def step(
        self,
        terms: PyTree[diffrax.AbstractTerm],
        t0: Scalar,
        t1: Scalar,
        y0: Array,
        args: PyTree,
        solver_state: Memory,
        made_jump: bool | Bool[Array | np.ndarray, ""],
    ) -> tuple[Array, Array, dict[str, Segment], Memory, diffrax.RESULTS]:
        """One step from ``t0`` to ``t1``."""
        # Under diffeqsolve the term comes wrapped; backwards in time the wrapper turns the sign of h and t.
        h, t = terms.contr(t0, t1), getattr(terms, "direction", 1) * t0
        term = getattr(terms, "term", terms)

        def nonlinear(c: float, v_hat: Array) -> Array:
            return term.system.nonlinear(t + c * h if c else t, v_hat, args)

        (step, values), rest, u_hat, n_u = solver_state
        constant = u_hat is None or n_u is None
        if u_hat is None or n_u is None:
            u_hat = term.spectrum(y0)
            n_u = nonlinear(0.0, u_hat)
        else:
            # Times far from zero round, so equal steps differ in their last digits.
            rounding = 8 * jnp.finfo(jnp.result_type(t0, t1)).eps * jnp.maximum(jnp.abs(t0), jnp.abs(t1))
            step, values = jax.lax.cond(
                eqxi.unvmap_any(jnp.abs(h - step) > rounding),
                lambda: (h, self.coefficients(term.system, h, y0.dtype).values),
                lambda: (step, values),
            )
            if made_jump is not False:
                n_u = jax.lax.cond(eqxi.unvmap_any(made_jump), lambda: nonlinear(0.0, u_hat), lambda: n_u)
        change, error, n_middle = self.stages(nonlinear, h, u_hat, n_u, values)
        new, rest = compensated_sum(u_hat, change, rest)
        n_new = nonlinear(1.0, new)
        estimate = error(n_new) if callable(error) else error
        solver_state = Memory(Coefficients(step, values), rest, *(() if constant else (new, n_new)))
        n_middle = (n_u + n_new) / 2 if n_middle is None else n_middle
        dense = Segment(
            jnp.asarray(term.system.symbol()), h, u_hat, n_u, n_middle, n_new, new, term.system.grid, term.spectral
        )
        # A type checker sees the text of the member, not the member of the `equinox.Enumeration`.
        successful: Any = diffrax.RESULTS.successful
        return term.state(new), term.state(estimate), {"segment": dense}, solver_state, successful

    def func(self, terms: PyTree[diffrax.AbstractTerm], t0: Scalar, y0: Array, args: PyTree) -> Array:
        """The vector field."""
        return terms.vf(t0, y0, args)


def is_exponential(solver: object) -> bool:
    """Whether a solver is one of this project's exponential integrators."""
    return isinstance(solver, AbstractExponentialSolver)
