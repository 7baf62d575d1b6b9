"""Field statistics against processes whose statistics are known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import Burgers, Grid, KuramotoSivashinsky, solve
from physics.statistics import (
    amplitude_change,
    autocorrelation,
    budget_closure,
    decorrelation_time,
    effective_sample_size,
    energy_spectrum,
    integrated_time,
    settling_time,
    space_time_average,
    steady_share,
)


def _autoregressive(memory: float, trajectories: int, steps: int, seed: int = 0) -> np.ndarray:
    """x_{t+1} = memory x_t + noise, stationary, unit variance: rho(s) = memory^s."""
    random = np.random.default_rng(seed)
    x = random.standard_normal(trajectories)
    record = []
    for _ in range(steps):
        record.append(x)
        x = memory * x + np.sqrt(1 - memory**2) * random.standard_normal(trajectories)
    return np.stack(record, axis=1)


@pytest.mark.parametrize("shape", [(16,), (15,), (8, 12)])
def test_the_spectrum_sums_to_half_the_mean_square(shape):
    fields = np.random.default_rng(0).standard_normal((3, *shape, 2)) + 0.3
    _, energy = energy_spectrum(fields, Grid(shape, (2.0,) * len(shape)))
    expected = 0.5 * np.mean(fields**2, axis=tuple(range(1, fields.ndim - 1)))
    np.testing.assert_allclose(energy.sum(axis=1), expected, rtol=1e-12)


def test_a_single_wave_fills_the_shell_of_its_wavenumber():
    grid = Grid((16, 16), (4.0, 4.0))
    x, y = grid.mesh()
    field = np.cos(2 * np.pi * (3 * x + 4 * y) / 4.0)[..., None]
    wavenumber, energy = energy_spectrum(field, grid)
    assert wavenumber[5] == pytest.approx(5 * 2 * np.pi / 4.0)
    assert energy[5, 0] == pytest.approx(0.25) and energy.sum() == pytest.approx(0.25)


def test_fields_of_another_grid_have_no_spectrum():
    with pytest.raises(ValueError, match=r"does not end in the grid"):
        energy_spectrum(np.zeros((2, 8, 1)), Grid((16,), (1.0,)))


def test_an_autoregressive_process_forgets_at_its_own_rate():
    record = _autoregressive(0.9, 800, 400)
    np.testing.assert_allclose(autocorrelation(record)[:10], 0.9 ** np.arange(10), atol=0.02)
    # 2 tau_int = (1 + a) / (1 - a) steps of 0.5 time units.
    found = decorrelation_time([record], 0.5)
    assert found.resolved and found.time == pytest.approx(0.5 * 1.9 / 0.1, rel=0.05)


def test_a_mean_flow_is_no_correlation_in_time():
    flow = 10 * np.sin(np.arange(6))
    noise = np.random.default_rng(1).standard_normal((50, 100, 6))
    assert np.abs(autocorrelation(noise + flow)[1:20]).max() < 0.05


def test_a_record_shorter_than_its_memory_is_not_resolved():
    assert not integrated_time(autocorrelation(_autoregressive(0.99, 5, 50)), 1.0).resolved


def test_the_slowest_observable_decides():
    fast, slow = _autoregressive(0.1, 200, 400), _autoregressive(0.9, 200, 400)
    assert decorrelation_time([fast, slow], 1.0).time == decorrelation_time([slow], 1.0).time


def test_white_noise_counts_every_sample_and_a_memory_fewer():
    assert effective_sample_size(_autoregressive(0.0, 20, 200)) == pytest.approx(4000, rel=0.05)
    assert effective_sample_size(_autoregressive(0.9, 20, 200)) == pytest.approx(4000 / 19, rel=0.2)
    assert effective_sample_size(np.zeros((7, 1))) == 7


@pytest.mark.parametrize("trajectories", [1, 40])
def test_the_error_of_an_average_is_the_spread_of_repeated_ones(trajectories):
    estimates = [space_time_average(_autoregressive(0.8, trajectories, 500, seed)) for seed in range(60)]
    spread = np.std([estimate.value for estimate in estimates])
    assert np.median([estimate.standard_error for estimate in estimates]) == pytest.approx(spread, rel=0.25)


def test_an_ensemble_settles_when_its_transient_sinks_into_the_noise():
    record = _autoregressive(0.5, 400, 300)[..., None]
    decaying = record + 2 * np.exp(-np.arange(300) / 10.0)[:, None]
    settled = settling_time(decaying, 0.5)
    # 2 exp(-t / 10) meets five standard errors, 5 / 20, at t = 21 steps.
    assert settled.resolved and settled.time == pytest.approx(0.5 * 21, abs=2.5)
    assert settling_time(record, 0.5).time == 0
    assert not settling_time(record + np.arange(300)[:, None] / 100, 0.5).resolved


def test_a_travelling_wave_counts_as_steady_and_a_growing_one_does_not():
    x = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    wave = np.stack([np.sin(x) + 0.5 * np.sin(2 * x)] * 2)[..., None]
    moved = np.stack([np.sin(x - 0.4) + 0.5 * np.sin(2 * x - 0.8), 1.1 * wave[1, :, 0]])[..., None]
    change = np.asarray(amplitude_change(wave, moved, 1))
    assert change[0] < 1e-6 and change[1] == pytest.approx(0.1, rel=1e-4)
    assert steady_share(change) == 0.5


@pytest.mark.float64
@pytest.mark.parametrize("system", [Burgers(Grid((64,), (2 * np.pi,)), 0.1), KuramotoSivashinsky(Grid((32,), (22.0,)))])
def test_the_energy_budget_of_solver_data_closes(system):
    u0 = system.sample_initial(jax.random.key(0))
    trajectory = np.asarray(solve(system, u0, 0.5 + 0.01 * np.arange(9), dt=0.01))
    assert budget_closure(system, trajectory, 0.01)["energy"] < 1e-5
    assert budget_closure(system, 1.1 * trajectory[::-1], 0.01)["energy"] > 0.5


def test_a_budget_needs_five_snapshots():
    system = KuramotoSivashinsky(Grid((16,), (22.0,)))
    with pytest.raises(ValueError, match="at least 5 snapshots"):
        budget_closure(system, jnp.zeros((4, 16, 1)), 0.1)
