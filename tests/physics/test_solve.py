"""Solving: values and gradients, alone and under every transformation; times; memory choices; bad input."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from physics import ETDRK2, ETDRK4, Burgers, Grid, Lorenz63, NavierStokes2D, advance, solve
from physics.arguments import check_steps

GRID = Grid((16,), (2 * np.pi,))
SYSTEM = Burgers(GRID, 0.1)
CONTROLLER = diffrax.PIDController(rtol=1e-4, atol=1e-5)


def _start():
    (x,) = GRID.coordinates()
    return np.asarray(0.5 + np.sin(x) + 0.3 * np.cos(2 * x))[:, None]


def test_saved_times_are_the_steps_that_end_on_them():
    u0 = jnp.asarray(_start())
    trajectory = solve(SYSTEM, u0, [0.0, 0.1, 0.2, 0.5], dt=0.05)
    assert np.array_equal(trajectory[0], u0)
    for index, steps in ((1, 2), (2, 4), (3, 10)):
        assert np.allclose(trajectory[index], advance(SYSTEM, u0, 0.05, steps), atol=1e-6)


def test_many_different_intervals_are_saved_in_order():
    u0 = jnp.asarray(_start())
    counts = np.array([0, 1, 3, 4, 8, 9, 12, 13, 17])
    trajectory = solve(SYSTEM, u0, counts * 0.05, dt=0.05)
    every = solve(SYSTEM, u0, np.arange(18) * 0.05, dt=0.05)
    assert np.allclose(trajectory, every[counts], atol=1e-6)
    assert np.allclose(solve(SYSTEM, u0, counts[1:] * 0.05, dt=0.05), every[counts[1:]], atol=1e-6)


def test_without_a_step_the_recommended_one_is_shortened_to_fit():
    u0 = jnp.asarray(_start())
    dt = 0.017 / np.ceil(0.017 / SYSTEM.recommended_dt)
    got = solve(SYSTEM, u0, [0.017, 0.034])
    assert np.allclose(got[-1], advance(SYSTEM, u0, dt, round(0.034 / dt)), atol=1e-6)


_CONSTANT_TIMES = {
    "jnp.array": lambda: jnp.array([0.1, 0.25]),
    "jnp.asarray": lambda: jnp.asarray(np.array([0.1, 0.25])),
    "list": lambda: [jnp.float32(0.1), 0.25],
    "np.array": lambda: np.array([0.1, 0.25]),
}


def _ways_to_say_constant_times():
    """Every one with fixed steps in the fast tests, and one of them with adaptive steps."""
    for options in ({"dt": 0.05}, {}, {"tolerance": 1e-5}, {"dt": 0.03, "dense": True}):
        for name in _CONSTANT_TIMES:
            fast = options in ({"dt": 0.05}, {}) or ("tolerance" in options and name == "jnp.array")
            yield pytest.param(name, options, marks=[] if fast else pytest.mark.slow)


@pytest.mark.parametrize(("name", "options"), _ways_to_say_constant_times(), ids=str)
def test_constant_times_of_jax_numpy_are_taken_inside_jit_and_outside(name, options):
    u0, times = jnp.asarray(_start()), _CONSTANT_TIMES[name]
    expected = solve(SYSTEM, u0, [0.1, 0.25], **options)
    assert np.allclose(solve(SYSTEM, u0, times(), **options), expected, atol=1e-5)
    assert np.allclose(jax.jit(lambda u: solve(SYSTEM, u, times(), **options))(u0), expected, atol=1e-5)


def test_constant_times_are_taken_inside_further_transformations():
    u0 = jnp.asarray(_start())
    expected = solve(SYSTEM, u0, [0.1, 0.25], dt=0.05)
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,))

    def at_constant_times(u):
        return solve(SYSTEM, u, jnp.array([0.1, 0.25]), dt=jnp.array(0.05), t0=jnp.array(0.0))

    def at_times_of_the_outer_function(u):
        times = jnp.array([0.1, 0.25])
        return jax.jit(lambda v: solve(SYSTEM, v, jnp.asarray(times), dt=0.05))(u)

    assert np.allclose(jax.jit(jax.vmap(at_constant_times))(u0[None])[0], expected, atol=1e-5)
    assert np.allclose(jax.jit(at_times_of_the_outer_function)(u0), expected, atol=1e-5)
    assert np.allclose(jax.jit(lambda u: jax.lax.map(at_constant_times, u))(u0[None])[0], expected, atol=1e-5)
    apart = jax.shard_map(
        jax.vmap(at_constant_times), mesh=mesh, in_specs=PartitionSpec("data"), out_specs=PartitionSpec("data")
    )
    assert np.allclose(jax.jit(apart)(u0[None])[0], expected, atol=1e-5)
    slope = jax.jit(jax.grad(lambda u: (at_constant_times(u) ** 2).sum()))(u0)
    assert np.allclose(slope, jax.grad(lambda u: (solve(SYSTEM, u, [0.1, 0.25], dt=0.05) ** 2).sum())(u0), atol=1e-4)
    steps = jax.jit(lambda u: advance(SYSTEM, u, jnp.array(0.05), jnp.array(2)))(u0)
    assert np.allclose(steps, expected[0], atol=1e-5)


@pytest.mark.parametrize(
    "call",
    [
        lambda u: jax.jit(lambda times: solve(SYSTEM, u, times, dt=0.05))(jnp.array([0.1, 0.2])),
        lambda u: jax.jit(lambda t: solve(SYSTEM, u, [0.1, t], dt=0.05))(0.2),
        lambda u: jax.jit(lambda v: solve(SYSTEM, v, jnp.linspace(0.1, 0.2, 2), dt=0.05))(u),
        lambda u: jax.jit(lambda t0: solve(SYSTEM, u, [0.1, 0.2], dt=0.05, t0=t0))(0.0),
        lambda u: jax.vmap(lambda t: solve(SYSTEM, u, t[None], dt=0.05))(jnp.array([0.1, 0.2])),
    ],
    ids=["argument", "one of them", "computed", "t0", "vmap"],
)
def test_times_that_are_not_known_at_compilation_are_refused_with_what_to_write_instead(call):
    with pytest.raises(ValueError, match=r"inside jit, write them with NumPy, as in np.array"):
        call(jnp.asarray(_start()))


def test_no_step_is_the_identity():
    assert np.array_equal(advance(SYSTEM, _start(), 0.1, 0), jnp.asarray(_start()))


@pytest.mark.float64
@pytest.mark.parametrize(
    "adjoint",
    ["stages", pytest.param("steps", marks=pytest.mark.slow), "sqrt", pytest.param(3, marks=pytest.mark.slow)],
)
def test_gradients_match_finite_differences_whatever_is_kept_in_memory(adjoint):
    u0, direction = jnp.asarray(_start()), jnp.asarray(np.cos(3 * np.arange(16.0)))[:, None]

    def energy(u, nu, dt):
        return (advance(Burgers(GRID, nu), u, dt, 7, adjoint=adjoint) ** 2).sum()

    du, dnu, ddt = jax.jit(jax.grad(energy, (0, 1, 2)))(u0, 0.1, 0.05)
    eps = 1e-5

    def slope(f):
        return (f(eps) - f(-eps)) / (2 * eps)

    assert np.isclose((du * direction).sum(), slope(lambda e: energy(u0 + e * direction, 0.1, 0.05)), rtol=1e-7)
    assert np.isclose(dnu, slope(lambda e: energy(u0, 0.1 + e, 0.05)), rtol=1e-7)
    assert np.isclose(ddt, slope(lambda e: energy(u0, 0.1, 0.05 + e)), rtol=1e-7)
    _, forwards = jax.jvp(lambda u: energy(u, 0.1, 0.05), (u0,), (direction,))
    assert np.isclose(forwards, (du * direction).sum(), rtol=1e-10)


@pytest.mark.float64
def test_gradients_of_trajectories_and_of_two_dimensional_flow_match_finite_differences():
    grid = Grid((8, 12), (2 * np.pi, 2 * np.pi))
    x, y = grid.mesh()
    u0 = jnp.asarray(np.sin(x) * np.cos(y) + np.cos(2 * y + x))[..., None]
    direction = jnp.asarray(np.cos(x + y))[..., None]

    def loss(u, nu, force):
        flow = NavierStokes2D(grid, nu, drag=0.1, forcing=force, forcing_mode=2)
        return (solve(flow, u, [0.0, 0.1, 0.2, 0.5], dt=0.05) ** 3).sum()

    args = (u0, 0.1, 0.7)
    du, dnu, dforce = jax.jit(jax.grad(loss, (0, 1, 2)))(*args)
    slope = jax.jit(lambda e, f, g: loss(u0 + e * direction, 0.1 + f, 0.7 + g))
    for got, way in (((du * direction).sum(), (1, 0, 0)), (dnu, (0, 1, 0)), (dforce, (0, 0, 1))):
        e = 1e-5 * np.asarray(way)
        assert np.isclose(got, (slope(*e) - slope(*-e)) / 2e-5, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.float64
def test_gradients_of_adaptive_and_ordinary_solves_match_finite_differences_in_both_modes():
    u0 = jnp.asarray([1.0, 2.0, 20.0])

    def end(rho, **how):
        return solve(Lorenz63(rho=rho), u0, [0.3], **how)[-1].sum()

    for how, forward in (
        ({"dt": 0.01}, {"dt": 0.01}),
        (
            {"stepsize_controller": diffrax.PIDController(rtol=1e-9, atol=1e-9)},
            {
                "stepsize_controller": diffrax.PIDController(rtol=1e-9, atol=1e-9),
                "adjoint": diffrax.ForwardMode(),
            },
        ),
    ):
        reverse = jax.grad(lambda r, how=how: end(r, **how))(28.0)
        assert np.isclose(reverse, (end(28.0 + 1e-4, **how) - end(28.0 - 1e-4, **how)) / 2e-4, rtol=1e-5)
        assert np.isclose(jax.jacfwd(lambda r, how=forward: end(r, **how))(28.0), reverse, rtol=1e-7)


_WAYS = {
    "exponential scan": lambda u: solve(SYSTEM, u, [0.05, 0.1], dt=0.01)[-1],
    "checkpointed scan": lambda u: advance(SYSTEM, u, 0.01, 10, adjoint="sqrt"),
    "explicit scan": lambda u: advance(SYSTEM, u, 0.01, 5, solver=diffrax.Tsit5()),
    "implicit scan": lambda u: advance(
        SYSTEM, u, 0.01, 2, solver=diffrax.Kvaerno3(root_finder=diffrax.VeryChord(rtol=1e-5, atol=1e-6))
    ),
    "adaptive": lambda u: solve(SYSTEM, u, [0.05, 0.1], solver=ETDRK2(), stepsize_controller=CONTROLLER, max_steps=32)[
        -1
    ],
}


@pytest.mark.parametrize(
    ("way", "counts"),
    [
        ("exponential scan", (2,)),
        *(
            pytest.param(way, (1, 4) if way == "exponential scan" else (2,), marks=pytest.mark.slow, id=way)
            for way in _WAYS
        ),
    ],
)
def test_values_and_gradients_agree_under_pmap_shard_map_and_sharded_jit(way, counts, key):
    value_and_grad = jax.value_and_grad(lambda u: (_WAYS[way](u) ** 2).sum())
    batched = jax.vmap(value_and_grad)
    batch = jax.vmap(SYSTEM.sample_initial)(jax.random.split(key, 4))
    alone = jax.jit(batched)(batch)
    # Compiling is what this costs, so the other ways see the two harder transformations, on two devices.
    for count in counts:
        mesh = jax.make_mesh((count,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:count])
        split = PartitionSpec("data")
        slices = batch.reshape(count, 4 // count, *batch.shape[1:])
        variants = {
            "pmap": lambda s=slices, n=count: jax.tree.map(
                lambda a: a.reshape(4, *a.shape[2:]), jax.pmap(batched, devices=jax.devices()[:n])(s)
            ),
            "shard_map": lambda m=mesh, p=split: jax.jit(
                jax.shard_map(batched, mesh=m, in_specs=p, out_specs=p, check_vma=False)
            )(batch),
            "checked shard_map": lambda m=mesh, p=split: jax.jit(
                jax.shard_map(batched, mesh=m, in_specs=p, out_specs=p)
            )(batch),
            "sharded jit": lambda m=mesh, p=split: jax.jit(batched)(jax.device_put(batch, NamedSharding(m, p))),
        }
        for name, run in variants.items():
            if name in ("shard_map", "sharded jit") and (count == 1 or way != "exponential scan"):
                continue
            for got, expected in zip(run(), alone, strict=True):
                assert np.allclose(got, expected, rtol=2e-5, atol=2e-5), (name, count)


@pytest.mark.slow
def test_replicated_parameters_get_the_sum_over_devices_of_their_gradient(key):
    batch = jax.vmap(SYSTEM.sample_initial)(jax.random.split(key, 2))
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    split, whole = PartitionSpec("data"), PartitionSpec()

    def loss(nu, u, solver):
        ends = jax.vmap(lambda v: advance(Burgers(GRID, nu), v, 0.01, 5, solver=solver))(u)
        return (ends**2).sum()

    for solver in (ETDRK4(), diffrax.Tsit5()):

        def shared(nu, u, solver=solver):
            sharded = jax.shard_map(
                lambda n, v: jax.lax.psum(loss(n, v, solver), "data"),
                mesh=mesh,
                in_specs=(whole, split),
                out_specs=whole,
            )
            return sharded(nu, u)

        nu = jnp.asarray(0.1)
        assert np.isclose(jax.jit(jax.grad(shared))(nu, batch), jax.grad(loss)(nu, batch, solver), rtol=1e-4)


def test_parameters_and_steps_batch():
    u0 = jnp.asarray(_start())
    nus, dts = jnp.asarray([0.05, 0.2]), jnp.asarray([0.01, 0.02])
    together = jax.vmap(lambda nu, dt: advance(Burgers(GRID, nu), u0, dt, 10))(nus, dts)
    for row, nu, dt in zip(together, (0.05, 0.2), (0.01, 0.02), strict=True):
        assert np.allclose(row, advance(Burgers(GRID, nu), u0, dt, 10), atol=1e-5)


def test_a_field_that_blows_up_leaves_its_neighbours_and_their_gradients_alone():
    batch = jnp.stack([jnp.asarray(_start()), 1e30 * jnp.asarray(_start())])
    value_and_grad = jax.jit(jax.vmap(jax.value_and_grad(lambda u: (advance(SYSTEM, u, 0.05, 20) ** 2).sum())))
    values, gradients = value_and_grad(batch)
    assert np.isfinite(values[0]) and np.all(np.isfinite(gradients[0]))
    assert not np.isfinite(values[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: advance(SYSTEM, np.zeros((4, 16, 1)), 0.1, 1), r"u0 has shape \(4, 16, 1\).*jax.vmap"),
        (lambda: advance(SYSTEM, np.full((16, 1), np.inf), 0.1, 1), "u0 holds NaN or infinite"),
        (lambda: advance(SYSTEM, _start(), -0.1, 1), "dt must be one positive"),
        (lambda: advance(SYSTEM, _start(), 0.1, -1), "steps must be a whole number, 0 or more, not -1"),
        # Tests check types, which refuses these before `advance` does.
        (lambda: check_steps(np.nan, 0), "steps must be a whole number, 0 or more, not nan"),
        (lambda: check_steps(1.5, 1), "steps must be a whole number, 1 or more, not 1.5"),
        (lambda: check_steps("3", 0), "steps must be a whole number, 0 or more, not 3"),
        (lambda: jax.jit(lambda n: check_steps(n, 0))(3), "steps must be concrete, it decides what is compiled"),
        (lambda: advance(SYSTEM, _start(), 0.1, 1, adjoint="all"), "adjoint 'all' is unknown"),
        (lambda: advance(Lorenz63(), np.zeros(3), 0.1, 1, solver=ETDRK4()), "Lorenz63 is none"),
        (lambda: solve(SYSTEM, _start(), [0.2, 0.1], dt=0.1), "times must increase, but 0.1 follows 0.2"),
        (lambda: solve(SYSTEM, _start(), [-0.1], dt=0.1), "start at 0 or later"),
        (lambda: solve(SYSTEM, _start(), [], dt=0.1), "at least one time"),
        (lambda: solve(SYSTEM, _start(), [0.25], dt=0.1), "time 0.25 is not a multiple of the step dt = 0.1"),
        (lambda: solve(SYSTEM, _start(), [0.02, 0.045]), "time 0.045 is not a multiple"),
        (
            lambda: solve(SYSTEM, _start(), [0.1], stepsize_controller=CONTROLLER, adjoint="steps"),
            "does not fit adaptive",
        ),
        (lambda: Burgers(GRID, -1.0), "viscosity must not be negative, but is -1.0"),
        (lambda: Burgers(Grid((8, 8), (1.0, 1.0))), "Burgers needs a grid with 1 axis"),
        (lambda: NavierStokes2D(Grid((8, 8), (1.0, 1.0)), forcing_mode=3), "forcing_mode 3 is not resolved"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
