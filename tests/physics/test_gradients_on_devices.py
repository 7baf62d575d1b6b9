"""Gradients of every system's solve on four devices are those on one, in the initial field and every parameter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physics
from physics import (
    Darcy,
    Grid,
    Helmholtz,
    NoisePath,
    Poisson,
    SteadySystem,
    StochasticSystem,
    System,
    advance,
    solve_steady,
)

LINE, BOX, SQUARE = Grid((16,), (6.0,)), Grid((12, 10), (6.0, 5.0)), Grid((6, 5), (1.0, 1.2), "dirichlet")
WAVE = 1.5 + 0.5 * np.cos(2 * np.pi * np.arange(16) / 16)
# One small system each; the points that test_systems_point has on four devices are left out here.
SMALL = {
    "Advection": lambda: physics.Advection(LINE, 0.7),
    "AllenCahn": lambda: physics.AllenCahn(LINE, 0.6),
    "BarotropicVorticity": lambda: physics.BarotropicVorticity(BOX, 3.0, 0.05, 0.1),
    "Burgers": lambda: physics.Burgers(LINE, 0.1),
    "Burgers2D": lambda: physics.Burgers2D(BOX, 0.1),
    "CahnHilliard": lambda: physics.CahnHilliard(LINE, 0.6),
    "CosmicWeb": lambda: physics.CosmicWeb(Grid((6, 8), (1.0, 1.3)), 0.8),
    "Darcy": lambda: Darcy(SQUARE, 1.0 + SQUARE.mesh()[0][..., None], 1.0),
    "DoubleWell": lambda: physics.DoubleWell(),
    "EnergyBalance": lambda: physics.EnergyBalance(grid=Grid((8,), (2.0,), "neumann")),
    "FisherKPP": lambda: physics.FisherKPP(LINE, 0.4, 1.2),
    "GrayScott": lambda: physics.GrayScott(LINE, 0.3, 0.2, 0.2, 0.1),
    "Heat": lambda: physics.Heat(Grid((8,), (2.0,), "dirichlet"), 0.3, ((1.0, 2.0),)),
    "Helmholtz": lambda: Helmholtz(SQUARE, 1.0, 2.0),
    "KortewegDeVries": lambda: physics.KortewegDeVries(LINE),
    "KuramotoSivashinsky": lambda: physics.KuramotoSivashinsky(LINE),
    "Landscape": lambda: physics.Landscape(Grid((4, 6), (1.0, 1.2), ("periodic", "dirichlet")), 1.0, 20.0, 0.5, 0.7),
    "Lorenz96": lambda: physics.Lorenz96(),
    "Lorenz96TwoScale": lambda: physics.Lorenz96TwoScale(),
    "NavierStokes2D": lambda: physics.NavierStokes2D(BOX, 0.05, 0.1, 0.7, 2),
    "NavierStokes3D": lambda: physics.NavierStokes3D(Grid((6, 4, 5), (6.0, 5.0, 6.0)), 0.05),
    "NonlinearSchroedinger": lambda: physics.NonlinearSchroedinger(LINE, 0.7),
    "OrnsteinUhlenbeck": lambda: physics.OrnsteinUhlenbeck(),
    "Poisson": lambda: Poisson(SQUARE, SQUARE.mesh()[0][..., None]),
    "SeismicWave": lambda: physics.SeismicWave(LINE, WAVE),
    "ShallowWater": lambda: physics.ShallowWater(BOX, 2.0, 1.5, 0.8, 0.05),
    "SmokePlume": lambda: physics.SmokePlume(BOX, 0.05, 0.04, 1.5, 0.7, 3.0, 5.0, 2.0),
    "StochasticNavierStokes2D": lambda: physics.StochasticNavierStokes2D(BOX, 0.05, 0.1, 0.7, 2, noise_mode=2),
    "SwiftHohenberg": lambda: physics.SwiftHohenberg(LINE, 0.3, 0.5),
    "Wave": lambda: physics.Wave(LINE, 1.3),
}
ELSEWHERE = {"Lorenz63", "LotkaVolterra", "Pendulum", "ReplicatorMutator", "Robertson", "SIR"}


def test_every_system_is_here_or_in_test_systems_point():
    public = (getattr(physics, name) for name in physics.__all__)
    kinds = {kind.__name__ for kind in public if isinstance(kind, type) and issubclass(kind, System | SteadySystem)}
    abstract = {"System", "SemilinearSystem", "StochasticSystem", "SteadySystem"}
    assert kinds - abstract == set(SMALL) | ELSEWHERE


@pytest.mark.slow
@pytest.mark.float64
@pytest.mark.parametrize("name", SMALL)
def test_gradients_on_four_devices_are_those_on_one(name, key):
    system = SMALL[name]()
    moves = isinstance(system, System)
    leaves, structure = jax.tree.flatten(jax.tree.map(lambda leaf: jnp.asarray(leaf, float), system))
    noise, weights = np.random.default_rng(3).normal(size=(2, *system.field_shape))
    u0 = jnp.asarray(0.5 + 0.1 * noise) if moves else jnp.zeros(())
    dt = min(system.recommended_dt, 0.02) if moves else None

    def loss(member, u, leaves):
        own = jax.tree.unflatten(structure, leaves)
        if not moves:
            return (weights * solve_steady(own) ** 2).sum()
        path = NoisePath(jax.random.fold_in(key, member)) if isinstance(own, StochasticSystem) else None
        return (weights * advance(own, u, dt, 3, noise=path) ** 2).sum()

    members = jnp.arange(4)
    every = jax.vmap(lambda member: (u0 * (1 + 0.01 * member), [leaf * (1 + 0.01 * member) for leaf in leaves]))(
        members
    )
    gradient = jax.value_and_grad(loss, (1, 2))
    alone = jax.jit(jax.vmap(gradient))(members, *every)
    apart = jax.pmap(gradient)(members, *every)
    assert len(apart[0].sharding.device_set) == 4
    slopes = [np.asarray(slope) for slope in jax.tree.leaves(alone[1])]
    assert all(np.isfinite(slope).all() for slope in slopes)
    assert all(slope.any() for slope in slopes[0 if moves else 1 :])
    for got, expected in zip(jax.tree.leaves(apart), jax.tree.leaves(alone), strict=True):
        assert np.allclose(got, expected, rtol=1e-8, atol=1e-10 * max(1.0, np.abs(expected).max()))
