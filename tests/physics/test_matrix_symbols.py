"""Linear parts that couple channels: phi functions of matrices, exact linear waves, orders with a nonlinear term."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

from physics import ETDRK2, ETDRK4, Grid, SemilinearSystem, SemilinearTerm, advance, to_physical, to_spectral
from physics.integrators.phi import phi_functions, phi_functions_of_matrices
from physics.spectral import apply_symbol, inverse_transform, transform


def _phi_by_expm(z, highest):
    """phi_1 ... phi_highest stand in the first row of the exponential of an augmented matrix (Sidje, 1998)."""
    n = len(z)
    top = np.hstack([z, np.eye(n), np.zeros((n, n * (highest - 1)))])
    shift = np.hstack([np.zeros((n * highest, 2 * n)), np.eye(n * highest, n * (highest - 1))])
    return [expm(np.vstack([top, shift]))[:n, n * k : n * (k + 1)] for k in range(highest + 1)]


_ROTATION, _RNG = np.array([[0.0, 1.0], [-1.0, 0.0]]), np.random.default_rng(0)
_MATRICES = {
    "zero": np.zeros((2, 2)),
    "defective": np.array([[0.0, 1.0], [0.0, 0.0]]),
    "defective and stiff": np.array([[-40.0, 1.0], [0.0, -40.0]]),
    "slow wave": np.array([[0.0, 1e-3], [-1e-5, 0.0]]),
    "fast wave": np.array([[0.0, 0.01], [-4e4, 0.0]]),
    "rotation": 30.0 * _ROTATION,
    "damped rotation": 30.0 * _ROTATION - 5.0 * np.eye(2),
    "growing": np.array([[1.0, 2.0], [0.5, 1.5]]),
    "complex": 5.0 * (_RNG.normal(size=(3, 3)) + 1j * _RNG.normal(size=(3, 3))) - 8.0 * np.eye(3),
}


@pytest.mark.parametrize("name", _MATRICES)
def test_phi_functions_of_matrices_are_those_of_the_augmented_exponential(name):
    z = _MATRICES[name]
    for k, exact in enumerate(_phi_by_expm(z, 3)):
        got = phi_functions_of_matrices(z[..., None], 3)[k]
        assert np.iscomplexobj(got) == np.iscomplexobj(z)
        # The exponential is found as 1 + (e^z - 1): where it has decayed its error is that of the 1.
        scale = np.abs(exact) + 1e-3 * np.abs(exact).max() + (k == 0)
        assert (np.abs(got[..., 0] - exact) / scale).max() < 1e-13 * max(1.0, np.abs(z).max() / 10)


@pytest.mark.parametrize("name", _MATRICES)
def test_traced_phi_functions_of_matrices_are_right_to_single_precision(name):
    z = _MATRICES[name].astype(np.complex64 if np.iscomplexobj(_MATRICES[name]) else np.float32)
    traced = jax.jit(lambda z: phi_functions_of_matrices(z, 3))(z[..., None])
    for k, exact in enumerate(_phi_by_expm(z.astype(complex), 3)):
        # A float32 angle of a is known to a units in the last place.
        allowed = 1e-6 * max(1.0, np.abs(np.linalg.eigvals(z)).max()) * (np.abs(exact).max() + (k == 0))
        assert np.abs(np.asarray(traced[k])[..., 0] - exact).max() < allowed


def test_matrices_of_different_stiffness_do_not_disturb_one_another():
    pair = [_MATRICES["slow wave"], _MATRICES["fast wave"]]
    together = phi_functions_of_matrices(np.stack(pair, -1), 3)
    for index, z in enumerate(pair):
        for both, alone in zip(together, phi_functions_of_matrices(z[..., None], 3), strict=True):
            assert np.array_equal(both[..., index], alone[..., 0])


def test_diagonal_matrices_give_the_scalar_functions():
    z = np.array([-1000.0, -3.0])
    for matrix, scalar in zip(phi_functions_of_matrices(np.diag(z)[..., None], 3), phi_functions(z, 3), strict=True):
        assert np.allclose(np.diag(matrix[..., 0]), scalar, rtol=1e-13, atol=1e-15)


@pytest.mark.float64
def test_phi_functions_of_matrices_differentiate():
    z = jnp.stack([jnp.asarray(_MATRICES[name]) for name in ("zero", "fast wave", "growing")], -1)
    direction = jnp.stack([jnp.ones((2, 2)), z[..., 1] / 100, jnp.eye(2)], -1)

    @jax.jit
    def total(e):
        return sum(p.sum() for p in phi_functions_of_matrices(z + e * direction, 3))

    slope = (total(1e-6) - total(-1e-6)) / 2e-6
    assert np.isclose(jax.jit(jax.jacfwd(total))(0.0), slope, rtol=1e-6)
    assert np.isclose(jax.jit(jax.grad(total))(0.0), slope, rtol=1e-6)


class KleinGordon(SemilinearSystem):
    """u_tt = speed^2 u_xx - cubic u^3 in first-order form, channels u and u_t: for these tests."""

    grid: Grid = eqx.field(static=True)
    speed: Any = 1.0
    cubic: Any = 0.0
    name: ClassVar[str] = "klein_gordon"
    channels: ClassVar[tuple[str, ...]] = ("u", "rate")

    def linear_symbol(self):
        (k,) = self.grid.wavenumbers
        rows = [[0 * k, 1 + 0 * k], [-(self.speed**2) * k**2, 0 * k]]
        return (jnp if isinstance(self.speed, jax.Array) else np).array(rows)

    def nonlinear(self, t, u_hat, args=None):
        u = inverse_transform(u_hat, self.grid)
        return transform(-self.cubic * jnp.stack([0 * u[0], u[0] ** 3]), self.grid)

    def sample_initial(self, key):
        return jax.random.normal(key, self.field_shape)

    @property
    def recommended_dt(self):
        return 0.1


class Schroedinger(SemilinearSystem):
    """i psi_t = -psi_xx + focusing |psi|^2 psi, channels Re psi and Im psi: for these tests."""

    grid: Grid = eqx.field(static=True)
    focusing: Any = 0.0
    name: ClassVar[str] = "schroedinger"
    channels: ClassVar[tuple[str, ...]] = ("re", "im")

    def linear_symbol(self):
        (k,) = self.grid.wavenumbers
        return np.array([[0 * k, k**2], [-(k**2), 0 * k]])

    def nonlinear(self, t, u_hat, args=None):
        u = inverse_transform(u_hat, self.grid)
        return transform(self.focusing * (u**2).sum(0) * jnp.stack([u[1], -u[0]]), self.grid)

    def sample_initial(self, key):
        return jax.random.normal(key, self.field_shape)

    @property
    def recommended_dt(self):
        return 0.1


GRID = Grid((16,), (2 * np.pi,))


@pytest.mark.float64
@pytest.mark.parametrize("solver", [ETDRK2(), ETDRK4()])
def test_linear_waves_are_exact_for_any_step_and_their_mean_moves_uniformly(solver):
    x, t, c = GRID.coordinates()[0], 3.0, 1.7
    u0 = np.stack([np.sin(3 * x) + 0.5, 0.2 + 0 * x], -1)
    exact = np.stack(
        [np.sin(3 * x) * np.cos(3 * c * t) + 0.5 + 0.2 * t, -3 * c * np.sin(3 * x) * np.sin(3 * c * t) + 0.2], -1
    )
    assert np.allclose(advance(KleinGordon(GRID, c), u0, t / 2, 2, solver=solver), exact, atol=1e-12)


@pytest.mark.float64
def test_free_wave_packets_are_exact_for_any_step():
    psi = np.random.default_rng(0).normal(size=(16, 2)) @ [1, 1j]
    n = np.fft.fftfreq(16, 1 / 16)
    exact = np.fft.ifft(np.exp(-1j * n**2 * 1.5) * np.fft.fft(psi))
    got = advance(Schroedinger(GRID), np.stack([psi.real, psi.imag], -1), 0.75, 2)
    assert np.allclose(np.asarray(got) @ [1, 1j], exact, atol=1e-12)


@pytest.mark.float64
@pytest.mark.parametrize("system", [KleinGordon(GRID, 2.0, 1.0), Schroedinger(GRID, -1.0)], ids=lambda s: s.name)
@pytest.mark.parametrize(("solver", "order", "steps"), [(ETDRK2(), 2, 160), (ETDRK4(), 4, 160)], ids=["2", "4"])
def test_coupled_systems_keep_the_nominal_order(system, solver, order, steps):
    x = GRID.coordinates()[0]
    u0 = np.stack([np.cos(x) + 0.3 * np.sin(2 * x), 0.5 * np.sin(x)], -1)
    exact = advance(system, u0, 1 / 2560, 2560)
    errors = [float(jnp.abs(advance(system, u0, 1 / n, n, solver=solver) - exact).max()) for n in (steps, 2 * steps)]
    assert errors[1] > 1e-12, "below round-off the slope says nothing"
    assert abs(np.log2(errors[0] / errors[1]) - order) < 0.2, errors


@pytest.mark.float64
def test_parameters_of_a_matrix_symbol_differentiate_and_its_vector_field_is_the_equation():
    x = GRID.coordinates()[0]
    u0 = np.stack([np.cos(x), np.sin(2 * x)], -1)
    rate = KleinGordon(GRID, 1.5, 0.3).vector_field(0.0, jnp.asarray(u0))
    assert np.allclose(rate, np.stack([np.sin(2 * x), -2.25 * np.cos(x) - 0.3 * np.cos(x) ** 3], -1), atol=1e-12)
    system = KleinGordon(GRID, 1.5, 0.3)
    spectral = SemilinearTerm(system, spectral=True).vf(0.0, to_spectral(u0, GRID), None)
    assert np.allclose(to_physical(spectral, GRID), rate, atol=1e-12)

    def end(c):
        return (advance(KleinGordon(GRID, c, 0.3), u0, 0.1, 5) ** 2).sum()

    traced = jax.jit(end)
    slope = (traced(1.5 + 1e-5) - traced(1.5 - 1e-5)) / 2e-5
    assert np.isclose(jax.jit(jax.grad(end))(1.5), slope, rtol=1e-8)
    assert np.isclose(end(1.5), traced(1.5), rtol=1e-12)


def test_a_matrix_symbol_is_told_from_a_diagonal_one_by_its_axes():
    u_hat = to_spectral(np.random.default_rng(0).normal(size=(16, 2)).astype(np.float32), GRID)
    diagonal = jnp.asarray([[2.0], [3.0]])
    matrix = jnp.asarray([[[2.0], [0.0]], [[0.0], [3.0]]])
    assert np.array_equal(apply_symbol(diagonal, u_hat), apply_symbol(matrix, u_hat))
