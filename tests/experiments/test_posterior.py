"""The task of posteriors: whitened unknowns, what is observed, the reference, and what is refused."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from scipy.stats import norm

from experiments import catalog
from experiments.errors import UserError
from experiments.evaluation.results import Baselines, Distances, ImportanceWeights, Scores
from experiments.tasks import posterior
from experiments.tasks.posterior_samplers import potential_scale_reduction
from experiments.tasks.whitening import Whitening
from physics import Grid, tempered_posterior

EXPERIMENT = catalog.load("burgers_inverse")
SMOKE = EXPERIMENT.presets["smoke"]
TASK = EXPERIMENT.task
LINE = Whitening(32, 2 * np.pi, 3, 1.5, 1.0, (0.2, 0.5))


def test_unknowns_are_standard_normal_for_fields_of_the_prior_and_come_back():
    grid = Grid((32,), (2 * np.pi,))
    keys = jax.random.split(jax.random.key(0), 4096)
    fields = np.asarray(jax.vmap(LINE.prior(grid).sample)(keys))
    assert fields.std() == pytest.approx(1.5, rel=0.05)
    rng = np.random.default_rng(0)
    values = np.exp(rng.uniform(*np.log(LINE.parameter), len(fields)))
    unknowns = LINE.unknowns(fields, values)
    assert unknowns.shape == (4096, LINE.dimension)
    np.testing.assert_allclose(np.cov(unknowns.T), np.eye(LINE.dimension), atol=0.1)
    back = jax.vmap(LINE.field)(unknowns[:16])
    np.testing.assert_allclose(back, fields[:16], atol=2e-4)
    np.testing.assert_allclose(jax.vmap(LINE.value)(unknowns[:16]), values[:16], rtol=1e-4)
    assert norm.cdf(unknowns[:, -1]).mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("observed", "function"), [("value", lambda u: u), ("magnitude", np.abs), ("square", np.square)]
)
def test_what_is_observed_is_the_named_function_at_even_points_of_the_named_times(observed, function):
    config = replace(SMOKE, system=replace(SMOKE.system, observed=observed, times=(0, 1), observations=4))
    fields = np.random.default_rng(1).standard_normal((5, 2, 32, 1)).astype(np.float32)
    seen = np.asarray(TASK._seen(config, fields))
    np.testing.assert_allclose(seen, function(fields[:, :, ::8, 0]).reshape(5, 8), rtol=1e-6)


def test_the_inverse_problem_predicts_what_is_seen_of_the_trajectory():
    times = np.array([0.25, 0.5])
    problem = TASK.inverse_problem(SMOKE, times)
    unknowns = np.random.default_rng(2).standard_normal((3, problem.dimension)).astype(np.float32)
    trajectories = TASK.trajectories(SMOKE, times, unknowns)
    assert trajectories.shape == (3, 3, 32, 1)
    seen = TASK._seen(SMOKE, trajectories[:, 1:])
    np.testing.assert_allclose(jax.vmap(problem.predict)(unknowns), seen, atol=1e-5)


def test_two_ensembles_agree_unless_one_is_moved():
    rng = np.random.default_rng(3)
    one, two = rng.standard_normal((2, 512, 4))
    assert potential_scale_reduction(one, two) < 1.01
    assert potential_scale_reduction(one, two + [0, 0, 1.0, 0]) > 1.1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"system.parameter": "0.5,0.2"}, "lower and a higher"),
        ({"system.observations": "64"}, "observe fewer"),
        ({"system.waves": "16"}, "take fewer waves"),
        ({"system.times": "5"}, "observe earlier ones"),
        ({"system.particles": "16"}, "the reference is halved"),
        ({"compare.members": "9"}, "even number"),
        ({"compare.cases": "999"}, "compare fewer cases"),
        ({"system.observed": "sign"}, "value, magnitude, square"),
    ],
)
def test_what_cannot_be_used_is_refused_before_work_begins(change, words):
    with pytest.raises(UserError, match=words):
        TASK.check(SMOKE.with_overrides(change))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small configuration with its data."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SOLVERGAN_CACHE", str(tmp_path_factory.mktemp("cache")))
    config = SMOKE.with_overrides({"data.trajectories": "64,16,16", "training.batch": "16", "compare.search": "false"})
    with jax.enable_x64(False):
        yield config, TASK.data(config, lambda *_: None)
    patch.undo()


def test_a_generator_that_ignores_what_was_observed_is_distinguished_and_a_tempered_run_is_not(small, monkeypatch):
    monkeypatch.setattr(posterior, "PROPOSALS", 64)
    config, dataset = small
    observed = TASK.observe(config, dataset, "test")[: config.compare.cases]
    exact = tempered_posterior(
        TASK.inverse_problem(config, dataset.times), observed, 64, jax.random.key(9), moves=20, last_moves=40
    ).unknowns

    def knowing(key, count, condition):
        members = count // len(np.unique(condition["observed"], axis=0))
        return np.asarray(exact)[: count // members, :members].reshape(count, -1)

    def ignorant(key, count, condition):
        return np.asarray(jax.random.normal(key, (count, exact.shape[-1])))

    def prior(key, count, condition, *, chunk):
        draws = ignorant(key, count, condition)
        return draws, norm.logpdf(draws).sum(axis=1)

    verdicts = {}
    for name, sample in (("knowing", knowing), ("ignorant", ignorant)):
        trained = SimpleNamespace(sample=sample, sample_with_log_density=prior, evaluations=1, step=0)
        spent = {"data": 0.0, "training": 0.0}
        comparison, figures = TASK.compare(config, dataset, trained, spent, lambda *_: None)
        entries = comparison.need(Distances).entries
        verdicts[name] = entries["energy_divergence"].inside
        assert figures["forecast/generator_members"].shape[2:] == (3, 32, 1)
        assert comparison.need(Scores).entries["misfit"].value < 1.3 or name == "ignorant"
    assert verdicts == {"knowing": True, "ignorant": False}
    # Weighted by the likelihood, draws of the prior come nearer to the posterior.
    rows = comparison.need(Baselines).rows
    assert rows["weighted"].values["energy_divergence"] < 0.7 * rows["prior"].values["energy_divergence"]
    assert all(0 < one < 1 for one in comparison.need(ImportanceWeights).effective)
