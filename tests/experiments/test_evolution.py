"""Histories of populations: models, estimators, the arithmetic of coverage, and a run from the command line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

import experiments
from experiments import catalog, cli
from experiments.errors import UserError
from experiments.evaluation.recovery import proportion, recovery
from experiments.evaluation.results import Recoveries
from experiments.studies import rival_estimates as rivals
from experiments.studies.evolution import inference_of
from experiments.studies.population_models import UnlinkedSites


@pytest.mark.parametrize(
    ("judge", "lowest", "highest"),
    [
        (lambda x: (x + 0.5) ** 2, 0.93, 1.07),
        # Beyond the second degree the derivative has the error that `poisson_counts` states: here one count of a rare
        # class changes the argument by up to 2.6, and the derivative is a quarter too large.
        (jnp.tanh, 1.1, 1.4),
    ],
)
def test_the_generators_mean_derivative_is_that_of_its_mean(judge, lowest, highest):
    model, z = UnlinkedSites(), jnp.array([0.2, -0.3, 0.4])
    scale = jnp.asarray(np.std(model.observe(np.asarray(z), np.random.default_rng(0), 400), axis=0))
    direction = jax.random.normal(jax.random.key(5), (scale.size,)) / scale.size**0.5

    def judged(z, key):
        return jnp.mean(judge(model.simulate(z, key, 64) / scale @ direction - 0.5))

    keys = jax.random.split(jax.random.key(6), 1500)
    slope = np.asarray(jax.jit(lambda: jax.lax.map(lambda key: jax.grad(judged)(z, key), keys, batch_size=50))())
    values = jax.jit(lambda z: jax.lax.map(lambda key: judged(z, key), keys, batch_size=50))
    step, largest = 0.1, int(np.abs(slope.mean(axis=0)).argmax())
    one = step * np.eye(len(z), dtype=np.float32)[largest]
    # The same keys on either side: much of the noise cancels.
    difference = np.asarray(values(z + one) - values(z - one)) / (2 * step)
    error = float(np.hypot(slope[:, largest].std(), difference.std())) / len(keys) ** 0.5
    assert error < 0.03 * abs(difference.mean())
    assert lowest < slope[:, largest].mean() / difference.mean() < highest


def test_the_generators_mean_is_the_exact_one():
    model, z = UnlinkedSites(paths=4096, steps=12), np.array([0.3, -0.5, 0.6])
    draw = jax.jit(lambda key: jnp.mean(model.simulate(jnp.asarray(z, jnp.float32), key, 500), axis=0))
    found = np.asarray(jax.lax.map(draw, jax.random.split(jax.random.key(7), 40)))
    error = found.std(axis=0, ddof=1) / 40**0.5
    wanted = model.expected(z)
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - wanted), 4.5 * error + 0.005 * wanted)


def test_the_likelihood_of_unlinked_sites_is_efficient():
    """Estimates spread as Fisher's information says, and 90% intervals hold the truth."""
    model, z = UnlinkedSites(), np.array([0.2, -0.4, 0.5])
    rng = np.random.default_rng(1)
    data = np.stack([model.observe(z, rng, 1024) for _ in range(60)])
    found = rivals.maximum_likelihood(model, data)
    spread = np.mean((found.high - found.low) / (2 * rivals.WIDTH), axis=0)
    np.testing.assert_allclose(found.value.std(axis=0, ddof=1), spread, rtol=0.3)
    assert (np.abs(found.value.mean(axis=0) - z) < 4 * spread / 60**0.5 + 0.02).all()
    held = ((found.low <= z) & (z <= found.high)).mean()
    assert binom.ppf(0.001, 180, 0.9) / 180 <= held <= 1.0


def test_bayesian_computation_is_far_nearer_to_the_truths_than_the_prior():
    model, rng = UnlinkedSites(paths=1024), np.random.default_rng(2)
    truth = rng.uniform(-0.8, 0.8, (8, 3))
    data = np.stack([model.observe(z, rng, 256) for z in truth])
    found = rivals.bayesian_computation(model, data, jax.random.key(10), 4000)
    error = np.sqrt(np.mean((found.value - truth) ** 2, axis=0))
    assert (error < 0.5 * truth.std(axis=0)).all()
    assert (found.low < found.value).all() and (found.value < found.high).all()
    # Its intervals are no narrower than those of the likelihood, which uses all that the counts hold.
    exact = rivals.maximum_likelihood(model, data)
    assert ((found.high - found.low).mean(axis=0) > 0.9 * (exact.high - exact.low).mean(axis=0)).all()


def test_bias_error_and_coverage_of_estimates_with_known_errors():
    truth = np.array([0.0, 1.0, 2.0, 3.0])
    value = truth + np.array([0.1, 0.1, 0.1, -0.5])
    found = recovery(truth, value, value - 0.2, value + 0.2)
    assert found.bias == pytest.approx(-0.05) and found.rmse == pytest.approx(np.sqrt(0.28 / 4))
    assert found.coverage == 0.75 and found.width == pytest.approx(0.4)
    assert found.bias_error == pytest.approx(np.std([0.1, 0.1, 0.1, -0.5], ddof=1) / 2)
    assert found.coverage_interval == pytest.approx(proportion(3, 4))


@given(st.integers(1, 60), st.data())
def test_the_interval_of_a_proportion_is_what_the_binomial_law_allows(count, data):
    held = data.draw(st.integers(0, count))
    low, high = proportion(held, count)
    assert low <= held / count <= high
    assert held == 0 or binom.sf(held - 1, count, low) == pytest.approx(0.025, abs=1e-6)
    assert held == count or binom.cdf(held, count, high) == pytest.approx(0.025, abs=1e-6)


@pytest.mark.slow
def test_the_game_recovers_a_truth_about_as_well_as_the_likelihood():
    config = catalog.load("evolution").presets["demo"]
    model, own = UnlinkedSites(), config.system
    truth = np.array([[0.3, -0.4, 0.5], [-0.5, 0.5, -0.3]])
    data = np.stack([model.observe(z, np.random.default_rng(3), own.regions) for z in truth])
    played = inference_of(own, model, config).estimates(data, jax.random.key(11))
    exact = rivals.maximum_likelihood(model, data)
    spread = (exact.high - exact.low) / (2 * rivals.WIDTH)
    assert (np.abs(played.estimate - exact.value) < 1.5 * spread + 0.02).all()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    with jax.enable_x64(False):
        assert cli.main(["run", "evolution", "--preset", "smoke", "--runs-dir", str(runs)]) == 0
    (folder,) = (runs / "evolution").iterdir()
    return folder


def test_a_run_compares_the_game_with_its_rivals(finished):
    run = experiments.load_run(finished)
    found = run.comparison.need(Recoveries)
    assert list(found.rows) == ["game", "likelihood", "bayesian_computation", "prior"]
    assert list(found.ranges) == ["log theta", "sigma", "log size"]
    assert found.rows["game"].seconds > 0 and "game" in run.comparison.verdict
    likelihood, prior = (found.rows[name].parameters["log theta"] for name in ("likelihood", "prior"))
    assert likelihood.rmse < prior.rmse
    page = (finished / "report.html").read_text()
    assert "Known truths" in page and "bayesian computation" in page and "data:image/svg" in page


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("training.batch", "256", "above --system.regions 128"),
        ("game.objective", "flow_matching", "no discriminator"),
        ("network.kind", "unet", "needs a grid"),
        ("training.devices", "2", "does not use it"),
        ("compare.draws", "300", "does not use it"),
    ],
)
def test_settings_that_cannot_be_are_refused(option, value, said, tmp_path, capsys):
    words = ["run", "evolution", "--preset", "smoke", f"--{option}", value, "--runs-dir", str(tmp_path)]
    assert cli.main(words) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_scheme_that_the_objective_does_not_allow_is_refused():
    experiment = catalog.load("evolution")
    changes = {"game.objective": "non_saturating", "optimizer.scheme": "competitive"}
    with pytest.raises(UserError, match="zero"):
        experiment.check(experiment.presets["smoke"].with_overrides(changes))
