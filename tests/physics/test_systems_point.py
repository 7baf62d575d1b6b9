"""Systems of a few ordinary differential equations against their exact and published solutions."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import simpson, solve_ivp
from scipy.linalg import expm
from scipy.special import ellipk, lambertw

from physics import SIR, Grid, Lorenz63, LotkaVolterra, Pendulum, ReplicatorMutator, Robertson, advance, solve

POINTS = [Pendulum(), LotkaVolterra(), SIR(), ReplicatorMutator(), Lorenz63()]


@pytest.mark.float64
@pytest.mark.parametrize("amplitude", [0.1, 1.5, 3.0])
def test_a_pendulum_comes_back_after_the_period_of_the_elliptic_integral(amplitude):
    system = Pendulum(length=2.0)
    period = 4 * np.sqrt(2.0 / 9.81) * ellipk(np.sin(amplitude / 2) ** 2)
    start = np.array([amplitude, 0.0])
    half, whole = solve(system, start, [period / 2, period], dt=period / 400)
    assert np.allclose(half, -start, atol=1e-7) and np.allclose(whole, start, atol=1e-7)


@pytest.mark.float64
def test_friction_takes_what_the_pendulum_loses(key):
    system = Pendulum(damping=0.3)
    u = jnp.asarray([1.0, 2.0])
    slope = jax.jvp(lambda v: system.budgets(v)["energy"]["value"], (u,), (system.vector_field(0.0, u),))[1]
    assert np.isclose(slope, system.budgets(u)["energy"]["friction"]) and slope < 0
    assert system.invariants(u) == {} and set(Pendulum().invariants(u)) == {"energy"}


@pytest.mark.float64
def test_lotka_and_volterra_cycles_have_their_small_period_and_volterras_averages():
    system = LotkaVolterra()
    fixed, period = np.array([4.0, 2.75]), 2 * np.pi / np.sqrt(1.1 * 0.4)
    near = solve(system, fixed + [1e-4, 0.0], [period], dt=period / 200)[0]
    assert np.allclose(near, fixed + [1e-4, 0.0], atol=1e-7)
    # d log(prey) / dt = growth - predation predator, so that averages over any time follow from the end points.
    wide = np.asarray(solve(system, np.array([12.0, 1.0]), 0.05 * np.arange(401), dt=0.05))
    averages = simpson(wide, dx=0.05, axis=0) / 20
    change = np.log(wide[-1] / wide[0]) / 20
    assert averages[1] == pytest.approx((1.1 - change[0]) / 0.4, rel=1e-6)
    assert averages[0] == pytest.approx((0.4 + change[1]) / 0.1, rel=1e-6)


@pytest.mark.float64
@pytest.mark.parametrize("contact", [0.15, 0.3, 0.8])
def test_an_epidemic_ends_at_the_final_size(contact):
    start, reproduction = np.array([0.999, 0.001, 0.0]), contact / 0.1
    end = advance(SIR(contact), start, 0.5, 3000)
    left = -lambertw(-reproduction * start[0] * np.exp(-reproduction)).real / reproduction
    assert np.allclose(end, [left, 0.0, 1 - left], atol=1e-8)


@pytest.mark.float64
def test_selection_with_payoffs_that_do_not_depend_on_the_others_is_a_linear_flow(key):
    # Eigen's quasispecies: x(t) is proportional to exp(Q^T diag(f) t) x(0).
    fitness, mutation = np.array([1.0, 1.5, 0.7, 1.2]), 0.1
    system = ReplicatorMutator(np.tile(fitness[:, None], 4), mutation)
    spread = np.full((4, 4), mutation / 3) + (1 - mutation - mutation / 3) * np.eye(4)
    u0 = np.array([0.1, 0.2, 0.3, 0.4])
    grown = expm(3.0 * spread.T @ np.diag(fitness)) @ u0
    assert np.allclose(advance(system, u0, 0.05, 60), grown / grown.sum(), atol=1e-9)


@pytest.mark.float64
def test_rock_paper_scissors_cycle_without_mutation_and_settle_with_it():
    u0 = jnp.asarray([0.5, 0.3, 0.2])
    cycling = advance(ReplicatorMutator(mutation=0.0), u0, 0.05, 2000)
    assert np.isclose(jnp.prod(cycling), jnp.prod(u0), rtol=1e-5) and np.abs(cycling - 1 / 3).max() > 0.05
    assert np.allclose(advance(ReplicatorMutator(mutation=0.1), u0, 0.05, 2000), 1 / 3, atol=1e-6)


@pytest.mark.float64
@pytest.mark.parametrize(("mutation", "coherent"), [(0.1, True), (0.2, False)])
def test_one_language_dominates_only_below_the_error_threshold(mutation, coherent):
    # Nowak, Komarova and Niyogi (2001): payoff 1 within a language and a = 1/2 between them. With one share X
    # and n - 1 equal ones, X' is a cubic in X; its stable roots are the steady states.
    n, a, q = 8, 0.5, 1 - mutation
    one = np.polynomial.Polynomial([0.0, 1.0])
    other = (1 - one) / (n - 1)
    births = one * (a + (1 - a) * one), other * (a + (1 - a) * other)
    rate = births[0] * q + births[1] * (n - 1) * mutation / (n - 1) - (births[0] + (n - 1) * births[1]) * one
    roots = [r.real for r in rate.roots() if abs(r.imag) < 1e-9 and rate.deriv()(r.real) < 0 and r.real > 0]
    payoff = np.full((n, n), a) + (1 - a) * np.eye(n)
    start = np.full(n, 0.05 / (n - 1)) + (0.95 - 0.05 / (n - 1)) * np.eye(n)[0]
    end = np.asarray(advance(ReplicatorMutator(payoff, mutation), start, 0.25, 2000))
    assert end[0] == pytest.approx(max(roots), abs=1e-6)
    assert (end[0] > 0.5) == coherent


@pytest.mark.slow
@pytest.mark.float64
def test_robertson_reaches_the_published_values_over_eleven_decades():
    # t = 40: the example of LSODE (Hindmarsh, 1983), computed there to 1e-4, and SciPy's Radau. t = 1e11: the test
    # set for initial value problem solvers (Mazzia and Magherini, 2008).
    system, start = Robertson(), np.array([1.0, 0.0, 0.0])
    early, late = solve(system, start, [40.0, 1e11], dt=1e-6, stepsize_controller=system.stepsize_controller)
    assert np.allclose(early, [7.158e-1, 9.185e-6, 2.842e-1], rtol=2e-4, atol=0)
    rate = jax.jit(lambda u: system.vector_field(0.0, u))
    jacobian = jax.jit(jax.jacfwd(rate))
    radau = solve_ivp(
        lambda t, u: np.asarray(rate(jnp.asarray(u))),
        (0, 40),
        start,
        method="Radau",
        rtol=1e-9,
        atol=1e-15,
        jac=lambda t, u: np.asarray(jacobian(jnp.asarray(u))),
    )
    assert np.allclose(early, radau.y[:, -1], rtol=1e-7, atol=0)
    assert np.allclose(late, [0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050], rtol=1e-3, atol=0)


@pytest.mark.float64
def test_fixed_implicit_steps_follow_robertson_past_its_transient(key):
    system = Robertson()
    coarse, fine = (solve(system, system.sample_initial(key), [10.0], dt=dt)[0] for dt in (0.1, 0.05))
    assert np.allclose(coarse, fine, rtol=1e-7, atol=0)
    assert np.isclose(coarse.sum(), 1.0, atol=1e-12)


@pytest.mark.float64
@pytest.mark.parametrize("system", POINTS, ids=lambda s: s.name)
def test_what_is_said_to_be_conserved_does_not_change_along_the_flow(system, key):
    u = system.sample_initial(key)
    rates = jax.jvp(system.invariants, (u,), (system.vector_field(0.0, u),))[1]
    assert system.name == "lorenz63" or len(rates) > 0
    for name, rate in rates.items():
        assert abs(rate) < 1e-12, name


@pytest.mark.slow
@pytest.mark.float64
@pytest.mark.parametrize("system", [*POINTS, Robertson()], ids=lambda s: s.name)
def test_gradients_in_field_and_every_parameter_match_finite_differences_alone_and_on_four_devices(system, key):
    u0 = jnp.abs(system.sample_initial(key))
    leaves, structure = jax.tree.flatten(system)
    weights = jnp.arange(1.0, u0.size + 1)

    def loss(u, leaves):
        return weights @ advance(jax.tree.unflatten(structure, leaves), u, system.recommended_dt, 10)

    arguments = (u0, [jnp.asarray(leaf, float) for leaf in leaves])
    gradient = jax.grad(loss, (0, 1))(*arguments)
    batch = jnp.stack([u0 * (1 + 0.01 * i) for i in range(4)])
    own = jax.vmap(jax.grad(loss, (0, 1)), (0, None))(batch, arguments[1])
    apart = jax.pmap(jax.grad(loss, (0, 1)), in_axes=(0, None))(batch, arguments[1])
    for got, expected in zip(jax.tree.leaves(apart), jax.tree.leaves(own), strict=True):
        assert np.allclose(got, expected, rtol=1e-8, atol=1e-12)
    flat, unravel = jax.flatten_util.ravel_pytree(arguments)
    slopes = jax.flatten_util.ravel_pytree(gradient)[0]
    for i, value in enumerate(flat):
        step = 1e-6 * max(abs(float(value)), 1e-6 if system.name == "robertson" else 1.0)
        ends = [loss(*unravel(flat.at[i].add(sign * step))) for sign in (1, -1)]
        assert np.isclose(slopes[i], (ends[0] - ends[1]) / (2 * step), rtol=2e-4, atol=1e-6), i


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Pendulum(length=-1.0), "length must be positive"),
        (lambda: Pendulum(grid=Grid((8,), (1.0,))), "Pendulum lives on a single point"),
        (lambda: ReplicatorMutator(np.ones((2, 3))), r"payoff has shape \(2, 3\): give a square matrix"),
        (lambda: SIR(contact=np.nan), "contact must be finite"),
        (
            lambda: solve(Pendulum(), np.ones(2), [1.0], dt=0.3, solver=diffrax.Tsit5()),
            "time 1 is not a multiple of the step",
        ),
    ],
)
def test_bad_parameters_are_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
