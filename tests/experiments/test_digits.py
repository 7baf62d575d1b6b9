"""Pictures of the MNIST form: read, checked, stacked, trained on, counted by a classifier."""

import gzip
import json
import struct

import jax
import numpy as np
import pytest

import experiments
from experiments import catalog, cli, pictures, pipeline
from experiments.catalog.digits import Stacks
from experiments.errors import UserError
from experiments.evaluation.exact_samples import perfect_labels
from experiments.evaluation.results import ModeShares, Scores
from experiments.evaluation.scores import mode_scores, train_classifier


def bars(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of 8 x 8 with one bright row each, the row being the class, bytes with noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 8, count)
    images = rng.integers(0, 60, (count, 8, 8))
    images[np.arange(count), labels] += 150
    return images.astype(np.uint8), labels.astype(np.int64)


def write_idx(path, array: np.ndarray, compress=gzip.compress) -> None:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(compress(header + array.astype(np.uint8).tobytes()))


def test_idx_and_npz_files_are_read_to_the_same_pictures(tmp_path):
    images, labels = bars(20)
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", images)
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", labels)
    np.savez(tmp_path / "all.npz", x_train=images[:15], y_train=labels[:15], x_test=images[15:], y_test=labels[15:])
    for name in ("train-images-idx3-ubyte.gz", "all.npz"):
        read = pictures.load(str(tmp_path / name))
        assert read.images.shape == (20, 8, 8, 1)
        np.testing.assert_allclose(read.images[..., 0], images / 255.0, atol=1e-7)
        # Classes are renumbered from 0 without gaps.
        np.testing.assert_array_equal(np.unique(labels)[read.labels], labels)


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"pixels": np.zeros(3)}, "holds pixels; give x_train and y_train"),
        ({"images": np.zeros((4, 8)), "labels": np.arange(4)}, r"shape \(4, 8\) cannot be read"),
        ({"images": np.zeros((4, 8, 8, 7)), "labels": np.arange(4)}, "1 to 4 channels"),
        ({"images": np.ones((4, 8, 8)), "labels": np.arange(3)}, "give 4 whole numbers"),
        ({"images": np.ones((4, 8, 8)), "labels": np.arange(4) / 2}, "give 4 whole numbers"),
        ({"images": np.ones((4, 8, 8)), "labels": np.ones(4, int)}, "holds 1 class"),
        ({"images": -np.ones((4, 8, 8)), "labels": np.arange(4)}, "values from -1 to -1"),
        ({"images": np.full((4, 8, 8), np.nan), "labels": np.arange(4)}, "not finite"),
    ],
)
def test_pictures_that_do_not_fit_are_refused_in_one_sentence(tmp_path, arrays, expected):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError, match=expected):
        pictures.load(str(tmp_path / "bad.npz"))


def test_files_that_are_missing_or_damaged_are_refused(tmp_path):
    with pytest.raises(UserError, match="is no file"):
        pictures.load(str(tmp_path / "none.npz"))
    images, _ = bars(4)
    path = tmp_path / "a-images-idx3-ubyte"
    write_idx(path, images, bytes)
    with pytest.raises(UserError, match="needs its labels in a-labels-idx1-ubyte"):
        pictures.load(str(path))
    (tmp_path / "a-labels-idx1-ubyte").write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="cut short"):
        pictures.load(str(path))


def test_networks_that_do_not_fit_the_pictures_are_refused_before_anything_compiles(tmp_path):
    images, labels = bars(50)
    np.savez(tmp_path / "all.npz", images=images, labels=labels)
    experiment = catalog.load("digits")
    with pytest.raises(UserError, match=r"^--network\.latent_signs = True .*; set network\.latent_signs to false, "):
        experiment.presets["demo"].with_overrides({"network.kind": "residual"})
    kind = {"network.kind": "residual", "network.latent_signs": "false", "network.levels": "5"}
    changes = {"system.file": str(tmp_path / "all.npz"), **kind}
    with pytest.raises(ValueError, match=r"network\.levels = 5 does not fit a grid of shape \(8, 8\)"):
        pipeline.check(experiment, experiment.presets["demo"].with_overrides(changes))


def test_the_classifier_learns_what_can_be_told_apart():
    images, labels = bars(600)
    images = images / 255.0
    classifier = train_classifier(images[:500], labels[:500], steps=300)
    found = classifier.probabilities(images[500:])
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
    assert (found.argmax(axis=1) == labels[500:]).mean() > 0.97
    with pytest.raises(ValueError, match="two classes or more"):
        train_classifier(images[:5], np.zeros(5, int))


@pytest.fixture(scope="module")
def stacks():
    """Stacks of two, of pictures whose classes the classifier tells apart, three times as many of class 0."""
    images, labels = bars(900)
    few = (labels == 0) | (np.arange(900) % 3 == 0)
    with jax.enable_x64(False):
        return Stacks(pictures.Pictures(images[few][..., None] / np.float32(255), labels[few], "bars"), 2, seed=0)


def test_the_weights_are_those_of_the_pictures_that_the_generator_is_shown(stacks):
    """Stacks of the training split come to the sampling error of a perfect sampler, held-out ones to more."""
    rng, count = np.random.default_rng(0), 100_000

    def mean_kl(labels):
        return np.mean([mode_scores(labels(), stacks.weights)["kl"] for _ in range(5)])

    perfect = mean_kl(lambda: perfect_labels(stacks.weights, count, 1.0, rng))
    assert mean_kl(lambda: stacks.exact("train", count, rng)) == pytest.approx(perfect, rel=0.25)
    assert mean_kl(lambda: stacks.exact("test", count, rng)) > 5 * perfect


def test_stacks_are_labelled_alike_with_and_without_being_made(stacks):
    made = stacks.label(stacks.draw("test", 300, np.random.default_rng(1)))
    unmade = stacks.exact("test", 300, np.random.default_rng(1))
    np.testing.assert_array_equal(made.mode, unmade.mode)
    np.testing.assert_array_equal(made.high, unmade.high)


def test_a_class_without_a_training_picture_is_refused():
    images, labels = bars(60)
    labels[:] = labels % 2
    order = np.random.default_rng((0, 7)).permutation(60)
    labels[order[-1]] = 7
    with pytest.raises(UserError, match="class 7 of bars has no picture in the training split"):
        Stacks(pictures.Pictures(images[..., None] / np.float32(255), labels, "bars"), 1, seed=0)


@pytest.mark.slow
def test_a_run_on_a_users_pictures_counts_stacked_classes(tmp_path):
    images, labels = bars(800)
    np.savez(tmp_path / "all.npz", images=images, labels=labels)
    with jax.enable_x64(False):
        command = ["run", "digits", "--preset", "smoke", "--runs-dir", str(tmp_path / "runs")]
        assert cli.main([*command, "--system.file", str(tmp_path / "all.npz")]) == 0
    (folder,) = (tmp_path / "runs" / "digits").iterdir()
    comparison = experiments.load_run(folder).comparison
    assert comparison.need(ModeShares).modes == 64 and len(comparison.channels) == 2
    assert json.loads((folder / "data.json").read_text())["classifier accuracy on held-out pictures"] > 0.97
    # 512 stacks of the real pictures find every one of 64 modes but for chance.
    assert comparison.need(Scores).entries["modes_found"].target >= 62
    with np.load(folder / "sample_history" / "00000020.npz") as frame:
        assert frame["samples"].shape == (16, 8, 8, 2)


def test_shipped_digits_are_read_where_scikit_learn_is_installed():
    pytest.importorskip("sklearn")
    read = pictures.load("")
    assert read.images.shape == (1797, 8, 8, 1) and set(read.labels) == set(range(10))
    assert read.images.min() == 0.0 and read.images.max() == 1.0
