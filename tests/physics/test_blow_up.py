"""Solutions that do not stay finite: one sentence where values are concrete, NaN where they are traced."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import Burgers, Grid, Heat, Lorenz63, LotkaVolterra, NavierStokes2D, advance, solve

LINE = Grid((32,), (2 * np.pi,))
SYSTEM = Burgers(LINE, 0.01)


def _start():
    return np.sin(LINE.coordinates()[0])[:, None]


def _implicit(tolerance):
    return diffrax.ImplicitEuler(root_finder=diffrax.VeryChord(rtol=tolerance, atol=tolerance))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        # An explicit solver beyond 2 / k^2 = 2 / 256 of the shortest wave.
        (
            lambda: solve(Heat(LINE, 1.0), _start(), [1.0, 20.0], dt=0.1, solver=diffrax.Euler()),
            r"^dt is 0\.1, but the solution is not finite at time 20: the step is too long .*; halve dt to 0\.05, or",
        ),
        # The linear part is exact, but advection at speed 30 is not stable at this step.
        (lambda: solve(SYSTEM, 30 * _start(), [1.0, 2.0], dt=0.5), r"^dt is 0\.5, but .* halve dt to 0\.25"),
        (lambda: advance(SYSTEM, 30 * _start(), 0.5, 10), r"^dt is 0\.5, but .* at time 5: "),
        (lambda: solve(SYSTEM, 30 * _start(), [2.05], dt=0.5, dense=True), r"^dt is 0\.5, but .* at time 2\.05: "),
        (lambda: solve(SYSTEM, np.full((32, 1), np.inf), [1.0], dt=0.5), "u0 holds NaN or infinite values"),
    ],
)
def test_a_step_beyond_stability_is_one_sentence_with_the_step_and_the_remedy(call, message):
    with pytest.raises(ValueError, match=message) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_traced_fields_that_blow_up_come_back_non_finite():
    field = 30 * jnp.asarray(_start())
    assert not np.isfinite(jax.jit(lambda u: advance(SYSTEM, u, 0.5, 10))(field)).all()
    assert not np.isfinite(jax.vmap(lambda u: solve(SYSTEM, u, [5.0], dt=0.5))(field[None])).all()


@pytest.mark.float64
def test_an_implicit_step_whose_iteration_fails_is_no_field():
    # Convection of size 1 at a step of 10: the chord iteration does not contract.
    system, u0 = LotkaVolterra(), np.array([10.0, 5.0])
    good = advance(system, u0, 0.001, 3, solver=_implicit(1e-8))
    assert np.isfinite(good).all()
    with pytest.raises(ValueError, match=r"^dt is 10, but the solution is not finite at time 10"):
        advance(system, u0, 10.0, 1, solver=_implicit(1e-8))
    ends = jax.vmap(lambda dt: advance(system, u0, dt, 1, solver=_implicit(1e-8)))(jnp.asarray([0.001, 10.0]))
    assert np.isfinite(ends[0]).all() and np.isnan(ends[1]).all()
    # Its gradient would solve a linear system with NaN in it, which lineax refuses.
    with pytest.raises(jax.errors.JaxRuntimeError, match="non-finite"):
        jax.grad(lambda dt: advance(system, u0, dt, 1, solver=_implicit(1e-8)).sum())(10.0)


@pytest.mark.parametrize("size", [5, 7, 33])
def test_odd_grids_are_solved_and_tiny_ones_refused(size):
    system = Heat(Grid((size,), (2 * np.pi,)), 0.5)
    wave = np.cos(system.grid.coordinates()[0])[:, None]
    assert np.allclose(solve(system, wave, [0.1], dt=0.05)[0], np.exp(-0.05) * wave, atol=1e-6)
    # Taylor-Green: advection takes nothing from nothing.
    flow = NavierStokes2D(Grid((size, size + 2), (2 * np.pi, 2 * np.pi)), 0.5, forcing_mode=1)
    x, y = flow.grid.mesh()
    vortices = (np.sin(x) * np.sin(y))[..., None]
    assert np.allclose(solve(flow, vortices, [0.1], dt=0.05)[0], np.exp(-0.1) * vortices, atol=1e-6)
    with pytest.raises(ValueError, match=r"Grid shape \(3,\) is too small: every axis needs at least 4 points"):
        Burgers(Grid((3,), (1.0,)))


def test_an_ordinary_equation_that_runs_away_names_its_step():
    with pytest.raises(ValueError, match=r"^dt is 1, but the solution is not finite at time 40"):
        solve(Lorenz63(), np.asarray([1.0, 2.0, 20.0]), [40.0], dt=1.0)
