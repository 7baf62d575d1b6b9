"""The task of posteriors: whitened unknowns, what is observed, the reference, and what is refused."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from scipy.stats import norm

from experiments import catalog
from experiments.errors import UserError
from experiments.evaluation.results import AgainstTruth, Baselines, Distances, ImportanceWeights, Scores
from experiments.tasks import posterior_comparison
from experiments.tasks.posterior_programs import streamed
from experiments.tasks.posterior_samplers import _mixture, potential_scale_reduction
from experiments.tasks.whitening import Climatology, Whitening
from gan import train
from physics import Grid, solve, tempered_posterior

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
    seen = np.asarray(TASK.seen(config, fields))
    np.testing.assert_allclose(seen, function(fields[:, :, ::8, 0]).reshape(5, 8), rtol=1e-6)


def test_the_inverse_problem_predicts_what_is_seen_of_the_trajectory():
    times = np.array([0.25, 0.5])
    problem = TASK.inverse_problem(SMOKE, times)
    unknowns = np.random.default_rng(2).standard_normal((3, problem.dimension)).astype(np.float32)
    trajectories = TASK.trajectories(SMOKE, times, unknowns)
    assert trajectories.shape == (3, 3, 32, 1)
    seen = TASK.seen(SMOKE, trajectories[:, 1:])
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


@pytest.mark.slow
def test_a_generator_that_ignores_what_was_observed_is_distinguished_and_a_tempered_run_is_not(small, monkeypatch):
    monkeypatch.setattr(posterior_comparison, "PROPOSALS", 64)
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


LORENZ = catalog.load("lorenz96")


def test_a_climatology_whitens_its_own_fields_and_commutes_with_shifts():
    climate = LORENZ.task.whitening(LORENZ.presets["smoke"])
    grid = Grid((40,), (40.0,))
    fields = np.asarray(jax.vmap(climate.prior(grid).sample)(jax.random.split(jax.random.key(0), 4096)))
    assert fields.mean() == pytest.approx(climate.mean, abs=0.02)
    assert fields.var() == pytest.approx(sum(climate.variances), rel=0.02)
    unknowns = climate.unknowns(fields)
    np.testing.assert_allclose(np.cov(unknowns.T), np.eye(40), atol=0.1)
    np.testing.assert_allclose(jax.vmap(climate.field)(unknowns[:8]), fields[:8], atol=1e-4)
    shifted = climate.field(np.roll(unknowns[0], 3))
    np.testing.assert_allclose(shifted, np.roll(fields[0], 3, axis=0), atol=1e-4)


def test_the_climatology_of_lorenz96_is_that_of_its_solver():
    climate = LORENZ.task.whitening(LORENZ.presets["smoke"])
    system = LORENZ.task.system(LORENZ.presets["smoke"])
    starts = jax.vmap(system.sample_initial)(jax.random.split(jax.random.key(1), 128))
    run = jax.jit(jax.vmap(lambda u: solve(system, u, 20.0 + 2.0 * np.arange(10), dt=0.05)))
    states = np.asarray(run(starts))[..., 0]
    assert states.mean() == pytest.approx(climate.mean, abs=0.05)
    power = (np.abs(np.fft.rfft(states - states.mean())) ** 2).mean(axis=(0, 1)) / 40
    np.testing.assert_allclose(power, climate.spectrum, rtol=0.2)


def test_a_climatology_without_a_variance_for_every_wave_is_refused():
    with pytest.raises(ValueError, match="21 waves"):
        Climatology(40, 0.0, (1.0,) * 20)


def test_a_task_has_an_unknown_parameter_or_a_prior_of_its_own():
    with pytest.raises(ValueError, match="leave one"):
        replace(TASK, prior=LORENZ.task.prior)


def test_posteriors_without_a_reference_are_judged_against_the_truth(monkeypatch, tmp_path):
    monkeypatch.setenv("SOLVERGAN_CACHE", str(tmp_path))
    monkeypatch.setattr(posterior_comparison, "TRUTH_RIVALS", (_mixture(4),))
    changes = {
        "data.trajectories": "64,16,16",
        "training.batch": "16",
        "compare.search": "true",
        "compare.members": "32",
    }
    # A single early observation of x at every site: its posterior is close, and a sampler reaches it.
    changes |= {"system.times": "0", "system.observed": "value", "system.observations": "40", "compare.cases": "8"}
    config = LORENZ.presets["smoke"].with_overrides(changes)
    LORENZ.task.check(config)
    with jax.enable_x64(False):
        dataset = LORENZ.task.data(config, lambda *_: None)

        def ignorant(key, count, condition):
            return np.asarray(jax.random.normal(key, (count, 40)))

        def proposed(key, count, condition, *, chunk):
            draws = ignorant(key, count, condition)
            return draws, norm.logpdf(draws).sum(axis=1)

        trained = SimpleNamespace(sample=ignorant, sample_with_log_density=proposed, evaluations=1, step=0)
        spent = {"data": 0.0, "training": 0.0}
        comparison, figures = LORENZ.task.compare(config, dataset, trained, spent, lambda *_: None)
    scored = comparison.need(AgainstTruth)
    assert comparison.get(Distances) is None and figures == {}
    assert scored.ahead == ("laplace_mixture_4",) and scored.cases == 8
    assert scored.rows["laplace_mixture_4"].values["crps"] < 0.6 * scored.rows["prior"].values["crps"]
    assert "against the truth" in comparison.title and scored.why in comparison.verdict


def test_settings_that_a_truth_alone_or_a_climatology_does_not_read_are_named():
    config = LORENZ.presets["smoke"]
    assert {"system.waves", "system.particles", "system.parameter"} <= set(LORENZ.task.unread_by(config))
    held = config.with_overrides({"system.reference": "long_runs"})
    assert "system.particles" not in LORENZ.task.unread_by(held)


def test_streamed_samples_have_the_law_of_the_stored_ones_and_follow_from_their_numbers():
    problem = TASK.inverse_problem(SMOKE, np.array([0.25, 0.5]))
    stream = streamed(problem, seed=3)
    unknowns, condition = stream(7, np.arange(4000, dtype=np.uint32))
    assert unknowns.shape == (4000, problem.dimension)
    np.testing.assert_allclose(np.cov(unknowns.T), np.eye(problem.dimension), atol=0.1)
    error = np.asarray(condition["observed"]) - np.asarray(jax.vmap(problem.predict)(unknowns))
    assert error.std() == pytest.approx(problem.noise, rel=0.03)
    again, _ = stream(7, np.arange(100, 110, dtype=np.uint32))
    np.testing.assert_allclose(again, unknowns[100:110], rtol=1e-6)
    other, _ = stream(8, np.arange(100, 110, dtype=np.uint32))
    assert np.abs(other - again).max() > 0.1


def test_a_streamed_training_goes_on_bit_for_bit_and_asks_for_the_same_posterior(tmp_path, monkeypatch):
    monkeypatch.setenv("SOLVERGAN_CACHE", str(tmp_path))
    config = SMOKE.with_overrides({"system.streamed": "true", "training.steps": "10", "training.log_every": "5"})
    dataset = TASK.data(config, lambda *told: None)
    problem = TASK.problem(config, dataset)
    whole = train(problem, config, tmp_path / "whole")
    half = replace(config, training=replace(config.training, checkpoint_every=5))
    train(problem, half, tmp_path / "parts")
    # As if the training had been stopped after its first checkpoint.
    shutil.rmtree(tmp_path / "parts" / "checkpoints" / "10")
    again = train(problem, half, tmp_path / "parts", resume=True)
    for one, two in zip(jax.tree.leaves(whole.params), jax.tree.leaves(again.params)):
        np.testing.assert_array_equal(one, two)
    stored = train(TASK.problem(SMOKE, dataset), replace(SMOKE, training=config.training), tmp_path / "stored")
    assert any(np.any(one != two) for one, two in zip(jax.tree.leaves(whole.params), jax.tree.leaves(stored.params)))
    assert TASK.identity(config, dataset.times) == TASK.identity(SMOKE, dataset.times)
