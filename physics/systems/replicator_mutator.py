"""Evolution by selection and mutation: the replicator-mutator equation."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, check_point, is_concrete, parameter
from physics.grid import Grid
from physics.system import System

_ROCK_PAPER_SCISSORS = ((1.0, 0.0, 2.0), (2.0, 1.0, 0.0), (0.0, 2.0, 1.0))


def _payoff(values: Any) -> Any:
    return values if isinstance(values, jax.Array) else np.asarray(values, np.float64)


class ReplicatorMutator(System):
    r"""x_i' = sum_j x_j f_j(x) Q_ji - phi(x) x_i with f = payoff x and phi = x . f (Hadeler, 1981).

    State: ``(n,)``, the channels ``x1`` to ``xn``: shares of n types, which stay positive and add up to 1, at
    the one point of ``Grid((), ())``. Q_ji is the chance that offspring of j is of type i: mutation / (n - 1)
    for every other type, 1 - mutation for its own. Non-dimensional.

    What one sees: with the game of rock, paper and scissors the types follow each other in cycles. Without
    mutation they are closed (the product of all shares is conserved where the game is zero-sum), with it they
    run into equal shares. With payoffs a < 1 between types and 1 within (languages), one type dominates only
    below an error threshold of the mutation.

    Good values to start with: rock, paper, scissors (the default), mutation 0.01, dt = 0.05 with
    `diffrax.Tsit5`.

    Source: Nowak, Komarova and Niyogi, Science 291, 2001; Page and Nowak, J. Theor. Biol. 219, 2002.
    """

    payoff: Float[Array | np.ndarray, "n n"] = eqx.field(converter=_payoff, default=_ROCK_PAPER_SCISSORS)
    mutation: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.01)
    grid: Grid = eqx.field(static=True, default=Grid((), ()))
    name: ClassVar[str] = "replicator_mutator"
    dissipative: ClassVar[bool] = True

    def __check_init__(self):
        check_point(self)
        check_parameter("mutation", self.mutation, sign="non_negative")
        if is_concrete(self.mutation) and np.any(np.asarray(self.mutation) > 1):
            raise ValueError(f"mutation is the share of offspring of other types, but is {self.mutation}: use 0 to 1.")
        shape = np.shape(self.payoff)
        if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2:
            raise ValueError(f"payoff has shape {shape}: give a square matrix for 2 or more types.")
        check_parameter("payoff", self.payoff, sign="any")

    @property
    def channels(self) -> tuple[str, ...]:
        """``x1``, ..., ``xn``."""
        return tuple(f"x{i}" for i in range(1, self.payoff.shape[-1] + 1))

    def vector_field(self, t: Scalar, u: Float[Array, " n"], args: PyTree = None) -> Float[Array, " n"]:
        """Births, spread over the types by mutation, less what keeps the total at 1."""
        births = u * (jnp.asarray(self.payoff, u.dtype) @ u)
        total = jnp.sum(births)
        others = self.mutation / (u.shape[0] - 1) * (total - births)
        return (1 - self.mutation) * births + others - total * u

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, " n"]:
        """Uniform among all shares that add up to 1."""
        return jax.random.dirichlet(key, jnp.ones(self.payoff.shape[-1]))

    def invariants(self, u: Float[Array | np.ndarray, " n"]) -> dict[str, Float[Array, ""]]:
        """The total."""
        return {"total": jnp.sum(jnp.asarray(u))}

    @property
    def recommended_dt(self) -> float:
        """0.05."""
        return 0.05
