"""Posteriors of steady flow: unknowns of stored fields, sensors, the inverse problem, a whole run, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import experiments
from experiments import catalog, cli, plots, runs
from experiments.errors import UserError
from experiments.evaluation.results import Distances, ImportanceWeights, Scores
from experiments.tasks.posterior_task import TRUTH
from experiments.tasks.steady_posterior import _interpolation
from physics.data.cache import content_key

EXPERIMENT = catalog.load("darcy")
TASK, SMOKE = EXPERIMENT.task, EXPERIMENT.presets["smoke"]
CHANGES = {"data.pairs": "64,16,16", "training.batch": "16", "compare.search": "false"}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small configuration with its data."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SOLVERGAN_CACHE", str(tmp_path_factory.mktemp("cache")))
    config = SMOKE.with_overrides(CHANGES)
    with jax.enable_x64(False):
        yield config, TASK.data(config, lambda *_: None)
    patch.undo()


def test_unknowns_of_stored_permeabilities_are_the_numbers_that_they_were_drawn_from(small):
    config, dataset = small
    keys = [jax.random.fold_in(jax.random.key(config.data.seed), number) for number in range(96)]
    drawn = np.stack([jax.random.normal(key, (config.system.terms,)) for key in keys])
    splits = [TASK.unknowns(config, dataset, split) for split in ("train", "validation", "test")]
    assert [len(one) for one in splits] == [64, 16, 16]
    np.testing.assert_allclose(np.concatenate(splits), drawn, atol=1e-4)


def test_solved_fields_are_the_stored_ones_and_predict_what_was_observed(small):
    config, dataset = small
    solved = TASK.solved(config, dataset, TASK.unknowns(config, dataset, "test"))
    truths = TASK.truths(config, dataset, 16)
    assert solved.shape == truths.shape == (16, 1, 16, 16, 2)
    np.testing.assert_allclose(solved, truths, atol=2e-4)
    predicted, clean = TASK.predicted(config, solved[:, None]), TASK.exact(config, dataset, "test")
    np.testing.assert_allclose(predicted[:, 0], clean, atol=1e-4)
    observed = TASK.observe(config, dataset, "train")
    assert (observed - TASK.exact(config, dataset, "train")).std() == pytest.approx(config.system.noise, rel=0.1)


@pytest.mark.parametrize(("observed", "function"), [("value", np.asarray), ("magnitude", np.abs)])
@pytest.mark.parametrize("cells", [8, 16])
def test_sensors_read_a_linear_pressure_exactly_on_any_grid(observed, function, cells):
    config = SMOKE.with_overrides({"system.observed": observed, "system.sensors": "3"})
    centres = (np.arange(cells) + 0.5) / cells
    pressure = (centres[:, None] - 2 * centres[None] + 0.3)[..., None]
    x, y = TASK.places(config).T
    assert len(x) == TASK.sizes(config)[1] == 9
    np.testing.assert_allclose(TASK.seen(config, pressure), function(x - 2 * y + 0.3), atol=1e-6)


def test_sensors_nearer_to_the_wall_than_a_centre_go_on_in_a_straight_line():
    weights = _interpolation(8, 4)
    np.testing.assert_allclose(weights @ ((np.arange(4) + 0.5) / 4), (np.arange(8) + 0.5) / 8)


@pytest.mark.float64
def test_the_gradient_of_the_likelihood_is_that_of_finite_differences():
    problem = TASK.inverse_problem(SMOKE, tolerance=1e-12)
    rng = np.random.default_rng(0)
    theta, direction = map(jnp.asarray, rng.standard_normal((2, problem.dimension)))
    observed = 0.05 * jnp.asarray(rng.standard_normal(TASK.sizes(SMOKE)[1]))

    def density(step):
        return float(problem.log_likelihood(theta + step * direction, observed))

    slope = (density(1e-4) - density(-1e-4)) / 2e-4
    gradient = jax.grad(problem.log_likelihood)(theta, observed)
    assert float(gradient @ direction) == pytest.approx(slope, rel=1e-5)


def test_cheaper_solvers_come_near_to_the_one_that_made_the_data(small):
    config, dataset = small
    own, *cheaper = TASK.posed(config, dataset).solvers
    unknowns, clean = TASK.unknowns(config, dataset, "test"), TASK.exact(config, dataset, "test")
    errors = [
        float(np.abs(jax.vmap(solver.problem.predict)(unknowns) - clean).mean() / clean.std())
        for solver in (own, *cheaper)
    ]
    assert errors[0] < 1e-4 < min(errors[1:]) and max(errors[1:]) < 0.2, errors
    assert [one.setting["cells"] for one in cheaper] == [16, 8, 8]


def test_streamed_samples_have_the_law_of_the_stored_ones(small):
    config, dataset = small
    unknowns, condition = TASK.stream(config, dataset)(0, np.arange(512, dtype=np.uint32))
    clean = jax.vmap(TASK.posed(config, dataset).problem.predict)(unknowns)
    assert np.asarray(condition["observed"] - clean).std() == pytest.approx(config.system.noise, rel=0.06)
    np.testing.assert_allclose(np.cov(np.asarray(unknowns).T), np.eye(config.system.terms), atol=0.2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.points": "100,100"}, "at most 8192: take fewer"),
        ({"data.points": "8,8,8"}, "points has 3 axes"),
        ({"data.points": "8,8"}, "choose a multiple of 16"),
        ({"data.points": "24,24"}, "choose a multiple of 16"),
        ({"data.points": "5,4"}, "do not hold the wells"),
        ({"system.terms": "257"}, "more than the 256 cells"),
        ({"system.sensors": "17"}, "more than the 16 cells"),
        ({"training.batch": "1000"}, "--data.pairs makes only 512"),
        ({"data.pairs": "100000000,64,32", "data.points": "64,64"}, "GB"),
        ({"compare.cases": "40"}, "as many test pairs, but --data.pairs makes 32"),
        ({"system.particles": "16"}, "the reference is halved"),
        ({"system.observed": "sign"}, "value, magnitude, square"),
        ({"solver_layer.tau": "1"}, "has no effect, because darcy does not use it"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence_before_work_begins(changes, words):
    with pytest.raises(UserError, match=words) as caught:
        EXPERIMENT.check(SMOKE.with_overrides(changes))
    assert "\n" not in str(caught.value)


def test_the_truth_alone_needs_no_reference():
    config = SMOKE.with_overrides({"system.reference": TRUTH})
    assert "system.particles" in TASK.unread_by(config) and "system.particles" not in TASK.unread_by(SMOKE)


@pytest.mark.slow
def test_a_run_ends_in_a_report_with_pictures_of_the_plane_and_can_be_drawn_from(tmp_path, monkeypatch):
    monkeypatch.setenv("SOLVERGAN_CACHE", str(tmp_path / "cache"))
    options = [text for name, value in CHANGES.items() for text in (f"--{name}", value)]
    assert cli.main(["run", "darcy", "--preset", "smoke", "--runs-dir", str(tmp_path), *options]) == 0
    (folder,) = (tmp_path / "darcy").iterdir()
    comparison = runs.open_folder(folder).comparison()
    assert comparison.channels == ("log_permeability", "pressure")
    assert {"crps", "misfit"} <= comparison.need(Scores).entries.keys()
    assert comparison.need(Distances).entries["energy_divergence"].value > 0
    assert all(0 < one <= 1 for one in comparison.need(ImportanceWeights).effective)
    assert "mean and standard deviation of both ensembles" in (folder / "report.html").read_text()
    with np.load(folder / "figures.npz") as figures:
        drawn = dict(figures)
    assert len(plots.planes(drawn, comparison)) == 4 and not plots.forecasts(drawn, comparison)
    run = experiments.load_run(folder)
    observed = np.full(4, 0.02)
    fields = run.sample(5, key=jax.random.key(0), observed=observed)
    assert fields.values.shape == (5, 16, 16, 2) and fields.dims == ("sample", "x", "y", "channel")
    with pytest.raises(UserError, match="4 finite numbers"):
        run.sample(5, key=jax.random.key(0), observed=observed[:3])


def test_fresh_test_pairs_leave_the_others_alone(small):
    config, dataset = small
    own, fresh = TASK.with_fresh_test(config, dataset, 5, lambda *_: None)
    assert own.data.seed == 5 and len(fresh.splits["test"].pressure) == 16
    assert not np.allclose(fresh.splits["test"].pressure, dataset.splits["test"].pressure)
    assert fresh.splits["train"] is dataset.splits["train"]


def test_the_long_runs_of_sealed_figures_are_still_asked_for_by_the_same_key():
    # Figures of the page of results rest on these runs in the cache.
    keys = {
        "burgers_inverse": ((0.25, 0.5, 0.75, 1.0), "26d0a7dfc8a6926a7f4a62bf21aa777e"),
        "kuramoto_sivashinsky_window": ((2.0, 4.0), "ff2acdb483f03a13386313e1be965a37"),
    }
    for name, (times, key) in keys.items():
        experiment = catalog.load(name)
        identity = experiment.task.identity(experiment.presets["demo"], np.array(times))
        assert content_key(identity) == key, name
