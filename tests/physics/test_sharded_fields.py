"""Fields cut over four devices: the same numbers as on one, a quarter of the memory, and no array gathered."""

import re

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import physics
from physics import Grid, NavierStokes2D, NavierStokes3D, ShardedGrid, advance, sharded, solve, with_parameters
from physics.spectral import derivative, inverse_laplacian, to_physical, to_spectral

PLANE, BOX = Grid((16, 10), (6.0, 5.0)), Grid((8, 6, 10), (6.0, 5.0, 6.0))
WALLS = Grid((8, 6, 4), (1.0, 2.0, 3.0), ("periodic", "dirichlet", "neumann"))
CUT = {
    "Advection": lambda: physics.Advection(PLANE, (0.7, 0.3)),
    "AllenCahn": lambda: physics.AllenCahn(PLANE, 0.6),
    "BarotropicVorticity": lambda: physics.BarotropicVorticity(PLANE, 3.0, 0.05, 0.1),
    "Burgers2D": lambda: physics.Burgers2D(PLANE, 0.1),
    "CahnHilliard": lambda: physics.CahnHilliard(PLANE, 0.6),
    "FisherKPP": lambda: physics.FisherKPP(PLANE, 0.4, 1.2),
    "Heat": lambda: physics.Heat(WALLS, 0.3),
    "NavierStokes2D": lambda: NavierStokes2D(PLANE, 0.05, 0.1, 0.7, 2),
    "NavierStokes3D": lambda: NavierStokes3D(BOX, 0.05),
    "SwiftHohenberg": lambda: physics.SwiftHohenberg(PLANE, 0.3, 0.5),
}
REFUSED = {
    "GrayScott": lambda: physics.GrayScott(PLANE, 0.3, 0.2, 0.2, 0.1),
    "NonlinearSchroedinger": lambda: physics.NonlinearSchroedinger(PLANE, 0.7),
    "SeismicWave": lambda: physics.SeismicWave(PLANE, np.full(PLANE.shape, 1.5)),
    "ShallowWater": lambda: physics.ShallowWater(PLANE, 2.0, 1.5, 0.8, 0.05),
    "SmokePlume": lambda: physics.SmokePlume(PLANE, 0.05, 0.04, 1.5, 0.7, 3.0, 5.0, 2.0),
    "StochasticNavierStokes2D": lambda: physics.StochasticNavierStokes2D(PLANE, 0.05, 0.1, 0.7, 2, noise_mode=2),
    "Wave": lambda: physics.Wave(PLANE, 1.3),
}


def mesh(devices=4, kind=AxisType.Auto):
    return jax.make_mesh((devices,), ("space",), axis_types=(kind,), devices=jax.devices()[:devices])


def on_mesh(grid, devices=4):
    return ShardedGrid(grid.shape, grid.extent, grid.boundary, device_mesh=mesh(devices), over="space")


def rough(shape, seed=0):
    return jnp.asarray(0.5 + 0.1 * np.random.default_rng(seed).normal(size=shape))


def difference(found, expected):
    """The largest difference, over the size of what is expected."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / np.abs(expected).max()


GRIDS = {
    "even": PLANE,
    "odd": Grid((12, 7), (1.0, 2.0)),
    "box": BOX,
    "whole axes without waves": Grid((8, 6), (1.0, 2.0), ("periodic", "neumann")),
    "second axis halved": Grid((8, 6, 5), (1.0, 2.0, 1.5), ("periodic", "periodic", "dirichlet")),
    "walls": WALLS,
}


@pytest.mark.float64
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_transforms_are_those_of_one_device(grid):
    cut, u = on_mesh(grid), rough((*grid.shape, 2))
    whole, parts = to_spectral(u, grid), jax.jit(lambda u: to_spectral(u, cut))(cut.place(u))
    assert parts.shape == (2, *cut.spectral_shape)
    assert parts.sharding.shard_shape(parts.shape)[2] * 4 == parts.shape[2]
    there = np.asarray(parts)[:, :, : grid.spectral_shape[1]]
    assert difference(there, whole) < 1e-13
    assert not np.asarray(parts)[:, :, grid.spectral_shape[1] :].any()
    back = jax.jit(lambda u_hat: to_physical(u_hat, cut))(parts)
    assert back.sharding.spec[0] == "space"
    assert difference(back, u) < 1e-13
    # The second axis is filled up with waves that count for nothing.
    power = (np.abs(parts) ** 2 * np.asarray(cut.parseval_weights)).sum()
    assert np.isclose(power, grid.size * (u**2).sum(), rtol=1e-12)
    for degree in (2, 3):
        kept = np.asarray(cut.kept_waves(degree))
        assert np.array_equal(kept[:, : grid.spectral_shape[1]], grid.kept_waves(degree))
        assert not kept[:, grid.spectral_shape[1] :].any()
    assert difference(inverse_laplacian(cut.place(u), cut), inverse_laplacian(u, grid)) < 1e-12
    assert difference(derivative(cut.place(u), cut), derivative(u, grid)) < 1e-12


@pytest.mark.float64
@pytest.mark.parametrize("name", CUT)
def test_vector_fields_are_those_of_one_device(name):
    whole = CUT[name]()
    cut, u = sharded(whole), rough(whole.field_shape)
    found = jax.jit(cut.vector_field)(0.0, cut.grid.place(u))
    assert found.sharding.spec[0] == "space" and len(found.sharding.device_set) == 4
    assert difference(found, whole.vector_field(0.0, u)) < 1e-12


@pytest.mark.float64
@pytest.mark.parametrize("name", ["NavierStokes2D", "NavierStokes3D"])
def test_solves_and_their_gradients_are_those_of_one_device(name):
    whole = CUT[name]()
    cut, u0, weights = sharded(whole), rough(whole.field_shape), rough(whole.field_shape, 1)

    def fields(system, u, viscosity):
        return solve(with_parameters(system, {"viscosity": viscosity}), u, [0.06, 0.1], dt=0.02)

    def loss(system):
        return jax.value_and_grad(lambda u, viscosity: (weights * fields(system, u, viscosity) ** 2).sum(), (0, 1))

    found = solve(cut, u0, [0.06, 0.1], dt=0.02)
    assert found.sharding.spec[1] == "space"
    assert difference(found, solve(whole, u0, [0.06, 0.1], dt=0.02)) < 1e-12
    expected, (slope, by_viscosity) = loss(whole)(jnp.asarray(u0), 0.05)
    value, (cut_slope, cut_by_viscosity) = loss(cut)(cut.grid.place(u0), 0.05)
    assert cut_slope.sharding.spec[0] == "space"
    assert np.isclose(value, expected, rtol=1e-12) and np.isclose(cut_by_viscosity, by_viscosity, rtol=1e-10)
    assert difference(cut_slope, slope) < 1e-11


@pytest.mark.parametrize("name", ["NavierStokes2D", "NavierStokes3D"])
def test_single_precision_agrees_to_round_off(name):
    whole = CUT[name]()
    u0 = rough(whole.field_shape).astype(np.float32)
    found = advance(sharded(whole), u0, 0.02, 10)
    assert found.dtype == jnp.float32
    assert difference(found, advance(whole, u0, 0.02, 10)) < 1e-6


@pytest.mark.float64
@pytest.mark.parametrize(
    "options", [{"tolerance": 1e-6}, {"dt": 0.05, "dense": True}, {"dt": 0.02, "solver": diffrax.Tsit5()}], ids=repr
)
def test_other_steps_give_the_fields_of_one_device(options):
    whole = CUT["NavierStokes2D"]()
    u0 = rough(whole.field_shape)
    found = solve(sharded(whole), u0, [0.06, 0.1], **options)
    assert found.sharding.spec[1] == "space"
    assert difference(found, solve(whole, u0, [0.06, 0.1], **options)) < 1e-11


def test_running_out_of_adaptive_steps_is_an_error_on_several_devices_too():
    cut = sharded(CUT["NavierStokes2D"]())
    with pytest.raises(ValueError, match="max_steps is 2"):
        solve(cut, rough(cut.field_shape), [1.0], tolerance=1e-6, max_steps=2)


@pytest.mark.float64
@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_a_mesh_cuts_a_batch_and_its_fields(kind):
    both = jax.make_mesh((2, 2), ("batch", "space"), axis_types=(kind, kind))
    whole = CUT["NavierStokes2D"]()
    cut, u0 = sharded(whole, both), rough((4, *whole.field_shape))

    def every(system):
        return jax.jit(jax.vmap(lambda u: advance(system, u, 0.02, 3), spmd_axis_name="batch"))

    found = every(cut)(jax.device_put(u0, NamedSharding(both, PartitionSpec("batch", "space"))))
    assert tuple(found.sharding.spec)[:2] == ("batch", "space")
    assert found.addressable_shards[0].data.shape == (2, 8, 10, 1)
    assert difference(found, jax.vmap(lambda u: advance(whole, u, 0.02, 3))(u0)) < 1e-12


def test_explicit_axes_are_refused_where_they_do_not_go():
    cut = sharded(CUT["NavierStokes2D"](), mesh(kind=AxisType.Explicit))
    u0 = rough(cut.field_shape)
    assert advance(cut, u0, 0.02, 2).sharding.spec[0] == "space"
    with pytest.raises(ValueError, match="explicit axes"):
        advance(cut, u0, 0.02, 2, solver=diffrax.Tsit5())
    with pytest.raises(ValueError, match="explicit axes"):
        solve(cut, u0, [0.1], tolerance=1e-4)


def compiled(system, devices, gradient):
    """A program of a few steps, compiled and not run."""
    cut = sharded(system, mesh(devices))
    u0 = jax.ShapeDtypeStruct(cut.field_shape, jnp.float32, sharding=cut.grid.sharding)

    def end(u):
        return advance(cut, u, 1e-3, 4)

    return jax.jit(jax.grad(lambda u: end(u).sum()) if gradient else end).lower(u0).compile()


def bytes_of(program):
    memory = program.memory_analysis()
    return memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes


LARGE = {
    "plane": lambda: NavierStokes2D(Grid((256, 256), (6.0, 6.0)), 1e-3, 0.1, 0.7),
    "box": lambda: NavierStokes3D(Grid((64, 64, 64), (6.0, 6.0, 6.0)), 1e-3),
}


@pytest.mark.parametrize("gradient", [False, True], ids=["forward", "gradient"])
@pytest.mark.parametrize("name", LARGE)
def test_every_device_needs_its_share_of_the_memory(name, gradient):
    alone, two, four = (compiled(LARGE[name](), devices, gradient) for devices in (1, 2, 4))
    assert bytes_of(two) < 0.55 * bytes_of(alone)
    assert bytes_of(four) < 0.3 * bytes_of(alone)
    text, points = four.as_text(), LARGE[name]().grid.size
    assert " all-to-all(" in text
    # Nothing of the size of a field is brought together or comes whole with the program.
    gathered = re.findall(r" = \w+\[([\d,]*)\]\S* (?:all-gather|constant)\(", text)
    assert all(np.prod([int(n) for n in shape.split(",") if n]) < points / 8 for shape in gathered)


def test_every_semilinear_system_in_the_plane_is_cut_or_refused():
    kinds = [getattr(physics, name) for name in physics.__all__]
    kinds = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, physics.SemilinearSystem)]
    lines = {"Burgers", "KuramotoSivashinsky", "KortewegDeVries", "ReplicatorMutator"}
    assert {kind.__name__ for kind in kinds} - {"SemilinearSystem"} - lines <= set(CUT) | set(REFUSED)


@pytest.mark.parametrize("name", REFUSED)
def test_systems_that_every_device_would_hold_whole_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} has no form for fields on several devices"):
        sharded(REFUSED[name]())


def test_grids_that_cannot_be_cut_are_refused():
    with pytest.raises(ValueError, match="4 devices do not divide the 10 points"):
        sharded(NavierStokes2D(Grid((10, 16), (1.0, 1.0))))
    with pytest.raises(ValueError, match="a field on 1 axes cannot be cut"):
        sharded(physics.KuramotoSivashinsky(Grid((16,), (6.0,))))
    with pytest.raises(ValueError, match="axis 0, along which fields are cut, must be periodic"):
        sharded(physics.Heat(Grid((8, 8), (1.0, 1.0), ("dirichlet", "periodic")), 0.3))
    with pytest.raises(ValueError, match="the mesh has no axis 'time', but 'space'"):
        sharded(CUT["NavierStokes2D"](), mesh(), over="time")
    with pytest.raises(ValueError, match="u0 holds NaN"):
        advance(sharded(CUT["NavierStokes2D"]()), np.full((16, 10, 1), np.nan), 0.1, 1)
