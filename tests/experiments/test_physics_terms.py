"""Physics terms: zero for the solver's trajectories, of the size that is stated for others, with right gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physics
from experiments import catalog
from experiments.errors import UserError
from experiments.tasks.physics_terms import TERMS, PhysicsTerms, weighted

TIMES, INTERVAL, STEPS = 4, 0.25, 10
GRID = physics.Grid((32,), (2 * np.pi,))


def system(viscosity):
    return physics.Burgers(GRID, viscosity)


@pytest.fixture(scope="module")
def solved():
    """Trajectories of the solver and their parameters."""
    prior = physics.GaussianField(GRID, lambda k: np.where(k > 0, np.exp(-0.5 * (0.8 * k) ** 2), 0.0), std=1.0)
    start = jax.vmap(prior.sample)(jax.random.split(jax.random.key(0), 64))
    viscosity = np.geomspace(0.2, 0.5, 64).astype(np.float32)
    times = INTERVAL * np.arange(1, TIMES + 1)
    made = jax.vmap(lambda u, nu: physics.solve(system(nu), u, times, dt=INTERVAL / STEPS))(start, viscosity)
    return made, {"log_viscosity": jnp.log(viscosity)[:, None]}


@pytest.fixture(scope="module")
def terms(solved):
    return PhysicsTerms(system, "viscosity", np.asarray(solved[0]), INTERVAL, STEPS, limit=10.0)


@pytest.mark.parametrize(
    ("term", "level"),
    [
        ("defect", 1e-8),
        ("multi_step", 1e-8),
        ("resolve", 1e-8),
        ("statistics", 1e-8),
        # Simpson's rule over 0.5, and the trapezoidal rule over 0.25, have errors of their own.
        ("residual", 2e-3),
        ("conservation", 1e-3),
    ],
)
def test_the_solvers_trajectories_obey_every_term(solved, terms, term, level):
    assert 0 <= float(terms.penalty(term)(*solved)) < level


def test_every_term_sees_fields_that_the_solver_did_not_make(solved, terms):
    fields, condition = solved
    sigma = float(np.std(fields))
    noisy = fields + 0.2 * sigma * jax.random.normal(jax.random.key(1), fields.shape)
    for term in TERMS:
        assert float(terms.penalty(term)(noisy, condition)) > 10 * float(terms.penalty(term)(*solved)) + 0.01, term


def test_mismatches_are_in_standard_deviations_of_the_data(solved, terms):
    fields, condition = solved
    sigma = float(np.std(fields))
    # The last field alone is off by half a standard deviation: one of three pairs, one of two, one of three.
    off = fields.at[:, -1].add(0.5 * sigma)
    for term, share in (("defect", 1 / 3), ("multi_step", 1 / 2), ("resolve", 1 / 3)):
        assert float(terms.penalty(term)(off, condition)) == pytest.approx(0.25 * share, rel=1e-3), term


def test_statistics_are_those_of_the_batch_and_the_rest_those_of_each_trajectory(solved, terms):
    fields, condition = solved
    shuffled = fields[::-1]
    assert float(terms.penalty("statistics")(shuffled, condition)) < 1e-8
    # With another's viscosity a trajectory is none of the equation's.
    assert float(terms.penalty("defect")(shuffled, condition)) > 1e-4


@pytest.mark.parametrize(
    "term", [pytest.param(term, marks=() if term == "resolve" else pytest.mark.slow) for term in TERMS]
)
def test_gradients_are_those_of_finite_differences(solved, term):
    with jax.enable_x64(True):
        fields = jnp.asarray(np.asarray(solved[0])[:4], jnp.float64)
        condition = {"log_viscosity": jnp.asarray(np.asarray(solved[1]["log_viscosity"])[:4], jnp.float64)}
        terms = PhysicsTerms(system, "viscosity", np.asarray(fields), INTERVAL, STEPS, limit=1e3)
        function = partial(terms.penalty(term), condition=condition)
        rng = np.random.default_rng(1)
        at, along = (fields + 0.1 * rng.standard_normal(fields.shape) for _ in range(2))
        along = along - fields
        slope = jnp.vdot(jax.grad(function)(at), along)
        h = 1e-5
        measured = (function(at + h * along) - function(at - h * along)) / (2 * h)
        assert float(slope) == pytest.approx(float(measured), rel=1e-5)


def test_a_trajectory_that_the_solver_cannot_follow_counts_as_nothing(solved, terms):
    fields, condition = solved
    far = fields.at[0].set(1e6)
    value, slope = jax.value_and_grad(lambda u: terms.penalty("defect")(u, condition))(far)
    assert np.isfinite(value) and float(value) < 1e-8
    assert np.isfinite(slope).all() and not np.any(np.asarray(slope)[0])


def test_a_system_without_invariants_and_budgets_has_no_conservation():
    plain = physics.OrnsteinUhlenbeck.example()
    assert not plain.invariants(np.zeros(plain.field_shape)) and not plain.budgets(np.zeros(plain.field_shape))
    terms = PhysicsTerms(lambda value: plain, "rate", np.ones((2, 3, *plain.field_shape), np.float32), 0.1, 1, 10.0)
    with pytest.raises(ValueError, match="states no invariant and no budget"):
        terms.penalty("conservation")


def test_weights_are_one_for_all_or_one_each(terms):
    for weights in ((0.5,), (0.5, 0.5)):
        made = weighted(terms, ("defect", "statistics"), weights, 0.25, True)
        assert {name: one.weight for name, one in made.items()} == {"defect": 0.5, "statistics": 0.5}
        assert all(one.balanced for one in made.values())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"system.terms": "defect,defect"}, "terms names one twice"),
        ({"system.terms": "defect,resolve", "system.weights": "1,2,3"}, "holds 3 numbers for 2 terms"),
        ({"system.terms": "residue"}, "did you mean residual"),
        ({"system.generates": "initial"}, "terms defect have no effect where the solver makes the trajectory"),
        ({"system.elsewhere": "true", "system.outside": ""}, "elsewhere takes terms at the values of outside"),
        ({"system.terms": "residual", "data.snapshots": "2"}, "--system.terms residual needs 3 times"),
    ],
)
def test_terms_that_do_not_fit_are_refused_in_one_sentence(changes, expected):
    experiment = catalog.load("burgers")
    with pytest.raises(UserError) as caught:
        config = experiment.presets["smoke"].with_overrides(changes)
        experiment.check(config)
    assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_conditions_without_data_span_the_parameters_that_are_tested(tmp_path, monkeypatch):
    monkeypatch.setenv("SOLVERGAN_CACHE", str(tmp_path))
    experiment = catalog.load("burgers")
    config = experiment.presets["smoke"].with_overrides({"system.elsewhere": "true"})
    problem = experiment.task.problem(config, experiment.task.data(config, lambda *told: None))
    assert {name: one.shape[1:] for name, one in problem.elsewhere.items()} == dict(problem.spec.conditions)
    viscosity = np.exp(problem.elsewhere["log_viscosity"])
    tested = (*config.system.parameter, *config.system.outside)
    assert min(tested) <= viscosity.min() < 1.01 * min(tested) and 0.99 * max(tested) < viscosity.max() <= max(tested)
    assert set(problem.elsewhere["observed"][..., 1].sum(axis=1)) == {config.system.observations}
