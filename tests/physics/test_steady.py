"""Steady systems: their order, a sparse direct solver as a peer, gradients, batches, devices and refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

from physics import (
    Darcy,
    Grid,
    Helmholtz,
    Poisson,
    SteadySystem,
    corner_wells,
    count_iterations,
    resolve_error,
    solve_steady,
    steady_residual,
)
from physics.finite_volumes import laplacian_symbol, minus_divergence
from physics.spectral import transform

BOUNDARIES = ["dirichlet", "neumann", "periodic", ("dirichlet", "neumann"), ("neumann", "periodic")]


def _matrix(grid, a, k2):
    """-div(a grad) - k^2 assembled cell by cell, boundaries homogeneous: an independent statement of the scheme."""
    index = np.arange(grid.size).reshape(grid.shape)
    matrix = scipy.sparse.lil_matrix((grid.size, grid.size))
    for cell in np.ndindex(grid.shape):
        row = index[cell]
        matrix[row, row] += -np.broadcast_to(k2, grid.shape)[cell]
        for axis, (size, h) in enumerate(zip(grid.shape, grid.spacing)):
            for side in (-1, 1):
                place = cell[axis] + side
                if grid.boundary[axis] == "periodic" or 0 <= place < size:
                    other = cell[:axis] + (place % size,) + cell[axis + 1 :]
                    conductance = 2 / (1 / a[cell] + 1 / a[other]) / h**2
                    matrix[row, row] += conductance
                    matrix[row, index[other]] -= conductance
                elif grid.boundary[axis] == "dirichlet":
                    matrix[row, row] += 2 * a[cell] / h**2
    return matrix.tocsc()


def _direct(grid, a, k2, f):
    """The sparse direct solution; of zero mean where constants are free."""
    matrix, f = _matrix(grid, a, k2), np.asarray(f).ravel()
    if "dirichlet" in grid.boundary:
        return scipy.sparse.linalg.spsolve(matrix, f).reshape(grid.shape)
    u = np.concatenate([[0.0], scipy.sparse.linalg.spsolve(matrix[1:, 1:], f[1:])])
    return (u - u.mean()).reshape(grid.shape)


def _smooth(grid, seed, least=None):
    """A random combination of the longest waves; positive and at least ``least`` where that is given."""
    rng = np.random.default_rng(seed)
    places = [x / length for x, length in zip(grid.mesh(), grid.extent)]
    g = sum(
        rng.normal() * np.prod([np.cos(np.pi * rng.integers(0, 4) * x + rng.uniform(0, 6)) for x in places], axis=0)
        for _ in range(6)
    )
    return (g if least is None else least * np.exp(g - g.min()))[..., None]


def _system(kind, grid, seed=0):
    f = _smooth(grid, seed)
    f = f if "dirichlet" in grid.boundary else f - f.mean()
    if kind == "poisson":
        return Poisson(grid, f), np.ones(grid.shape), 0.0
    if kind == "helmholtz":
        k = 0.9 * np.sqrt(laplacian_symbol(grid).min()) * np.tanh(_smooth(grid, seed + 1))
        return Helmholtz(grid, f, k), np.ones(grid.shape), k[..., 0] ** 2
    a = _smooth(grid, seed + 2, least=0.1)
    return Darcy(grid, a, f), a[..., 0], 0.0


CASES = [(kind, boundary) for kind in ("poisson", "darcy") for boundary in BOUNDARIES]
CASES += [("helmholtz", "dirichlet"), ("helmholtz", ("dirichlet", "neumann"))]


@pytest.mark.float64
@pytest.mark.parametrize(("kind", "boundary"), CASES)
def test_solutions_are_those_of_a_sparse_direct_solver_for_the_same_operator(kind, boundary):
    grid = Grid((10, 9), (1.0, 1.3), boundary)
    system, a, k2 = _system(kind, grid)
    expected = _direct(grid, a, k2, system.source)
    u = solve_steady(system, tolerance=1e-12)
    assert np.abs(u[..., 0] - expected).max() <= 1e-10 * np.abs(expected).max()
    residual = steady_residual(system, u)
    assert np.abs(residual).max() <= 1e-10 * np.abs(system.source).max()
    assert np.allclose(residual[..., 0].ravel(), _matrix(grid, a, k2) @ u[..., 0].ravel() - system.source.ravel())


@pytest.mark.float64
@pytest.mark.parametrize("shape", [(9,), (6, 5, 4)])
def test_one_and_three_dimensional_flows_are_those_of_the_direct_solver(shape):
    for boundary in ("dirichlet", "neumann"):
        grid = Grid(shape, (1.0, 1.2, 0.7)[: len(shape)], boundary)
        system, a, k2 = _system("darcy", grid)
        assert np.allclose(solve_steady(system)[..., 0], _direct(grid, a, k2, system.source), rtol=1e-9, atol=1e-10)


@pytest.mark.float64
@pytest.mark.parametrize("shape", [(8, 6), (9, 7)])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_finite_volume_laplacian_is_diagonal_in_the_series_of_its_boundaries(shape, boundary, key):
    grid = Grid(shape, (1.0, 2.0), boundary)
    u = jax.random.normal(key, shape)
    image = transform(minus_divergence(u, (1.0, 1.0), grid)[None], grid)[0]
    assert np.allclose(image, laplacian_symbol(grid) * transform(u[None], grid)[0], atol=1e-9)


def _manufactured(kind, boundary, size):
    """A system with the solution u = cos(x) exp(y/2) + x y on a box that ends at no symmetry of it; a, k vary."""
    grid = Grid((size, size + 1), (1.0, 1.5), boundary)

    def u(x, y):
        return jnp.cos(x) * jnp.exp(y / 2) + x * y

    def a(x, y):
        return jnp.exp(jnp.sin(2 * x) * jnp.cos(y)) if kind == "darcy" else 1.0 + 0 * x

    def k2(x, y):
        return (1 + x * y) ** 2 if kind == "helmholtz" else 0 * x

    def derivative(function, axis):
        return jax.grad(function, axis)

    def flux(axis):
        return lambda x, y: a(x, y) * derivative(u, axis)(x, y)

    def source(x, y):
        return -derivative(flux(0), 0)(x, y) - derivative(flux(1), 1)(x, y) - k2(x, y) * u(x, y)

    def on(function, *places):
        flat = [jnp.asarray(place).ravel() for place in places]
        return np.asarray(jax.jit(jax.vmap(function))(*flat)).reshape(places[0].shape)

    x, y = grid.mesh()
    (xs, ys), pairs = grid.coordinates(), []
    for axis, (along, length) in enumerate(zip((ys, xs), grid.extent)):
        ends = []
        for end, sign in ((0.0, -1.0), (length, 1.0)):
            places = (np.full(along.shape, end), along) if axis == 0 else (along, np.full(along.shape, end))
            outward = on(lambda *p: sign * flux(axis)(*p), *places)  # noqa: B023
            ends.append(on(u, *places) if grid.boundary[axis] == "dirichlet" else outward)
        pairs.append(tuple(ends))
    source_values = on(source, x, y)[..., None]
    exact = on(u, x, y)[..., None]
    if kind == "darcy":
        return Darcy(grid, on(a, x, y)[..., None], source_values, pairs), exact
    if kind == "helmholtz":
        return Helmholtz(grid, source_values, np.sqrt(on(k2, x, y))[..., None], pairs), exact
    return Poisson(grid, source_values, pairs), exact


@pytest.mark.float64
@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        pytest.param("poisson", "dirichlet", marks=pytest.mark.slow),
        pytest.param("poisson", ("neumann", "dirichlet"), marks=pytest.mark.slow),
        pytest.param("helmholtz", "dirichlet", marks=pytest.mark.slow),
        pytest.param("darcy", "dirichlet", marks=pytest.mark.slow),
        ("darcy", ("dirichlet", "neumann")),
    ],
)
def test_manufactured_solutions_with_values_and_fluxes_given_at_walls_converge_at_order_two(kind, boundary):
    errors = []
    for size in (12, 24):
        system, exact = _manufactured(kind, boundary, size)
        errors.append(np.sqrt(np.mean((solve_steady(system) - exact) ** 2)))
    assert abs(np.log2(errors[0] / errors[1]) - 2) < 0.2, errors


@pytest.mark.float64
def test_a_no_flux_box_with_zero_mean_converges_at_order_two():
    errors = []
    for size in (12, 24):
        grid = Grid((size, size), (1.0, 1.0), "neumann")
        x, y = grid.mesh()
        p, a = np.cos(np.pi * x) * np.cos(2 * np.pi * y), 2 + np.cos(np.pi * x)
        f = 5 * np.pi**2 * a * p - np.pi**2 * np.sin(np.pi * x) ** 2 * np.cos(2 * np.pi * y)
        u = solve_steady(Darcy(grid, a[..., None], f[..., None] - f.mean()))[..., 0]
        errors.append(np.sqrt(np.mean((u - p) ** 2)))
        assert abs(np.mean(u)) < 1e-12
    assert abs(np.log2(errors[0] / errors[1]) - 2) < 0.2, errors


WALLS = [pytest.param("dirichlet", marks=pytest.mark.slow), "neumann"]


@pytest.mark.float64
@pytest.mark.parametrize("boundary", WALLS)
def test_gradients_in_permeability_and_source_are_those_of_finite_differences(boundary, key):
    grid = Grid((6, 5), (1.0, 1.0), boundary)
    system, _, _ = _system("darcy", grid)
    a, f = jnp.asarray(system.permeability), jnp.asarray(system.source)
    weights = jax.random.normal(key, a.shape)
    towards_a, towards_f = (w - w.mean() for w in jax.random.normal(key, (2, *a.shape)))

    @jax.jit
    def loss(a, f):
        # Small on purpose: the adjoint must be solved to relative, not absolute accuracy.
        return 1e-9 * jnp.sum(weights * solve_steady(Darcy(grid, a, f), tolerance=1e-12) ** 2)

    by_a, by_f = jax.grad(loss, (0, 1))(a, f)
    for gradient, difference in (
        (jnp.sum(by_a * towards_a), lambda h: loss(a + h * towards_a, f)),
        (jnp.sum(by_f * towards_f), lambda h: loss(a, f + h * towards_f)),
    ):
        step = 1e-5
        assert np.isclose(gradient, (difference(step) - difference(-step)) / (2 * step), rtol=1e-6)
    forward = jax.jvp(lambda a: loss(a, f), (a,), (towards_a,))[1]
    assert np.isclose(forward, jnp.sum(by_a * towards_a), rtol=1e-9)


@pytest.mark.float64
@pytest.mark.parametrize("kind", [Poisson, Helmholtz], ids=lambda kind: kind.name)
def test_gradients_in_wavenumber_source_and_boundary_values_are_those_of_finite_differences(kind):
    grid = Grid((6, 5), (1.0, 1.0), ("dirichlet", "neumann"))

    @jax.jit
    def loss(source, low, inflow, *wavenumber):
        system = kind(grid, source, *wavenumber, boundary_values=((low, 0.5), (inflow, 0.0)))
        return jnp.sum(solve_steady(system, tolerance=1e-12) ** 3)

    place = [1.0 + jnp.arange(30.0).reshape(6, 5, 1) / 30, jnp.asarray(0.3), jnp.linspace(0.0, 1.0, 6)]
    place += [jnp.asarray(2.0)] * (kind is Helmholtz)
    gradients = jax.grad(loss, range(len(place)))(*place)
    for number, gradient in enumerate(gradients):
        moved = [[v + s * 1e-5 if i == number else v for i, v in enumerate(place)] for s in (1, -1)]
        assert np.isclose(jnp.sum(gradient), (loss(*moved[0]) - loss(*moved[1])) / 2e-5, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.float64
def test_a_batch_and_a_pmap_give_what_each_system_gives_alone():
    grid = Grid((8, 8), (1.0, 1.0), "neumann")
    a = jnp.stack([_smooth(grid, seed, least=0.1) for seed in range(4)])
    f = corner_wells(grid, width=0.25)

    def loss(a):
        return jnp.sum(solve_steady(Darcy(grid, a, f)) ** 2)

    alone = [(solve_steady(Darcy(grid, one, f)), jax.grad(loss)(one)) for one in a]
    fields = jax.vmap(lambda a: solve_steady(Darcy(grid, a, f)))(a)
    gradients = jax.vmap(jax.grad(loss))(a)
    for number, (field, gradient) in enumerate(alone):
        assert np.allclose(fields[number], field, atol=1e-9 * np.abs(field).max())
        assert np.allclose(gradients[number], gradient, atol=1e-8 * np.abs(gradient).max())
    counts = jax.vmap(lambda a: count_iterations(Darcy(grid, a, f)))(a)
    assert counts.tolist() == [int(count_iterations(Darcy(grid, one, f))) for one in a]

    def everything(a):
        u = 0.9 * solve_steady(Darcy(grid, a, f))
        level = jnp.abs(steady_residual(Darcy(grid, a, f), u)).mean()
        return u, level, jax.grad(lambda v: resolve_error(Darcy(grid, a, f), v))(u), jax.grad(loss)(a)

    split = jax.pmap(everything)(a[:2])
    for device in range(2):
        for one, other in zip(everything(a[device]), split):
            assert np.allclose(one, other[device], rtol=1e-8, atol=1e-10)


@pytest.mark.float64
@pytest.mark.parametrize("boundary", WALLS)
def test_iterations_do_not_grow_with_the_number_of_cells(boundary):
    scaled, plain = [], []
    for size in (32, 64):
        grid = Grid((size, size), (1.0, 1.0), boundary)
        x, y = grid.mesh()
        f = corner_wells(grid)
        smooth = np.exp(2 * np.sin(7 * x) * np.cos(5 * y))[..., None]
        jumps = np.where(np.sin(9 * x) * np.sin(7 * y) > 0, 12.0, 3.0)[..., None]
        scaled.append(int(count_iterations(Darcy(grid, smooth, f))))
        plain.append(int(count_iterations(Darcy(grid, jumps, f, preconditioner="plain"))))
    assert scaled[1] <= scaled[0] + 2 and max(scaled) < 40, scaled
    # At contrast 4 conjugate gradients contract by (2 - 1) / (2 + 1) in every iteration: 21 of them make 1e-10.
    assert max(plain) <= 26, plain


def test_the_preconditioner_of_poisson_is_its_inverse(key):
    grid = Grid((12, 9), (1.0, 1.0), ("dirichlet", "neumann"))
    assert int(count_iterations(Poisson(grid, jax.random.normal(key, (12, 9, 1))), tolerance=1e-4)) == 1
    centre = solve_steady(Poisson(Grid((63, 63), (1.0, 1.0), "dirichlet"), 1.0))[31, 31, 0]
    # Four times the sum over odd m, n of 16 sin sin / (pi^4 m n (m^2 + n^2)) at the centre.
    assert np.isclose(centre, 0.0736713, rtol=1e-3)


def test_a_source_of_zero_has_the_solution_zero():
    grid = Grid((8, 8), (1.0, 1.0), "neumann")
    assert np.array_equal(solve_steady(Poisson(grid, 0.0)), np.zeros((8, 8, 1)))


class _Advected(SteadySystem):
    """u_x - u_xx = f with the upwind difference: not symmetric."""

    grid: Grid = eqx.field(static=True)
    source: jax.Array = None
    name = "advected"
    channels = ("u",)
    definite = False

    def operator(self):
        h = self.grid.spacing[0]
        return lambda u: minus_divergence(u[:, 0], (1.0,), self.grid)[:, None] + jnp.diff(u, axis=0, prepend=0) / h * 5

    def right_hand_side(self):
        return self.source


@pytest.mark.float64
def test_operators_that_are_not_symmetric_are_solved_by_gmres_with_the_right_transpose(key):
    grid = Grid((12,), (1.0,), "dirichlet")
    f, weights = jax.random.normal(key, (2, 12, 1))
    matrix = jax.vmap(_Advected(grid, f).operator())(jnp.eye(12)[..., None])[..., 0].T
    assert not np.allclose(matrix, matrix.T)
    u = solve_steady(_Advected(grid, f))
    assert np.allclose(u[:, 0], np.linalg.solve(matrix, f[:, 0]), rtol=1e-7)
    gradient = jax.grad(lambda f: jnp.sum(weights * solve_steady(_Advected(grid, f))))(f)
    assert np.allclose(gradient[:, 0], np.linalg.solve(matrix.T, weights[:, 0]), rtol=1e-7)


@pytest.mark.parametrize("mode", ["reverse", pytest.param("forward", marks=pytest.mark.slow)])
def test_gradients_of_a_solve_that_did_not_converge_are_nan_in_that_member_of_a_batch_alone(mode):
    grid = Grid((16, 16), (1.0, 1.0), "neumann")
    f = jnp.asarray(corner_wells(grid), jnp.float32)
    # One iteration solves the constant permeability, six do not solve the rough one.
    a = jnp.stack([jnp.ones((16, 16, 1)), jnp.asarray(_smooth(grid, 2, least=0.1), jnp.float32)])
    differentiate = jax.grad if mode == "reverse" else jax.jacfwd

    def gradient(a, iterations):
        def loss(scale):
            return jnp.sum(solve_steady(Darcy(grid, a * (1 + scale), f), max_iterations=iterations) ** 2)

        return differentiate(loss)(0.0)

    few = jax.vmap(lambda a: gradient(a, 6))(a)
    assert np.isfinite(few[0]) and np.isnan(few[1])
    assert np.isfinite(jax.vmap(lambda a: gradient(a, 100))(a)).all()
    with pytest.raises(ValueError, match="max_iterations = 6: allow more"):
        solve_steady(Darcy(grid, a[1], f), max_iterations=6)


@pytest.mark.float64
def test_a_cotangent_solve_that_did_not_converge_is_nan_even_where_the_solution_is_exact():
    # The source is a wave that one iteration solves; the loss looks at a single cell, which takes many.
    grid = Grid((16,), (1.0,), "dirichlet")
    (x,) = grid.mesh()
    system = _Plain(grid, jnp.sin(np.pi * x)[:, None])
    assert np.isfinite(solve_steady(system, max_iterations=3)).all()
    weights = jnp.zeros((16, 1)).at[3].set(1.0)
    for iterations, known in ((3, False), (100, True)):

        def loss(f, iterations=iterations):
            return jnp.sum(weights * solve_steady(_Plain(grid, f), max_iterations=iterations))

        assert np.isfinite(jax.grad(loss)(system.source)).all() == known


class _Plain(SteadySystem):
    """-u_xx = f, not preconditioned."""

    grid: Grid = eqx.field(static=True)
    source: jax.Array = None
    name = "plain"
    channels = ("u",)

    def operator(self):
        return lambda u: minus_divergence(u[:, 0], (1.0,), self.grid)[:, None]

    def right_hand_side(self):
        return self.source
