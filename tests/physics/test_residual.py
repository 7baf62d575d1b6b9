"""Defects of the discrete flow and residuals of the equation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import (
    ETDRK2,
    Burgers,
    Grid,
    KuramotoSivashinsky,
    Lorenz63,
    NavierStokes2D,
    advance,
    defect,
    residual,
    solve,
)

SYSTEMS = [
    (Burgers(Grid((32,), (2 * np.pi,)), 0.1), 0.01),
    (KuramotoSivashinsky(Grid((32,), (22.0,))), 0.1),
    (NavierStokes2D(Grid((16, 16), (2 * np.pi, 2 * np.pi)), 0.01), 0.02),
    (Lorenz63(), 0.01),
]


@pytest.mark.parametrize(("system", "dt"), SYSTEMS, ids=[s.name for s, _ in SYSTEMS])
def test_defect_of_solver_data_is_round_off_only_when_solver_step_and_stride_match(system, dt, key):
    trajectory = solve(system, system.sample_initial(key), [0.0, 3 * dt, 6 * dt], dt=dt)
    before, after = trajectory[1], trajectory[2]
    scale = float(jnp.abs(before).max())
    round_off = 30 * np.finfo(np.float32).eps * scale / (3 * dt)
    assert np.abs(defect(system, before, after, dt, steps=3)).max() < round_off
    assert np.abs(defect(system, before, after, dt, steps=2)).max() > 100 * round_off
    assert np.abs(defect(system, before, 0.9 * after, dt, steps=3)).max() > 100 * round_off


def test_defect_tells_the_solver_that_made_the_data_from_another(key):
    system, dt = SYSTEMS[1]
    u = advance(system, 3 * system.sample_initial(key), dt, 200)
    after = advance(system, u, dt, 1, solver=ETDRK2())
    assert np.abs(defect(system, u, after, dt, solver=ETDRK2())).max() < 1e-4
    assert np.abs(defect(system, u, after, dt)).max() > 1e-3


@pytest.mark.float64
@pytest.mark.parametrize("order", [2, 4])
def test_residual_of_solver_data_falls_with_the_order_of_its_time_difference(order, key):
    system = SYSTEMS[0][0]
    u0 = system.sample_initial(key)
    levels = []
    for dt in (0.02, 0.01):
        trajectory = solve(system, u0, 0.2 + dt * np.arange(-3, 4), dt=dt / 4)
        inner = residual(system, trajectory, dt, order=order)
        assert inner.shape[0] == 7 - order
        levels.append(float(jnp.abs(inner[inner.shape[0] // 2]).max()))
    assert abs(np.log2(levels[0] / levels[1]) - order) < 0.3


@pytest.mark.float64
def test_defect_differentiates_in_both_fields(key):
    system, dt = SYSTEMS[0]
    u = system.sample_initial(key)
    after = advance(system, u, dt, 1)
    gradient = jax.grad(lambda a, b: (defect(system, a, b, dt) ** 2).sum(), (0, 1))(u, after + 0.01)
    assert np.allclose(gradient[1], 2 * 0.01 / dt**2, rtol=1e-6)
    assert np.abs(gradient[0]).max() > 0


def test_bad_input_is_refused_in_one_sentence():
    system = SYSTEMS[0][0]
    u = np.zeros((32, 1))
    with pytest.raises(ValueError, match="steps must be a whole number, 1 or more, not 0"):
        defect(system, u, u, 0.1, steps=0)
    with pytest.raises(ValueError, match="u_after has shape"):
        defect(system, u, np.zeros((16, 1)), 0.1)
    with pytest.raises(ValueError, match="at least 5 times for order 4"):
        residual(system, np.zeros((4, 32, 1)), 0.1, order=4)
    with pytest.raises(ValueError, match="order 3"):
        residual(system, np.zeros((4, 32, 1)), 0.1, order=3)
