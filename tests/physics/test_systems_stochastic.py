"""Stochastic systems against their exact distributions and rates, each at a stated significance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg, optimize, stats
from scipy.integrate import cumulative_trapezoid

from physics import DoubleWell, EnergyBalance, Grid, NoisePath, OrnsteinUhlenbeck, solve

# Every p-value below is of an exact null hypothesis; keys are fixed, and with other keys one test in a
# thousand would fail by chance.
SIGNIFICANCE = 1e-3
MEMBERS = 20000


def _ensemble(system, keys, times, start=None):
    starts, paths = jnp.moveaxis(jax.vmap(lambda k: jax.random.split(k))(keys), 1, 0)

    def one(first, path):
        u0 = system.sample_initial(first) if start is None else jnp.asarray(start, float)
        return solve(system, u0, times, dt=system.recommended_dt, noise=NoisePath(path))

    return np.asarray(jax.jit(jax.vmap(one))(starts, paths), np.float64)


def _same_mean(sample, mean, deviation):
    return 2 * stats.norm.sf(abs(sample.mean() - mean) / deviation * np.sqrt(len(sample))) > SIGNIFICANCE


def _same_variance(sample, mean, variance):
    ratio = np.sum((sample - mean) ** 2) / variance
    return 2 * min(stats.chi2.cdf(ratio, len(sample)), stats.chi2.sf(ratio, len(sample))) > SIGNIFICANCE


def test_ornstein_uhlenbeck_has_its_exact_mean_variance_law_and_memory(key):
    system, times = OrnsteinUhlenbeck(rate=1.5, mean=0.5, noise=0.8), np.array([0.5, 1.0, 3.0])
    means, variances = (np.asarray(m, np.float64) for m in system.moments(times, np.array([2.0])))
    values = _ensemble(system, jax.random.split(key, MEMBERS), times, start=[2.0])[..., 0]
    for sample, mean, variance in zip(values.T, means, variances, strict=True):
        assert _same_mean(sample, mean, np.sqrt(variance)) and _same_variance(sample, mean, variance)
        assert stats.kstest(sample, "norm", (mean, np.sqrt(variance))).pvalue > SIGNIFICANCE
    # Given x(t), x(t + s) is normal around mean + (x(t) - mean) exp(-rate s): the autocovariance.
    memory = np.exp(-1.5 * 0.5)
    left = values[:, 1] - 0.5 - memory * (values[:, 0] - 0.5)
    assert _same_variance(left, 0.0, 0.8**2 * (1 - memory**2) / 3)
    assert stats.pearsonr(left, values[:, 0]).pvalue > SIGNIFICANCE


def _relaxation(system):
    """Points, stationary weights, rates and modes of the Fokker-Planck operator on a fine grid (symmetrised)."""
    x = np.linspace(-2.5, 2.5, 1201)
    h, strength = x[1] - x[0], float(system.noise) ** 2 / 2
    potential = float(system.barrier) * (x**2 - 1) ** 2
    # Rates up and down with detailed balance: second order in h.
    middle = np.exp(-np.diff(potential) / (2 * strength)) * strength / h**2
    up, down = np.append(middle, 0.0), np.append(0.0, 1 / middle * (strength / h**2) ** 2)
    rates, modes = linalg.eigh_tridiagonal(up + down, -np.sqrt(up[:-1] * down[1:]), select="i", select_range=(0, 60))
    return x, modes[:, 0], rates, modes


def test_the_double_well_keeps_its_stationary_density_and_forgets_at_the_exact_rates(key):
    system, times = DoubleWell(), np.array([0.0, 2.0, 10.0])
    values = _ensemble(system, jax.random.split(key, MEMBERS), times)[..., 0]
    x = np.linspace(-3, 3, 4001)
    distribution = cumulative_trapezoid(np.asarray(system.stationary_density(x), np.float64), x, initial=0)
    assert distribution[-1] == pytest.approx(1, abs=1e-5)
    for sample in values.T:
        assert stats.kstest(sample, lambda v: np.interp(v, x, distribution)).pvalue > SIGNIFICANCE
    points, ground, rates, modes = _relaxation(system)
    strength = (modes.T @ (points * ground)) ** 2
    for column, lag in ((1, 2.0), (2, 10.0)):
        product = values[:, 0] * values[:, column]
        assert _same_mean(product, np.sum(strength * np.exp(-rates * lag)), product.std())


def test_the_double_well_approaches_kramers_rate_as_noise_falls():
    # The slowest mode decays at twice the rate of leaving one well, up to a factor 1 + O(noise^2 / barrier).
    excess = []
    for noise in (0.35, 0.3, 0.25):
        system = DoubleWell(noise=noise)
        excess.append(1 - _relaxation(system)[2][1] / (2 * float(system.transition_rate())))
    assert 0.02 < excess[2] < excess[1] < excess[0] < 0.2
    slope = np.polyfit(np.log([0.35, 0.3, 0.25]), np.log(excess), 1)[0]
    assert slope == pytest.approx(2, abs=0.3)


def _legendre_climate(system, guess):
    """A steady climate by Legendre polynomials on Gauss points: the mean of every degree balances by itself."""
    points, weights = np.polynomial.legendre.leggauss(60)
    basis = np.polynomial.legendre.legvander(points, 30)
    n = np.arange(31)
    second = basis[:, 2]
    free = 0.7 - 0.078 * second

    def balance(coefficients):
        temperature = basis @ coefficients
        share = (1 + np.tanh((temperature + 10) / float(system.ice_width))) / 2
        absorbed = float(system.sunlight) * (1 - 0.48 * second) * (0.38 + (free - 0.38) * share)
        projected = (2 * n + 1) / 2 * (basis.T @ (weights * absorbed))
        return projected - 210 * (n == 0) - (2.0 + 0.55 * n * (n + 1)) * coefficients

    found = optimize.root(balance, np.r_[guess[0], 0, guess[1], np.zeros(28)])
    assert found.success
    return lambda x: np.polynomial.legendre.legval(x, found.x)


@pytest.mark.float64
def test_the_climate_has_three_equilibria_of_which_the_middle_one_is_unstable():
    temperatures, systems = [], []
    for bands in (40, 80):
        system = EnergyBalance(ice_width=5.0, grid=Grid((bands,), (2.0,), "neumann"))

        def rate(u, system=system):
            return system.vector_field(0.0, jnp.asarray(u)[:, None])[:, 0]

        systems.append((system, jax.jit(rate), jax.jit(jax.jacfwd(rate))))
    for guess, unstable in (((14.0, -30.0), 0), ((-21.4, -25.0), 1), ((-40.0, -20.0), 0)):
        errors = []
        for system, rate, jacobian in systems:
            exact = _legendre_climate(system, guess)(system.grid.coordinates()[0] - 1)
            found = optimize.root(rate, exact, jac=jacobian)
            assert found.success
            errors.append(np.abs(found.x - exact).max())
            assert np.sum(np.linalg.eigvals(jacobian(found.x)).real > 0) == unstable
        assert errors[1] < 0.05 and errors[0] / errors[1] == pytest.approx(4, abs=0.8)
        temperatures.append(found.x.mean())
    assert np.allclose(temperatures, [14.2, -21.4, -40.2], atol=0.1)


@pytest.mark.slow
def test_weather_around_the_present_climate_has_the_covariance_of_its_linear_response(key):
    system = EnergyBalance(noise=0.01, ice_width=5.0, grid=Grid((16,), (2.0,), "neumann"))

    def rate(u):
        return system.vector_field(0.0, jnp.asarray(u)[:, None])[:, 0]

    x = system.grid.coordinates()[0] - 1
    with jax.enable_x64(True):
        climate = optimize.root(rate, 14 - 15 * (3 * x**2 - 1), jac=jax.jacfwd(rate)).x
        slope = np.asarray(jax.jacfwd(rate)(jnp.asarray(climate)))
    # Linearised: A S + S A^T = -g^2 when stationary, S - exp(A t) S exp(A^T t) at time t after a sharp start.
    stationary = linalg.solve_continuous_lyapunov(slope, -(0.01**2) * 16 * np.eye(16))
    dt = system.recommended_dt
    steps = int(np.ceil(40 / dt))
    kept = linalg.expm(slope * steps * dt)
    covariance = stationary - kept @ stationary @ kept.T
    values = _ensemble(system, jax.random.split(key, 4000), [steps * dt], start=climate[:, None])[:, 0, :, 0]
    for weights in (np.full(16, 1 / 16), x / 16, np.eye(16)[3]):
        variance = weights @ covariance @ weights
        assert _same_variance(values @ weights, climate @ weights, variance)


def test_a_climate_that_does_not_span_both_poles_is_refused():
    with pytest.raises(ValueError, match="needs one axis from pole to pole"):
        EnergyBalance(grid=Grid((32,), (1.0,), "neumann"))
    with pytest.raises(ValueError, match="no form for the periodic boundary"):
        EnergyBalance(grid=Grid((32,), (2.0,)))
