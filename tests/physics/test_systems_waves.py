"""Waves of constant and varying speed, and of the nonlinear Schroedinger equation, against exact solutions."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import cumulative_trapezoid

from physics import Burgers2D, Grid, NonlinearSchroedinger, SeismicWave, Wave, advance, solve

pytestmark = pytest.mark.float64


def test_waves_on_a_line_follow_dalembert():
    # (f(x - c t) + f(x + c t)) / 2 + (G(x + c t) - G(x - c t)) / (2 c), G the integral of the first velocity.
    grid, c, t = Grid((32,), (2 * np.pi,)), 1.3, 1.7
    (x,) = grid.coordinates()

    def f(x):
        return np.exp(np.cos(x))

    start = np.stack([f(x), 2 * np.cos(2 * x) + 0.3], -1)
    end = advance(Wave(grid, c), start, t / 2, 2)
    ahead, behind = x - c * t, x + c * t
    exact = (f(ahead) + f(behind)) / 2 + (np.sin(2 * behind) - np.sin(2 * ahead)) / (2 * c) + 0.3 * t
    assert np.allclose(end[:, 0], exact, atol=1e-11)
    slope = (-np.sin(behind) * f(behind) + np.sin(ahead) * f(ahead)) * c / 2
    assert np.allclose(end[:, 1], slope + np.cos(2 * behind) + np.cos(2 * ahead) + 0.3, atol=1e-11)


def test_standing_waves_between_held_and_free_walls_swing_at_their_frequency():
    grid, c = Grid((8, 10), (2.0, 3.0), ("dirichlet", "neumann")), 0.8
    x, y = grid.mesh()
    shape = np.sin(2 * np.pi * x / 2) * np.cos(np.pi * y / 3)
    frequency = c * np.hypot(2 * np.pi / 2, np.pi / 3)
    end = advance(Wave(grid, c), np.stack([shape, 0 * shape], -1), 0.35, 4)
    assert np.allclose(end[..., 0], np.cos(1.4 * frequency) * shape, atol=1e-12)
    assert np.allclose(end[..., 1], -frequency * np.sin(1.4 * frequency) * shape, atol=1e-12)


def test_a_seismic_pulse_arrives_after_the_integral_of_slowness():
    # u ~ c^(-1/2) f(tau(x) - t), tau' = 1 / c, to leading order in pulse width over length of change (Aki and Richards,
    # 2002, chapter 4); here that is 1 / 16, and the record's sampling alone lowers its peak by up to 0.14%.
    grid = Grid((512,), (20.0,))
    (x,) = grid.coordinates()
    c = 1.5 + 0.6 * np.sin(2 * np.pi * x / 20)
    tau = cumulative_trapezoid(1 / c, x, initial=0)
    tau -= np.interp(5.0, x, tau)
    pulse = np.exp(-0.5 * (tau / 0.12) ** 2) / np.sqrt(c)
    start = np.stack([pulse, tau / 0.12**2 * pulse], -1)
    receiver = 384
    times = np.arange(0, 641) * 0.0125
    record = np.asarray(solve(SeismicWave(grid, c), start, times, dt=0.0125)[:, receiver, 0])
    peak = record.argmax()
    before, top, after = record[peak - 1 : peak + 2]
    arrival = times[peak] + 0.5 * (before - after) / (before - 2 * top + after) * 0.0125
    assert np.isclose(arrival, tau[receiver], atol=1e-3) and tau[receiver] > 5
    # Neither the mean speed nor its inverse would do.
    assert abs(arrival - (x[receiver] - 5.0) / c.mean()) > 0.1
    assert np.isclose(record.max(), 1 / np.sqrt(c[receiver]), rtol=5e-3)


@pytest.mark.slow
def test_a_diving_wave_in_a_linear_gradient_takes_its_least_time():
    # c = c_0 + b z: T = arccosh(1 + b^2 d^2 / (2 c_1 c_2)) / b, along a circle that dives to the fast (Slotnick, 1959,
    # Lessons in Seismic Computing). Where the peak lies in the pulse is taken from a run at the source's speed.
    grid = Grid((96, 64), (6.0, 4.0))
    x, depth = grid.mesh()[0] - 1.5, grid.mesh()[1] - 1.4
    speed = np.interp(depth, [-1.4, 0.0, 2.2, 2.6], [1.0, 1.0, 3.2, 1.0])
    pulse = np.exp(-0.5 * (x**2 + (depth - 0.4) ** 2) / 0.15**2)
    receiver = (int(np.argmin(np.abs(x[:, 0] - 2.75))), int(np.argmin(np.abs(depth[0] - 0.4))))
    distance, height = x[receiver], depth[receiver]
    times = np.arange(0, 641) * 0.0035

    @jax.jit
    def arrival(c):
        trajectory = solve(SeismicWave(grid, c), np.stack([pulse, 0 * pulse], -1), times, dt=0.0035)
        return trajectory[:, *receiver, 0]

    peaks = [float(times[np.argmax(arrival(jnp.asarray(c)))]) for c in (speed, np.full(grid.shape, 1.4))]
    offset = peaks[1] - np.hypot(distance, height - 0.4) / 1.4
    source, here = 1.4, 1.0 + height
    expected = np.arccosh(1 + (distance**2 + (height - 0.4) ** 2) / (2 * source * here))
    assert np.isclose(peaks[0] - offset, expected, rtol=0.01)
    assert distance / 1.4 > 1.1 * expected, "the straight way must take longer"


@pytest.mark.slow
def test_schroedinger_solitons_travel_with_their_norm_and_energy():
    # Norm 2 a / sqrt(g), energy v^2 a / sqrt(g) - sqrt(g) a^3 / 3.
    length, g, a = 32.0, 1.5, 0.9
    system = NonlinearSchroedinger(Grid((256,), (length,)), g)
    velocity = 2 * np.pi * 4 / length
    start = system.soliton(a, velocity, 5.0)
    end = advance(system, start, 0.005, 1000)
    assert np.abs(end - system.soliton(a, velocity, 5.0, 5.0)).max() < 1e-6
    assert np.abs(end - start).max() > 0.8
    for field in (start, end):
        conserved = system.invariants(field)
        assert np.isclose(conserved["norm"] * length, 2 * a / np.sqrt(g), rtol=1e-8)
        assert np.isclose(conserved["momentum_x"], velocity * conserved["norm"], rtol=1e-8)
        energy = velocity**2 * a / np.sqrt(g) - np.sqrt(g) * a**3 / 3
        assert np.isclose(conserved["energy"] * length, energy, rtol=1e-7)


def test_a_focused_plane_wave_breaks_up_at_the_benjamin_feir_rate():
    # Small waves on |psi| = A: real part cosh(s t), s^2 = k^2 / 2 (2 g A^2 - k^2 / 2) (Zakharov and Ostrovsky, 2009,
    # Physica D 238); stable beyond k = 2 sqrt(g) A. Here in the plane.
    grid, g, amplitude, t = Grid((16, 12), (8.0, 6.0)), 0.8, 1.1, 1.5
    x, y = grid.mesh()
    k1, k2 = 2 * np.pi / 8.0, 2 * np.pi / 6.0 * 2
    small = np.cos(k1 * x) + np.cos(k2 * y)
    start = np.stack([amplitude + 1e-7 * small, 0 * small], -1)
    end = advance(NonlinearSchroedinger(grid, g), start, 0.01, 150)
    psi = (end[..., 0] + 1j * end[..., 1]) * np.exp(-1j * g * amplitude**2 * t)
    squares = [k**2 / 2 * (2 * g * amplitude**2 - k**2 / 2) for k in (k1, k2)]
    assert squares[0] > 0 > squares[1]
    expected = np.cosh(np.sqrt(squares[0]) * t) * np.cos(k1 * x) + np.cos(np.sqrt(-squares[1]) * t) * np.cos(k2 * y)
    assert np.allclose((psi.real - amplitude) / 1e-7, expected, atol=1e-5)


def test_plane_burgers_flow_follows_the_cole_hopf_solution():
    # u = -2 nu grad(log theta), theta a solution of the heat equation (Cole, 1951).
    grid, nu, t = Grid((32, 36), (2 * np.pi, 2 * np.pi)), 0.3, 1.0
    x, y = grid.mesh()

    def exact(t):
        modes = [(1.0, 1, 0), (0.5, 0, 2), (0.4, 1, 1)]
        theta, slope_x, slope_y = 3.0 + 0 * x, 0 * x, 0 * y
        for size, kx, ky in modes:
            decayed = size * np.exp(-nu * (kx**2 + ky**2) * t)
            theta = theta + decayed * np.cos(kx * x + ky * y)
            slope_x = slope_x - decayed * kx * np.sin(kx * x + ky * y)
            slope_y = slope_y - decayed * ky * np.sin(kx * x + ky * y)
        return -2 * nu * np.stack([slope_x, slope_y], -1) / theta[..., None]

    system = Burgers2D(grid, nu)
    u = jnp.asarray(exact(0.0))
    carried = jax.jit(lambda u: Burgers2D(grid, 0.0).vector_field(0.0, u))
    assert np.abs(carried(u)).max() > 0.1, "the nonlinear term must not vanish"
    end = advance(system, u, 0.02, 50)
    assert np.abs(end - exact(t)).max() < 1e-6 and np.abs(end - u).max() > 0.1
    # With vorticity, too: u = sin y, v = cos(x + y).
    direct = [-np.cos(x + y) * np.cos(y), np.sin(x + y) * (np.sin(y) + np.cos(x + y))]
    assert np.allclose(carried(jnp.asarray(np.stack([np.sin(y), np.cos(x + y)], -1))), np.stack(direct, -1), atol=1e-12)


@pytest.mark.slow
def test_a_stiff_ordinary_solver_agrees_with_exact_waves():
    grid = Grid((16,), (2 * np.pi,))
    start = np.stack([np.cos(grid.coordinates()[0]), np.sin(2 * grid.coordinates()[0])], -1)
    system = Wave(grid, 1.1)
    assert np.allclose(advance(system, start, 0.02, 50, solver=diffrax.Dopri8()), advance(system, start, 1.0, 1))
    seismic = SeismicWave(grid, np.full(16, 1.1))
    assert np.allclose(advance(seismic, start, 0.02, 50), advance(system, start, 1.0, 1), atol=1e-8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SeismicWave(Grid((8,), (1.0,)), np.ones(9)), "one value per point"),
        (lambda: SeismicWave(Grid((8,), (1.0,)), np.zeros(8)), "finite and positive at every point"),
        (lambda: Burgers2D(Grid((8,), (1.0,))), "needs 2 axes"),
        (lambda: NonlinearSchroedinger(Grid((8,), (1.0,)), -1.0).soliton(1.0, 0.0, 0.0), "nonlinearity above 0"),
        (lambda: Wave(Grid((8,), (1.0,)), float("nan")), "speed must be finite"),
    ],
)
def test_impossible_systems_are_refused_in_one_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()
