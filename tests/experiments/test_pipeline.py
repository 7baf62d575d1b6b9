"""The whole path at its smallest: data, training, comparison, report; stopped and gone on with; drawn from."""

import html
import json
import os
import shutil
import subprocess
import sys
from functools import partial

import jax
import numpy as np
import pytest
import tensorstore

import experiments
from experiments import catalog, cli, runs
from experiments.evaluation.results import Cost, Distances, Refinement, Regions, Scores, Tests, Worth
from experiments.evaluation.two_sample import battery, classifiers
from gan.training.checkpoint import read_description
from gan.training.trained import rebuild


@pytest.fixture(scope="module", autouse=True)
def _small_classifiers():
    """Comparisons with few trees and steps: what they find is the business of other tests."""
    patch = pytest.MonkeyPatch()
    for name, less in (("boosted_scores", {"rounds": 15}), ("convolutional_scores", {"steps": 5})):
        patch.setattr(battery, name, partial(getattr(classifiers, name), **less))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished smoke run of the Kuramoto-Sivashinsky study."""
    runs = tmp_path_factory.mktemp("runs")
    patch = pytest.MonkeyPatch()
    patch.setenv("SOLVERGAN_CACHE", str(tmp_path_factory.mktemp("cache")))
    with jax.enable_x64(False):
        command = ["run", "kuramoto_sivashinsky", "--preset", "smoke", "--runs-dir", str(runs)]
        # The batch of 16 goes over the four forced devices by pmap.
        assert cli.main([*command, "--compare.search", "false"]) == 0
    (folder,) = (runs / "kuramoto_sivashinsky").iterdir()
    yield folder
    patch.undo()


def test_a_run_leaves_everything_behind(finished):
    for name in (
        "config.yaml",
        "data.json",
        "networks.json",
        "metrics.jsonl",
        "comparison.json",
        "report.html",
        "samples.npz",
    ):
        assert (finished / name).stat().st_size > 0
    comparison = runs.open_folder(finished).comparison()
    assert (comparison.step, comparison.data_seed, comparison.sealed) == (20, 0, False)
    assert comparison.need(Tests).distinguished
    for entry in comparison.need(Distances).entries.values():
        assert entry.value > 0
        assert entry.ratio == pytest.approx(entry.value / entry.floor)
    assert set(comparison.need(Refinement).curves) == {"generator", "gaussian", "bank"}
    assert comparison.need(Worth).trained_on == 128
    cost = comparison.need(Cost)
    assert cost.generator.seconds > 0 and cost.layer is not None and cost.data_seconds > 0
    assert cost.training_seconds == runs.open_folder(finished).metrics()[-1]["seconds"]
    assert html.escape(comparison.verdict, quote=False) in (finished / "report.html").read_text().replace("&#x27;", "'")


def test_the_shapes_checked_before_there_are_data_are_those_of_the_training(finished):
    assert shapes_checked("kuramoto_sivashinsky", finished) == shapes_trained(finished)


def shapes_checked(name, folder):
    return catalog.load(name).task.spec(experiments.load_run(folder).config)


def shapes_trained(folder):
    return rebuild(read_description(folder))[1].spec


def test_drawn_fields_have_coordinates_and_zero_mean(finished):
    run = experiments.load_run(finished)
    fields = run.sample(5, key=jax.random.key(1), refine=0.5)
    assert fields.values.shape == (5, 32, 1)
    assert fields.coordinates["x"].shape == (32,)
    assert fields.attrs["refine"] == 0.5
    # The equation conserves the mean, and the generator's output layer makes it zero.
    np.testing.assert_allclose(fields.values.mean(axis=1), 0.0, atol=1e-5)


def test_refining_is_the_solver_applied_to_the_same_draw(finished):
    from physics import solve

    run = experiments.load_run(finished)
    key = jax.random.key(2)
    start = run.sample(3, key=key).values
    advanced = run.sample(3, key=key, refine=1.0).values
    system = catalog.load("kuramoto_sivashinsky").task.system(run.config)
    direct = np.stack([solve(system, u, np.array([1.0]), dt=0.1)[0] for u in start])
    np.testing.assert_allclose(advanced, direct, atol=1e-4)


def test_a_finished_run_can_be_gone_on_with_and_does_nothing_new(finished, quick):
    before = (finished / "metrics.jsonl").read_text()
    compared = (finished / "comparison.json").stat().st_mtime_ns
    command = ["run", "kuramoto_sivashinsky", "--preset", "smoke", "--resume", str(finished)]
    assert cli.main(command) == 0
    assert (finished / "metrics.jsonl").read_text() == before
    assert (finished / "comparison.json").stat().st_mtime_ns == compared


@pytest.mark.slow
def test_a_comparison_with_fresh_data_is_sealed_and_leaves_the_training_data_alone(finished, tmp_path, capsys, quick):
    fresh = tmp_path / "run"
    shutil.copytree(finished, fresh)
    assert cli.main(["compare", str(fresh), "--fresh", "77"]) == 0
    before, after = (runs.open_folder(one).comparison() for one in (finished, fresh))
    assert after.sealed and after.data_seed == 77 and after.step == before.step
    for name in ("config.yaml", "data.json", "metrics.jsonl"):
        assert (fresh / name).read_text() == (finished / name).read_text()
    # The same samples beside other held-out fields.
    values = [one.need(Distances).entries["marginals"] for one in (before, after)]
    assert values[0].value != values[1].value == pytest.approx(values[0].value, rel=0.5)
    assert before.need(Worth).trained_on == after.need(Worth).trained_on
    with np.load(finished / "figures.npz") as own, np.load(fresh / "figures.npz") as other:
        np.testing.assert_allclose(own["samples/generator"], other["samples/generator"], atol=1e-5)
        assert not np.allclose(own["samples/solver"], other["samples/solver"])


def test_the_seed_of_the_runs_own_data_is_not_fresh(finished, capsys):
    compared = (finished / "comparison.json").stat().st_mtime_ns
    assert cli.main(["compare", str(finished), "--fresh", "0"]) == 2
    assert "--fresh 0 is the seed of the run's own data" in capsys.readouterr().err
    assert (finished / "comparison.json").stat().st_mtime_ns == compared


def test_a_study_has_no_fresh_data(tmp_path, capsys):
    folder = runs.create(tmp_path, "dirac", "smoke", catalog.load("dirac").presets["smoke"])
    assert cli.main(["compare", str(folder.path), "--fresh", "3"]) == 2
    assert "--fresh 3: dirac is a study without data" in capsys.readouterr().err
    assert not folder.comparison_file.exists()


@pytest.mark.slow
def test_a_forecast_run_is_held_against_the_posterior_inside_and_outside(tmp_path, monkeypatch):
    monkeypatch.setenv("SOLVERGAN_CACHE", str(tmp_path / "cache"))
    command = ["run", "burgers", "--preset", "smoke", "--runs-dir", str(tmp_path), "--compare.search", "false"]
    assert cli.main(command) == 0
    (folder,) = (tmp_path / "burgers").iterdir()
    assert shapes_checked("burgers", folder) == shapes_trained(folder)
    assert "<h3>viscosity 0.8</h3>" in (folder / "report.html").read_text()
    comparison = runs.open_folder(folder).comparison()
    regions = comparison.need(Regions).regions
    assert list(regions) == ["viscosity 0.8"]
    parts = [(comparison.need(Distances), comparison.need(Scores))]
    parts += [(one.distances, one.scores) for one in regions.values()]
    for distances, scores in parts:
        # Twenty steps of training cannot beat the exact posterior.
        crps = scores.entries["crps"]
        assert crps.value > crps.target > 0
        assert distances.entries["energy_divergence"].ratio > 1
    # The reference ensemble obeys the discrete equation to round-off, the generator does not.
    defect = comparison.need(Scores).entries["defect"]
    assert defect.target < 1e-4 < defect.value


ALONE = """
import sys

sys.path.insert(0, sys.argv[1])
import generator
import numpy as np

made = generator.Generator()
np.save(sys.argv[2], made.sample(100, seed=3))
others = {"flax", "optax", "orbax", "diffrax", "equinox", "gan", "physics", "experiments"} & set(sys.modules)
assert not others, others
try:
    made.sample(3, viscosity=0.1)
except ValueError as error:
    assert "the conditions are none, found ['viscosity']" in str(error)
else:
    raise AssertionError("a condition that the generator does not take was taken")
"""


def test_an_exported_generator_draws_the_same_samples_with_jax_alone(finished, tmp_path, capsys):
    out = tmp_path / "new" / "generator"
    assert cli.main(["export", str(finished), "--out", str(out), "--batch", "64"]) == 0
    assert "draws N sample x 32 x x 1 channel" in capsys.readouterr().out
    assert sorted(one.name for one in out.iterdir()) == ["about.json", "generator.py", "program.stablehlo"]
    about = json.loads((out / "about.json").read_text())
    assert about["shape"] == [32, 1] and about["channels"] == ["u"] and about["conditions"] == {}
    assert about["platforms"] == ["cpu", "cuda", "tpu"] and len(about["coordinates"]["x"]) == 32
    command = [sys.executable, "-c", ALONE, str(out), str(tmp_path / "drawn.npy")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""})
    assert done.returncode == 0, done.stderr
    own = experiments.load_run(finished).sample(100, key=jax.random.key(3)).values
    np.testing.assert_allclose(np.load(tmp_path / "drawn.npy"), own, atol=1e-4)
    mistakes = {"0 s.npy": "count must be at least 1", "3 s": "must end in .npy"}
    for (count, name), said in ((wrong.split(), said) for wrong, said in mistakes.items()):
        command = [sys.executable, str(out / "generator.py"), "--count", count, "--out", name]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    assert cli.main(["export", str(finished), "--out", str(out)]) == 2
    assert "exists already; give a name that does not" in capsys.readouterr().err


def test_samples_in_a_zarr_store_are_those_of_the_seed(finished, tmp_path):
    out = tmp_path / "f.zarr"
    assert cli.main(["sample", str(finished), "--count", "1000", "--seed", "3", "--out", str(out)]) == 0
    spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": str(out / "u")}}
    stored = tensorstore.open(spec).result().read().result()
    own = experiments.load_run(finished).sample(1000, key=jax.random.key(3)).values
    np.testing.assert_array_equal(stored, own[..., 0])
