"""Laws with known modes: drawn exactly, trained on, counted and shown."""

import jax
import numpy as np
import pytest

import experiments
from experiments import catalog, cli
from experiments.catalog.gaussians import LAYOUTS, Mixture
from experiments.errors import UserError
from experiments.evaluation.exact_samples import perfect_labels
from experiments.evaluation.results import Baselines, Distances, ModeShares, Scores
from experiments.evaluation.scores import mode_scores


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished smoke run on the plane."""
    runs = tmp_path_factory.mktemp("runs")
    with jax.enable_x64(False):
        assert cli.main(["run", "gaussians", "--preset", "smoke", "--runs-dir", str(runs)]) == 0
    (folder,) = (runs / "gaussians").iterdir()
    return folder


def test_every_score_stands_beside_exact_samples_of_the_same_number(finished):
    comparison = experiments.load_run(finished).comparison
    scores = comparison.need(Scores).entries
    assert set(scores) == {"modes_found", "high_quality", "total_variation", "kl"}
    assert scores["modes_found"].target == comparison.need(ModeShares).modes == 25
    assert scores["high_quality"].target == pytest.approx(1 - np.exp(-4.5), abs=0.01)
    # Forty steps do not find the modes' width.
    assert scores["high_quality"].value < scores["high_quality"].null[0]
    assert set(comparison.need(Distances).entries) == {"marginals", "quantiles", "sliced", "kernel"}
    baselines = comparison.need(Baselines)
    for row in (baselines.generator, baselines.rows["exact_samples"], baselines.rows["training_samples"]):
        assert set(row.values) == set(scores) | {"marginals", "quantiles", "sliced", "kernel"}
    # Exact points have nothing but their sampling error.
    assert scores["kl"].null[0] <= baselines.rows["exact_samples"].values["kl"] <= scores["kl"].null[1]


def test_a_perfect_sampler_has_the_sampling_error_of_its_number_of_samples():
    """KL is a chi-square over twice the number of samples, with one degree of freedom less than there are modes."""
    rng, weights = np.random.default_rng(0), np.full(400, 1 / 400)
    drawn = [mode_scores(perfect_labels(weights, 20_000, 0.9, rng), weights) for _ in range(40)]
    assert np.mean([one["kl"] for one in drawn]) == pytest.approx(399 / 40_000, rel=0.03)
    assert np.mean([one["high_quality"] for one in drawn]) == pytest.approx(0.9, abs=0.002)
    assert min(one["modes_found"] for one in drawn) == 400


def test_the_report_shows_samples_beside_exact_ones_and_the_training_as_a_sample_history(finished):
    page = (finished / "report.html").read_text()
    assert "generator against exact samples" in page
    assert page.count("data:image/gif;base64,") == 1
    assert "modes found over the training" in page and "total variation" in page
    assert len(list((finished / "sample_history").glob("*.npz"))) == 2


def test_points_are_drawn_from_a_run_with_their_names(finished):
    fields = experiments.load_run(finished).sample(7, key=jax.random.key(1))
    assert fields.values.shape == (7, 2)
    assert [name for name, _ in fields.variables()] == ["x", "y"]
    with pytest.raises(UserError, match="no solver here"):
        experiments.load_run(finished).sample(7, refine=1.0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_mixture_is_sampled_with_its_weights_and_its_width(layout):
    mixture = Mixture(layout)
    points = mixture.draw("train", 20_000, np.random.default_rng(0))
    labels = mixture.label(points)
    assert mixture.weights.sum() == pytest.approx(1.0)
    assert len(mixture.weights) == int(layout.rpartition("_")[2])
    shares = np.bincount(labels.mode, minlength=len(mixture.weights)) / len(points)
    np.testing.assert_allclose(shares, mixture.weights, atol=5 * np.sqrt(mixture.weights.max() / len(points)))
    radii = np.linalg.norm(points - mixture.centres[labels.mode], axis=1)
    assert np.sqrt(np.mean(radii**2) / 2) == pytest.approx(mixture.std, rel=0.02)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"training.batch": "600000", "data.samples": "1000,10,5000"}, "--data.samples draws only 1000 to train on"),
        ({"compare.fields": "5000"}, "draws 8192: draw 10000, or compare fewer."),
        ({"solver_layer.tau": "1"}, "--solver_layer.tau 1 has no effect"),
        ({"compare.refine": "0,1"}, "--compare.refine 0,1 has no effect"),
        ({"compare.search": "false"}, "--compare.search false has no effect"),
        ({"compare.draws": "60"}, "4 distances tested at --compare.level 0.05 need at least 80"),
        ({"system.layout": "ring_9"}, "one of ring_8, grid_25, grid_100"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_drawn(changes, expected):
    experiment = catalog.load("gaussians")
    with pytest.raises(UserError) as caught:
        experiment.check(experiment.presets["demo"].with_overrides(changes))
    assert expected in str(caught.value)


@pytest.mark.slow
def test_baselines_stand_in_the_generators_table(tmp_path):
    with jax.enable_x64(False):
        command = ["run", "gaussians", "--preset", "smoke", "--runs-dir", str(tmp_path), "--baselines"]
        assert cli.main(command) == 0
    (folder,) = (tmp_path / "gaussians").iterdir()
    comparison = experiments.load_run(folder).comparison
    learnt = {"autoencoder", "variational_autoencoder", "flow_matching_1", "flow_matching_4", "flow_matching_20"}
    rows = comparison.need(Baselines).rows
    assert set(rows) == learnt | {"training_samples", "exact_samples"}
    for name in learnt:
        assert rows[name].training_seconds > 0 and rows[name].timing.seconds > 0
        assert set(rows[name].values) == set(comparison.need(Baselines).generator.values)
    assert rows["flow_matching_20"].evaluations == 20
    page = (folder / "report.html").read_text()
    assert page.index("<td>generator</td>") < page.index("<td>flow matching 20</td>")
