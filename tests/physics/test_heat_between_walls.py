"""Heat between walls that are insulated, held at temperatures, or let heat in, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import Grid, Heat, Poisson, advance, solve, solve_steady
from physics.resolution import unresolved_share

KAPPA, LENGTH = 0.3, 2.0


@pytest.mark.float64
@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("kind", ["dirichlet", "neumann"])
def test_every_wave_between_walls_decays_at_its_rate_up_to_the_last(kind, size):
    grid = Grid((size,), (LENGTH,), kind)
    (x,) = grid.coordinates()
    waves = np.stack(
        [(np.sin if kind == "dirichlet" else np.cos)(n * np.pi * x / LENGTH) for n in grid.mode_numbers[0]]
    )
    decayed = jax.vmap(lambda u: advance(Heat(grid, KAPPA), u, 0.05, 2))(jnp.asarray(waves)[..., None])[..., 0]
    rates = KAPPA * (grid.mode_numbers[0] * np.pi / LENGTH) ** 2
    assert np.allclose(decayed, np.exp(-rates * 0.1)[:, None] * waves, atol=1e-13)


@pytest.mark.float64
def test_a_rod_heated_at_one_end_follows_its_series_to_the_linear_profile():
    # Carslaw and Jaeger (1959), chapter 3: u = x/L + sum 2/(n pi) (-1)^n exp(-kappa (n pi/L)^2 t) sin(n pi x/L).
    grid = Grid((32,), (LENGTH,), "dirichlet")
    (x,) = grid.coordinates()
    n = np.arange(1, 200)[:, None]
    system = Heat(grid, KAPPA, ((0.0, 1.0),))

    def exact(t):
        waves = (
            2
            / (n * np.pi)
            * (-1.0) ** n
            * np.exp(-KAPPA * (n * np.pi / LENGTH) ** 2 * t)
            * np.sin(n * np.pi * x / LENGTH)
        )
        return (x / LENGTH + waves.sum(0))[:, None]

    u = advance(system, exact(0.1), 0.1, 5)
    assert np.allclose(u, exact(0.6), atol=1e-9)
    late = advance(system, u, 5.0, 20)
    assert np.allclose(late[:, 0], x / LENGTH, atol=1e-12)
    assert np.allclose(system.vector_field(0.0, late), 0, atol=1e-10)


@pytest.mark.float64
@pytest.mark.parametrize("shape", [(8, 6), (9, 7)])
def test_heat_flowing_in_through_walls_raises_a_parabola(shape):
    # u = w + kappa laplacian(w) t with w = a quadratic of the given slopes, an exact solution at every time.
    grid = Grid(shape, (LENGTH, 1.0), "neumann")
    x, y = grid.mesh()
    w = (-0.5 * x + 1.2 * x**2 / (2 * LENGTH) + 0.1 * y**2 / 2)[..., None]
    system = Heat(grid, KAPPA, ((0.5, 0.7), (0.0, 0.1)))
    laplacian = 1.2 / LENGTH + 0.1
    assert np.allclose(advance(system, w, 0.25, 4), w + KAPPA * laplacian, atol=1e-12)
    assert system.invariants(w) == {}


@pytest.mark.float64
def test_a_held_wall_beside_insulated_ones_leaves_the_linear_profile():
    grid = Grid((10, 9), (LENGTH, 1.0), ("dirichlet", "neumann"))
    system = Heat(grid, KAPPA, ((2.0, -1.0), None))
    u0 = system.sample_initial(jax.random.key(0))
    late = advance(system, u0, 5.0, 20)[..., 0]
    assert np.allclose(late, 2.0 - 3.0 * grid.mesh()[0] / LENGTH, atol=1e-12)
    # Finite volumes and sine series have the linear profile in common.
    assert np.allclose(late, solve_steady(Poisson(grid, 0.0, system.boundary_values))[..., 0], atol=1e-9)
    budget = system.budgets(u0)["variance"]
    assert np.isclose(budget["dissipation"], jnp.mean(u0 * system.vector_field(0.0, u0)))


@pytest.mark.float64
def test_gradients_in_boundary_values_are_those_of_finite_differences():
    grid = Grid((6,), (LENGTH,), "dirichlet")
    u0 = jnp.linspace(0.0, 1.0, 6)[:, None]

    def loss(high):
        return jnp.sum(advance(Heat(grid, KAPPA, ((0.2, high),)), u0, 0.1, 3) ** 2)

    assert np.isclose(jax.grad(loss)(0.7), (loss(0.7 + 1e-5) - loss(0.7 - 1e-5)) / 2e-5, rtol=1e-8)


def test_a_field_between_given_walls_is_as_resolved_as_its_series_and_walls_may_be_traced():
    # Without the line between the walls the sine series of this field falls as 1 / n only.
    grid = Grid((24,), (LENGTH,), "dirichlet")
    x = grid.coordinates()[0] / LENGTH
    u = (2.0 + 3.0 * x + 0.5 * np.sin(np.pi * x))[:, None]
    assert unresolved_share(u, Heat(grid, KAPPA, ((2.0, 5.0),))) < 1e-6 < 5e-3 < unresolved_share(u, Heat(grid, KAPPA))
    assert np.isfinite(jax.grad(lambda high: solve(Heat(grid, KAPPA, ((2.0, high),)), u, [0.1], dt=0.1).sum())(5.0))


@pytest.mark.parametrize(
    ("boundary", "values", "message"),
    [
        ("dirichlet", ((0.0, 1.0), None), "a single such axis alone, not on axes"),
        (("dirichlet", "neumann"), (None, (0.0, 1.0)), r"beside the dirichlet axes \[0\] on a single such axis alone"),
        (("dirichlet", "neumann"), ((0.0, 1.0), (0.0, 1.0)), r"not on axes \[0, 1\]"),
        ("neumann", ((np.zeros(8), 1.0), None), "Heat takes numbers as boundary_values"),
        ("periodic", ((0.0, 1.0), None), "that axis is periodic"),
    ],
)
def test_walls_that_disagree_where_they_meet_are_refused_in_one_sentence(boundary, values, message):
    with pytest.raises(ValueError, match=message):
        Heat(Grid((8, 8), (1.0, 1.0), boundary), 0.1, values)
