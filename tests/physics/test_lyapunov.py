"""Growth rates of neighbouring trajectories where they are known."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import Grid, KuramotoSivashinsky, Lorenz63, advance
from physics.lyapunov import block_bootstrap_interval, leading_lyapunov_exponent


def test_the_rest_state_of_kuramoto_sivashinsky_grows_like_its_fastest_linear_wave(key):
    system = KuramotoSivashinsky(Grid((16,), (22.0,)))
    k = 2 * np.pi * np.arange(8) / 22
    found = leading_lyapunov_exponent(
        system, jnp.zeros((2, 16, 1)), key, dt=0.1, stretch=50, stretches=120, discard=100
    )
    assert found.exponent == pytest.approx(np.max(k**2 - k**4), rel=1e-3)


@pytest.fixture(scope="module")
def butterfly():
    system = Lorenz63()
    keys = jax.random.split(jax.random.key(3), 32)
    return system, jax.jit(jax.vmap(lambda key: advance(system, system.sample_initial(key), 0.01, 1000)))(keys)


@pytest.mark.parametrize("method", ["tangent", "two trajectories"])
def test_neighbours_on_lorenz_attractor_part_at_the_published_rate(butterfly, key, method):
    system, u0 = butterfly
    found = leading_lyapunov_exponent(
        system,
        u0,
        key,
        dt=0.01,
        stretch=20,
        stretches=500,
        discard=20,
        solver=diffrax.Tsit5(scan_kind="lax"),
        method=method,
    )
    assert found.time == pytest.approx(32 * 480 * 0.2)
    # Sprott (2003): 0.9056.
    assert found.low < 0.9056 < found.high and found.high - found.low < 0.03


def test_the_interval_of_a_correlated_record_is_wide_enough():
    random = np.random.default_rng(0)
    x, record = random.standard_normal(400), []
    for _ in range(400):
        record.append(x)
        x = 0.9 * x + np.sqrt(1 - 0.81) * random.standard_normal(400)
    pairs = np.stack(record, axis=1).reshape(100, 4, 400)
    inside = [low < 0 < high for low, high in (block_bootstrap_interval(pair, 40, draws=400) for pair in pairs)]
    naive = [low < 0 < high for low, high in (block_bootstrap_interval(pair, 1, draws=400) for pair in pairs)]
    assert np.mean(inside) > 0.85 > 0.6 > np.mean(naive)


def test_impossible_requests_are_told_in_one_sentence(key):
    system = KuramotoSivashinsky(Grid((16,), (22.0,)))
    with pytest.raises(ValueError, match="discard is 4, which leaves nothing"):
        leading_lyapunov_exponent(system, jnp.zeros((1, 16, 1)), key, dt=0.1, stretch=1, stretches=4, discard=4)
    with pytest.raises(ValueError, match="method is 'qr'"):
        leading_lyapunov_exponent(system, jnp.zeros((1, 16, 1)), key, dt=0.1, stretch=1, stretches=4, method="qr")
    with pytest.raises(ValueError, match="block is 9"):
        block_bootstrap_interval(np.zeros((2, 8)), 9)
