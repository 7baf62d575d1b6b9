"""Reacting and ordering fields against exact fronts, growth rates, amplitudes and steady states."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

from physics import AllenCahn, CahnHilliard, FisherKPP, GrayScott, Grid, SwiftHohenberg, advance, solve

pytestmark = pytest.mark.float64


def _cosine_amplitude(u, mode):
    return 2 * np.abs(np.fft.rfft(np.asarray(u)[:, 0])[mode]) / u.shape[0]


def test_allen_cahn_fronts_rest_at_their_tanh_profile_and_energy():
    # u = tanh(x / (sqrt(2) eps)) and 2 sqrt(2) eps / 3 per front (Allen and Cahn, 1979).
    eps, grid = 0.2, Grid((384,), (12.0,))
    (x,) = grid.coordinates()

    def fronts(width):
        return (np.tanh((x - 3) / width) - np.tanh((x - 9) / width) - 1)[:, None]

    system = AllenCahn(grid, eps)
    rest = fronts(np.sqrt(2) * eps)
    trajectory = solve(system, fronts(0.5), [0.0, 0.5, 1.0, 2.0, 16.0], dt=0.1)
    assert np.abs(trajectory[0] - rest).max() > 0.2 and np.abs(trajectory[-1] - rest).max() < 1e-7
    energies = [float(system.budgets(u)["energy"]["value"]) * 12.0 for u in trajectory]
    assert np.all(np.diff(energies) < 0)
    assert np.isclose(energies[-1], 2 * 2 * np.sqrt(2) / 3 * eps, rtol=1e-8)


def test_an_allen_cahn_front_into_the_unstable_state_has_its_exact_speed_and_shape():
    # u = (1 - tanh((x - c t) / (2 sqrt(2) eps))) / 2, c = 3 eps / sqrt(2) (Wazwaz, 2007, Appl. Math. Comput. 188); here
    # one front each way, too far apart to meet.
    eps, grid = 0.2, Grid((256,), (20.0,))
    (x,) = grid.coordinates()

    def exact(t):
        reach = 4 + 3 * eps / np.sqrt(2) * t
        return (0.5 * (np.tanh((x - 10 + reach) / (2**1.5 * eps)) - np.tanh((x - 10 - reach) / (2**1.5 * eps))))[
            :, None
        ]

    end = advance(AllenCahn(grid, eps), exact(0.0), 0.05, 80)
    assert np.abs(end - exact(4.0)).max() < 1e-5 and np.abs(end - exact(0.0)).max() > 0.9


@pytest.mark.slow
def test_an_allen_cahn_disc_shrinks_by_its_curvature():
    # The front moves at eps^2 / R: R^2 falls at 2 eps^2 (Allen and Cahn, 1979), up to a relative
    # eps^2 / R^2 = 2%.
    eps, grid = 0.15, Grid((96, 96), (5.0, 5.0))
    x, y = (z - 2.5 for z in grid.mesh())
    u0 = np.tanh((1.5 - np.hypot(x, y)) / (np.sqrt(2) * eps))[..., None]
    discs = solve(AllenCahn(grid, eps), u0, [2.0, 17.0], dt=0.1)
    squares = [float((0.5 * (1 + u)).mean()) * 25 / np.pi for u in discs]
    assert np.isclose((squares[0] - squares[1]) / 15.0, 2 * eps**2, rtol=0.02)


def test_spinodal_waves_grow_at_cahns_rate_and_keep_the_mean():
    # k^2 (1 - 3 c^2) - eps^2 k^4 (Cahn, 1961): growing, growing less and decaying waves in one field.
    grid, eps, mean, time = Grid((64,), (2 * np.pi,)), 0.2, 0.3, 0.5
    (x,) = grid.coordinates()
    u0 = (mean + 1e-7 * sum(np.cos(k * x) for k in (1, 3, 5)))[:, None]
    end = advance(CahnHilliard(grid, eps), u0, 0.001, 500)
    for k in (1, 3, 5):
        rate = np.log(_cosine_amplitude(end, k) / 1e-7) / time
        assert np.isclose(rate, k**2 * (1 - 3 * mean**2) - eps**2 * k**4, rtol=1e-5), k
    assert np.isclose(np.mean(end), mean, rtol=1e-14)


def test_a_quenched_mixture_separates_with_falling_energy_and_constant_mean(key):
    system = CahnHilliard(Grid((24, 24), (2 * np.pi, 2 * np.pi)), 0.3)
    u0 = system.sample_initial(key) + 0.2
    trajectory = solve(system, u0, np.array([0, 100, 200, 500, 1000]) * 5e-3, dt=5e-3)
    energies = [float(system.budgets(u)["energy"]["value"]) for u in trajectory]
    assert np.all(np.diff(energies) < 0) and np.abs(trajectory[-1]).max() > 0.8
    assert np.allclose(trajectory.mean((1, 2, 3)), np.mean(u0), atol=1e-14)


def test_the_exact_fisher_wave_keeps_its_shape_and_speed():
    # (1 + exp((x - c t) sqrt(r / (6 D))))^-2 at c = 5 sqrt(D r / 6) (Ablowitz and Zeppetella, 1979); one each way.
    diffusivity, growth, grid = 1.5, 0.8, Grid((384,), (200.0,))
    scale, speed = np.sqrt(growth / (6 * diffusivity)), 5 * np.sqrt(diffusivity * growth / 6)
    (x,) = grid.coordinates()

    def exact(t):
        ahead, behind = (scale * (side - 35 - speed * t) for side in (x - 100, 100 - x))
        return ((1 + np.exp(ahead)) ** -2 * (1 + np.exp(behind)) ** -2)[:, None]

    end = advance(FisherKPP(grid, diffusivity, growth), exact(0.0), 0.05, 120)
    assert np.abs(end - exact(6.0)).max() < 1e-7 and np.abs(end - exact(0.0)).max() > 0.8


def test_gray_scott_rests_at_its_uniform_states_and_leaves_them_at_the_linear_rate():
    # Linearised about (u, v): J = [[-v^2 - F, -2 u v], [v^2, 2 u v - F - k]], less D k^2 on the diagonal.
    grid = Grid((32,), (2.0,))
    (x,) = grid.coordinates()
    feed, kill, diffusivities = 0.04, 0.055, np.array([2e-3, 1e-3])
    system = GrayScott(grid, feed, kill, *diffusivities)
    for state in system.uniform_states():
        uniform = jnp.broadcast_to(state, system.field_shape)
        assert np.abs(system.vector_field(0.0, uniform)).max() < 1e-16
    u, v = np.asarray(system.uniform_states()[1])
    wavenumber, start = 2 * np.pi * 2 / 2.0, np.array([1.0, 0.5])
    jacobian = np.array([[-(v**2) - feed, -2 * u * v], [v**2, 2 * u * v - feed - kill]])
    jacobian -= np.diag(diffusivities) * wavenumber**2
    wave = np.cos(wavenumber * x)[:, None]
    end = advance(system, np.array([u, v]) + 1e-7 * wave * start, 0.5, 40)
    expected = expm(20.0 * jacobian) @ start
    assert np.abs(expected - start).max() > 0.3
    assert np.allclose((end - np.array([u, v])) / 1e-7, wave * expected, atol=2e-6)


@pytest.mark.slow
def test_gray_scott_without_feed_and_kill_only_turns_one_chemical_into_the_other(key):
    system = GrayScott(Grid((32,), (2.0,)), 0.0, 0.0, 2e-3, 1e-3)
    u0 = system.sample_initial(key) + 0.3
    end = advance(system, u0, 0.5, 40)
    assert np.isclose(jnp.mean(end.sum(-1)), jnp.mean(u0.sum(-1)), rtol=1e-13)
    assert np.abs(jnp.mean(end - u0, axis=0)).min() > 0.1


def test_swift_hohenberg_waves_grow_at_the_linear_rate_and_saturate_at_the_amplitude_of_rolls():
    # r - (1 - k^2)^2, and 2 sqrt(r / 3) (Cross and Hohenberg, 1993) whose relative error is of the order r / 500.
    control, grid = 0.02, Grid((64,), (8 * np.pi,))
    (x,) = grid.coordinates()
    system = SwiftHohenberg(grid, control)
    end = advance(system, 1e-6 * (np.cos(x) + np.cos(0.75 * x) + np.cos(1.25 * x))[:, None], 0.5, 40)
    for mode in (3, 4, 5):
        rate = control - (1 - (mode / 4) ** 2) ** 2
        assert np.isclose(np.log(_cosine_amplitude(end, mode) / 1e-6) / 20.0, rate, rtol=1e-6), mode
    rolls = advance(system, 0.1 * np.cos(x)[:, None], 1.0, 800)
    assert np.isclose(_cosine_amplitude(rolls, 4), 2 * np.sqrt(control / 3), rtol=1e-4)
    assert np.abs(jax.jit(lambda u: system.vector_field(0.0, u))(rolls)).max() < 1e-10


@pytest.mark.slow
def test_the_default_gray_scott_seeds_grow_into_a_pattern(key):
    system = GrayScott(Grid((64, 64), (1.25, 1.25)))
    ends = jax.vmap(lambda one: solve(system, system.sample_initial(one), [200.0, 1000.0]))(jax.random.split(key, 2))
    eater = ends[..., 1]
    assert np.all(eater[:, 1].max((1, 2)) > 0.3) and np.all(eater[:, 1].min((1, 2)) < 0.05)
    assert np.all(eater[:, 1].mean((1, 2)) > 1.5 * eater[:, 0].mean((1, 2)))
