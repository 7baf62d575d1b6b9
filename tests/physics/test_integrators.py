"""Exponential integrators: coefficients, orders, embedded errors, agreement with other solvers."""

from functools import cache
from typing import ClassVar

import diffrax
import equinox as eqx
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
    KortewegDeVries,
    KuramotoSivashinsky,
    SemilinearSystem,
    SemilinearTerm,
    advance,
    solve,
)
from physics.integrators.phi import phi_functions
from physics.spectral import inverse_transform, transform


def _phi_by_cauchy(z, k):
    """phi_k as the mean over a circle around z that keeps off 0 (Kassam and Trefethen, 2005), in complex128."""
    radius = np.where(np.abs(z) < 2, 4.0, 1.0)[..., None]
    w = np.asarray(z, complex)[..., None] + radius * np.exp(2j * np.pi * (np.arange(64) + 0.5) / 64)
    phi = np.exp(w)
    for j in range(k):
        phi = (phi - 1.0 / [1, 1, 2][j]) / w
    return phi.mean(-1)


# Rays of the left half plane with |z| from 1e-6 to 1e3: damped, oscillating and mixed.
_RADII = np.concatenate([[0.0], np.logspace(-6, 3, 400)])
_RAYS = {"damped": -_RADII, "oscillating": 1j * _RADII, "mixed": (-1 + 1j) / np.sqrt(2) * _RADII}


@pytest.mark.parametrize("ray", _RAYS)
def test_host_coefficients_are_right_to_double_precision(ray):
    z = _RAYS[ray]
    for k, phi in enumerate(phi_functions(z, 3)):
        exact = _phi_by_cauchy(z, k)
        assert np.iscomplexobj(phi) == np.iscomplexobj(z)
        # The circle itself is right to about 1e-14: a mean of numbers of up to e^6 in double precision.
        assert np.abs(phi - exact).max() < 2e-14


@pytest.mark.parametrize("ray", _RAYS)
def test_traced_coefficients_are_right_to_single_precision(ray):
    z = _RAYS[ray].astype(np.complex64 if np.iscomplexobj(_RAYS[ray]) else np.float32)
    traced = jax.jit(lambda z: phi_functions(z, 3))(z)
    for k, phi in enumerate(traced):
        exact = _phi_by_cauchy(z.astype(complex), k)
        assert np.abs(np.asarray(phi) - exact).max() < 4e-7 / [1, 1, 2, 6][k] + 2e-7 * (k == 0)


def test_traced_coefficients_agree_with_those_of_the_host():
    system = Burgers(Grid((64,), (2 * np.pi,)), 0.5)
    for solver in _SOLVERS.values():
        host = solver.coefficients(system, 0.1, jnp.float32).values
        traced = jax.jit(lambda nu, h, s=solver: s.coefficients(Burgers(system.grid, nu), h, jnp.float32).values)(
            0.5, 0.1
        )
        for a, b in zip(host, traced, strict=True):
            assert a.dtype == jnp.float32
            # A weight that is a small difference of large ones is as right as they are, so the step is the scale.
            assert np.abs(a - b).max() < 1e-6 * max(np.abs(a).max(), 0.1)


@pytest.mark.float64
def test_coefficients_differentiate_through_zero_and_both_branches():
    def total(scale):
        return sum(p.sum() for p in phi_functions(scale * jnp.array([0.0, -1e-9, -1.0, -3.0, -80.0]), 3))

    exact = jax.grad(total)(1.0)
    assert np.isclose(exact, (total(1 + 1e-6) - total(1 - 1e-6)) / 2e-6, rtol=1e-7)


def _smooth_start(system):
    (x,), (length,) = system.grid.coordinates(), system.grid.extent
    phase = 2 * np.pi * x / length
    return jnp.asarray(np.cos(phase) + 0.5 * np.sin(2 * phase + 1))[:, None]


class AllenCahn(SemilinearSystem):
    """u_t = u_xx / 100 + u - u^3, for these tests."""

    grid: Grid = eqx.field(static=True)
    name: ClassVar[str] = "allen_cahn"
    channels: ClassVar[tuple[str, ...]] = ("u",)

    def linear_symbol(self):
        return (1 - 0.01 * self.grid.wavenumbers[0] ** 2)[None]

    def nonlinear(self, t, u_hat, args=None):
        return -transform(inverse_transform(u_hat, self.grid) ** 3, self.grid)

    def sample_initial(self, key):
        return jax.random.normal(key, self.field_shape)

    @property
    def recommended_dt(self):
        return 0.1


_SOLVERS = {
    type(solver).__name__: solver for solver in (ETDRK1(), ETDRK2(), ETDRK3(), ETDRK4(), ETD53(), ERK43(), IFRK4())
}
_ORDER_CASES = {
    "dispersive": (KortewegDeVries(Grid((32,), (12.0,))), 1.0, 400),
    "dissipative": (KuramotoSivashinsky(Grid((16,), (32.0,))), 4.0, 200),
    "reaction": (AllenCahn(Grid((32,), (2 * np.pi,))), 2.0, 100),
}


@pytest.mark.float64
@pytest.mark.parametrize("name", _ORDER_CASES)
@pytest.mark.parametrize("solver", _SOLVERS.values(), ids=_SOLVERS)
def test_errors_fall_with_the_nominal_order(name, solver):
    system, time, steps = _ORDER_CASES[name]
    u0, exact = _smooth_start(system), _reference(name)
    steps = steps // 2 if solver.order(None) == 5 else steps
    errors = [float(jnp.abs(advance(system, u0, time / n, n, solver=solver) - exact).max()) for n in (steps, 2 * steps)]
    assert errors[1] > 1e-12, "below round-off the slope says nothing"
    assert abs(np.log2(errors[0] / errors[1]) - solver.order(None)) < 0.3, errors


@cache
def _reference(name):
    system, time, _ = _ORDER_CASES[name]
    return np.asarray(advance(system, _smooth_start(system), time / 3200, 3200))


@pytest.mark.float64
@pytest.mark.parametrize("solver", _SOLVERS.values(), ids=_SOLVERS)
def test_embedded_error_of_a_step_falls_with_the_power_the_controller_is_told(solver):
    system = KuramotoSivashinsky(Grid((32,), (16.0,)))
    term, u0 = SemilinearTerm(system), _smooth_start(system)

    @jax.jit
    def error(h):
        state = solver.init(term, 0.0, h, u0, None)
        return jnp.abs(solver.step(term, 0.0, h, u0, None, state, False)[1]).max()

    assert abs(np.log2(error(0.02) / error(0.01)) - solver.error_order(None)) < 0.3


@pytest.mark.slow
@pytest.mark.float64
def test_adaptive_exponential_steps_meet_their_tolerance_at_every_saved_time():
    system = KuramotoSivashinsky(Grid((32,), (16.0,)))
    u0, times = _smooth_start(system), [0.5, 1.3, 4.0]
    exact = solve(system, u0, times, dt=0.0025)
    controller = diffrax.PIDController(rtol=1e-7, atol=1e-7)
    got = solve(system, u0, times, stepsize_controller=controller, max_steps=512)
    assert np.abs(got - exact).max() < 1e-5


@pytest.mark.float64
def test_diffeqsolve_with_constant_steps_is_the_scan_forwards_and_returns_backwards():
    system = KortewegDeVries(Grid((32,), (12.0,)))
    u0 = _smooth_start(system)

    def run(t0, t1, u):
        return diffrax.diffeqsolve(SemilinearTerm(system), ETDRK4(), t0, t1, 0.01 * np.sign(t1 - t0), u).ys[-1]

    there = run(0.0, 0.2, u0)
    assert np.allclose(there, advance(system, u0, 0.01, 20), atol=1e-11)
    assert np.allclose(run(0.2, 0.0, there), u0, atol=1e-4)


@pytest.mark.float64
@pytest.mark.parametrize("solver", [diffrax.Tsit5(), pytest.param(diffrax.Kvaerno5(), marks=pytest.mark.slow)])
def test_ordinary_solvers_reach_the_same_field(solver):
    system = Burgers(Grid((32,), (2 * np.pi,)), 0.2)
    u0 = _smooth_start(system)
    controller = diffrax.PIDController(rtol=1e-8, atol=1e-9)
    got = solve(system, u0, [0.5], solver=solver, stepsize_controller=controller, max_steps=512)[-1]
    assert np.abs(got - advance(system, u0, 0.005, 100)).max() < 1e-6


@pytest.mark.parametrize("solver", _SOLVERS.values(), ids=_SOLVERS)
def test_the_rounding_of_coefficients_does_not_add_up_over_many_single_precision_steps(solver):
    system, steps, dt = Burgers(Grid((16,), (2 * np.pi,)), 0.1), 2000, 1e-3
    waves = np.arange(1, 5)
    x = system.grid.coordinates()[0][:, None]
    u0 = 1e-9 * np.cos(waves * x).sum(1)[:, None].astype(np.float32)
    exact = 1e-9 * np.cos(waves * x) @ np.exp(-0.1 * waves**2 * steps * dt)
    error = np.abs(advance(system, u0, dt, steps, solver=solver)[:, 0] - exact).max() / np.abs(exact).max()
    # Off by half a unit in the last place at every step, e^z would be off by up to 1e-4 in the end.
    assert error < 5e-6
