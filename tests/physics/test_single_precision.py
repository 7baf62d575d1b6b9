"""What single precision adds up to over many steps: the sum of the steps, its gradient, and chaotic flows."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import (
    ERK43,
    ETD53,
    ETDRK1,
    ETDRK2,
    ETDRK3,
    ETDRK4,
    IFRK4,
    Burgers,
    Grid,
    KuramotoSivashinsky,
    NavierStokes2D,
    SemilinearTerm,
    advance,
)
from physics.integrators.exponential import compensated_sum

_SOLVERS = (ETDRK1, ETDRK2, ETDRK3, ETDRK4, ETD53, ERK43, IFRK4)


def _decay():
    """Waves too small to interact, and what is left of them at t = 2."""
    system = Burgers(Grid((16,), (2 * np.pi,)), 0.1)
    waves = np.arange(1, 5)
    parts = 1e-9 * np.cos(waves * system.grid.coordinates()[0][:, None])
    return system, parts.sum(1)[:, None].astype(np.float32), parts @ np.exp(-0.2 * waves**2)


def _error(u, exact):
    return np.abs(np.asarray(u, np.float64)[:, 0] - exact).max() / np.abs(exact).max()


def test_a_compiled_sum_and_its_rest_are_the_exact_sum():
    random = np.random.default_rng(0)
    parts = random.normal(size=2000).astype(np.float32)
    u_hat = parts.view(np.complex64)
    change = (parts * random.uniform(-0.01, 0.01, 2000)).astype(np.float32).view(np.complex64)
    new, rest = jax.jit(compensated_sum)(u_hat, change, jnp.zeros_like(u_hat))
    assert np.array_equal(new, u_hat + change) and np.abs(rest).max() > 0
    exact = u_hat.astype(complex) + change
    assert np.abs(np.asarray(new, complex) + np.asarray(rest) - exact).max() < 1e-14


@pytest.mark.parametrize("solver", [pytest.param(s, marks=pytest.mark.slow if s is ETD53 else ()) for s in _SOLVERS])
def test_thousands_of_single_precision_steps_end_within_rounding_of_the_exact_field(solver):
    system, u0, exact = _decay()
    plain, compensated = (
        _error(advance(system, u0, 5e-4, 4000, solver=solver(compensated=choice)), exact) for choice in (False, True)
    )
    assert compensated < 3e-7 < plain


@pytest.mark.slow
def test_steps_of_diffrax_whose_coefficients_are_traced_end_within_rounding_too():
    system, u0, exact = _decay()
    # Powers of two, so that the times are exact and the fields alone round.
    ended = diffrax.diffeqsolve(
        SemilinearTerm(system),
        ETDRK2(),
        0.0,
        2.0,
        2.0**-11,
        u0,
        saveat=diffrax.SaveAt(t1=True, solver_state=True),
        max_steps=4096,
    )
    assert _error(ended.ys[-1], exact) < 3e-7
    assert np.abs(ended.solver_state.rest).max() > 0


def test_the_rest_leaves_gradients_what_they_are(key):
    system = KuramotoSivashinsky(Grid((32,), (22.0,)))
    u0, direction = system.sample_initial(key), system.sample_initial(jax.random.key(1))

    def end(u, compensated):
        return (advance(system, u, 0.1, 20, solver=ETDRK4(compensated=compensated)) ** 2).mean()

    plain, compensated = (jax.grad(end)(u0, choice) for choice in (False, True))
    assert np.abs(plain - compensated).max() < 3e-6 * np.abs(plain).max()
    slope = jax.jvp(lambda u: end(u, True), (u0,), (direction,))[1]
    assert float(slope) == pytest.approx(float((compensated * direction).sum()), rel=1e-4)


# System, step, steps of one Lyapunov time (1 / 0.048, 1 / 0.09 and 1 / 0.41), steps until chaos is there, fields.
_CHAOS = {
    "kuramoto_sivashinsky_22": (KuramotoSivashinsky(Grid((64,), (22.0,))), 0.1, 208, 2000, 32),
    "kuramoto_sivashinsky_32_pi": (KuramotoSivashinsky(Grid((128,), (32 * np.pi,))), 0.1, 110, 2000, 32),
    "kolmogorov": (NavierStokes2D(Grid((32, 32), (2 * np.pi, 2 * np.pi)), 1e-2, 0.1, 1.0, 4), 0.01, 244, 3000, 8),
}


@pytest.mark.slow
@pytest.mark.float64
@pytest.mark.parametrize("name", _CHAOS)
def test_single_precision_over_one_lyapunov_time_against_the_spread_of_rounded_initial_fields(name):
    system, dt, steps, before, count = _CHAOS[name]

    def flow(u, steps=steps, compensated=True):
        solver = ETDRK4(compensated=compensated)
        return np.asarray(jax.jit(jax.vmap(lambda v: advance(system, v, dt, steps, solver=solver)))(u), np.float64)

    keys = jax.random.split(jax.random.key(5), count)
    u0 = flow(jax.vmap(system.sample_initial)(keys), before).astype(np.float32)
    exact, random = flow(u0.astype(np.float64)), np.random.default_rng(0)

    def distance(u):
        return np.sqrt(((u - exact) ** 2).mean(axis=tuple(range(1, u.ndim))))

    ulp = np.spacing(np.abs(u0)).astype(np.float64)
    rounded = [distance(flow(u0 + ulp * random.uniform(-0.5, 0.5, u0.shape))) for _ in range(8)]
    spread = np.sqrt(np.square(rounded).mean(0))
    plain, compensated = (distance(flow(u0, compensated=choice)) / spread for choice in (False, True))
    assert np.sqrt((compensated**2).mean()) < 0.6 * np.sqrt((plain**2).mean()), (plain.round(1), compensated.round(1))
