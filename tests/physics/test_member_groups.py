"""Batches of different stiffness: groups, agreement with solves of single members, bad input."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import ETDRK2, Burgers, Grid, Lorenz63, group_members, solve, solve_batch
from physics.solving.adaptive import typical_steps
from physics.solving.member_groups import MemberGroups, groups_of_similar_steps

GRID = Grid((16,), (2 * np.pi,))
WAVE = jnp.asarray(np.cos(GRID.coordinates()[0]))[:, None]
CONTROLLER = diffrax.PIDController(rtol=1e-5, atol=1e-6)


def test_members_are_grouped_by_the_ratio_of_their_steps():
    typical = np.array([1.0, 0.1, 0.9, 0.06, 0.4, 0.5])
    assert [group.tolist() for group in groups_of_similar_steps(typical, 2.0)] == [[0, 2, 5], [4], [1, 3]]
    assert [group.tolist() for group in groups_of_similar_steps(typical, 1.0)] == [[0], [2], [5], [4], [1], [3]]
    assert len(groups_of_similar_steps(typical, 100.0)) == 1


def test_stiffer_members_have_shorter_typical_steps():
    steps = [typical_steps(Burgers(GRID, 0.1), a * WAVE, 0.0, 1.0, None, None, CONTROLLER) for a in (0.1, 1.0, 10.0)]
    assert 2 * steps[1] < steps[0] and 2 * steps[2] < steps[1]


@pytest.mark.slow
@pytest.mark.float64
def test_a_batch_in_groups_is_every_member_solved_alone():
    amplitudes, viscosities = jnp.array([0.1, 8.0, 0.2, 0.1, 1.0]), jnp.array([0.1, 0.2, 0.1, 0.3, 0.2])
    systems = jax.vmap(lambda nu: Burgers(GRID, nu))(viscosities)
    fields = amplitudes[:, None, None] * WAVE
    how = {"stepsize_controller": CONTROLLER, "solver": ETDRK2(), "dt": 0.05}
    together = solve_batch(systems, fields, [0.1, 0.4], **how)
    for i, field in enumerate(fields):
        alone = solve(Burgers(GRID, viscosities[i]), field, [0.1, 0.4], **how)
        assert np.allclose(together[i], alone, rtol=0, atol=1e-11)


def test_groups_made_before_can_be_used_in_a_traced_solve():
    fields = jnp.array([[1.0, 1.0, 1.0], [20.0, -30.0, 60.0], [1.1, 1.0, 1.0]])
    system, how = Lorenz63(), {"tolerance": 1e-4}
    groups = group_members(system, fields, [0.1], **how)
    assert sorted(np.concatenate(groups.groups)) == [0, 1, 2] and groups.dt == system.recommended_dt
    assert group_members(system, fields, jnp.array([0.1]), **how).dt == groups.dt
    traced = jax.jit(lambda u: solve_batch(system, u, jnp.array([0.1]), groups=groups, **how))(fields)
    alone = jnp.stack([solve(system, u, [0.1], dt=groups.dt, **how) for u in fields])
    assert np.allclose(traced, alone, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.float64
def test_gradients_of_a_batch_in_groups_are_those_of_every_member_alone():
    amplitudes, viscosities = jnp.array([0.1, 8.0, 0.2]), jnp.array([0.1, 0.2, 0.1])
    how = {"stepsize_controller": CONTROLLER, "solver": ETDRK2(), "dt": 0.05}

    def systems(nus):
        return jax.vmap(lambda nu: Burgers(GRID, nu))(nus)

    groups = group_members(systems(viscosities), amplitudes[:, None, None] * WAVE, [0.4], **how)
    assert len(groups.groups) == 2

    def together(a, nus):
        return jnp.sum(solve_batch(systems(nus), a[:, None, None] * WAVE, [0.4], groups=groups, **how) ** 2, (1, 2, 3))

    def alone(a, nu):
        return jnp.sum(solve(Burgers(GRID, nu), a * WAVE, [0.4], **how) ** 2)

    def total(a, nus):
        return jnp.sum(together(a, nus))

    found = jax.jit(jax.grad(total, (0, 1)))(amplitudes, viscosities)
    single = jax.jit(jax.grad(alone, (0, 1)))
    for i, (a, nu) in enumerate(zip(amplitudes, viscosities)):
        np.testing.assert_allclose([g[i] for g in found], single(a, nu), rtol=1e-7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda u: solve_batch(Burgers(GRID), u, [1.0]), "give either tolerance or stepsize_controller"),
        (lambda u: solve_batch(Burgers(GRID), u, [1.0], tolerance=1e-3, spread=0.5), "spread must be 1 or more"),
        (lambda u: solve_batch(Burgers(GRID), u, [], tolerance=1e-3), "at least one time"),
        (lambda u: solve_batch(Burgers(GRID), u[0], [1.0], tolerance=1e-3), "this system's fields have shape"),
        (lambda u: jax.jit(lambda v: solve_batch(Burgers(GRID), v, [1.0], tolerance=1e-3))(u), "outside of jit"),
        (
            lambda u: solve_batch(Burgers(GRID), u, [1.0], tolerance=1e-3, groups=MemberGroups([np.array([0])], 0.1)),
            "anew",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call(jnp.stack([WAVE, WAVE]))
