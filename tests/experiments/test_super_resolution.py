"""Super-resolution: what is given is what the coarse solver makes, and scores are those of the fine fields."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import catalog
from experiments.config import CompareConfig, DataConfig, ExperimentConfig, SolverLayerConfig
from experiments.errors import UserError
from experiments.evaluation.results import AgainstTruth
from experiments.tasks.resampling import averaged, resampled
from experiments.tasks.super_resolution import SuperResolution, SuperResolutionConfig
from experiments.tasks.super_resolution_comparison import nearest, stored_fields
from gan.augmentation import transform_batch, transform_pairs
from gan.config import GameConfig, TrainingConfig
from physics import Grid, KuramotoSivashinsky, solve

FINE, LENGTH, STRIDE, DT = 32, 22.0, 1.0, 0.1


def system(config):
    return KuramotoSivashinsky(Grid(config.data.points, config.data.extent))


CONFIG = ExperimentConfig(
    data=DataConfig(
        points=(FINE,), extent=(LENGTH,), dt=DT, trajectories=(64, 4, 12), snapshots=3, spin_up=20.0, stride=STRIDE
    ),
    system=SuperResolutionConfig(factor=2, coarse_dt=0.1),
    game=GameConfig(r1=0.1, ensemble_weight=1.0),
    solver_layer=SolverLayerConfig(tau=0.0),
    training=TrainingConfig(steps=10, batch=8),
    compare=CompareConfig(cases=12, members=8, resamples=20),
)
TASK = SuperResolution(system)


@pytest.fixture(scope="module")
def dataset():
    """Trajectories of the fine solver."""
    start = jax.random.normal(jax.random.key(0), (80, FINE, 1))
    fine = system(CONFIG)
    times = 20.0 + STRIDE * np.arange(3)
    kept = np.asarray(jax.jit(jax.vmap(lambda u: solve(fine, u, times, dt=DT)))(start))
    return SimpleNamespace(train=kept[:64], validation=kept[64:68], test=kept[68:], dt=DT, times=times)


def test_averages_are_those_of_cells_centred_on_the_coarse_points():
    rng = np.random.default_rng(0)
    hat = np.zeros((3, 33), complex)
    hat[:, 1:6] = rng.standard_normal((3, 5)) + 1j * rng.standard_normal((3, 5))
    fine = np.fft.irfft(hat, 64, axis=1)[..., None] * 64
    # The same polynomial on a hundred times the points; a mean over a cell is the mean of what lies in it.
    dense = np.fft.irfft(np.pad(hat, ((0, 0), (0, 3200 - 32))), 6400, axis=1) * 6400
    cell = 400
    direct = np.roll(dense, cell // 2, axis=1).reshape(3, 16, cell).mean(axis=2)
    np.testing.assert_allclose(averaged(fine, 4)[..., 0], direct, atol=2e-2 * fine.std())


def test_averages_in_the_plane_keep_the_mean_and_are_taken_along_both_axes():
    x, y = np.meshgrid(*[2 * np.pi * np.arange(n) / n for n in (8, 12)], indexing="ij")
    field = (3 + np.cos(x) * np.sin(2 * y))[None, ..., None]
    found = averaged(field, 4)
    assert found.shape == (1, 2, 3, 1)
    expected = 3 + np.sinc(4 / 8) * np.sinc(2 * 4 / 12) * np.cos(x[::4, ::4]) * np.sin(2 * y[::4, ::4])
    np.testing.assert_allclose(found[0, ..., 0], expected, atol=1e-6)


def test_what_is_given_is_the_coarse_solver_from_the_cut_field(dataset):
    given, truth = TASK.pairs(CONFIG, dataset.test)
    assert given.shape == truth.shape == (24, FINE, 1)
    np.testing.assert_array_equal(truth[:2], dataset.test[0, 1:])
    fine, coarse = (Grid((n,), (LENGTH,)) for n in (FINE, FINE // 2))
    start = resampled(dataset.test[0, :2], fine, coarse)
    run = np.stack([solve(KuramotoSivashinsky(coarse), one, np.array([STRIDE]), dt=0.1)[0] for one in start])
    np.testing.assert_allclose(given[:2], resampled(run, coarse, fine), atol=1e-3)
    # It is near to the truth, and not the truth.
    gap = np.sqrt(np.mean((given - truth) ** 2) / np.var(truth))
    assert 1e-3 < gap < 0.5
    averages, _ = TASK.pairs(replace(CONFIG, system=replace(CONFIG.system, source="averages")), dataset.test)
    np.testing.assert_allclose(averages[0], resampled(averaged(truth[:1], 2), coarse, fine)[0], atol=1e-5)


def test_a_pair_that_is_moved_by_a_symmetry_is_what_the_solvers_make_of_the_moved_field(dataset, key):
    symmetries = TASK.problem(CONFIG, dataset).symmetries
    assert symmetries.shift_axes == (0,)
    keys = jax.random.split(key, 16)
    before, after = (np.asarray(dataset.test[:, n : n + 2]).reshape(-1, FINE, 1)[:16] for n in (0, 1))
    given = TASK.coarse_fields(CONFIG, before, after)
    coarse = jnp.asarray(given)
    difference, moved = transform_pairs(after - coarse, {"coarse": coarse}, keys, symmetries, 1)
    start, end = (np.asarray(transform_batch(jnp.asarray(one), keys, symmetries, 1)) for one in (before, after))
    assert np.abs(start - before).max() > 1.0
    from_moved = TASK.coarse_fields(CONFIG, start, end)
    scale = np.std(after - given)
    np.testing.assert_allclose(moved["coarse"], from_moved, atol=0.05 * scale)
    np.testing.assert_allclose(difference, end - from_moved, atol=0.05 * scale)
    averages = replace(CONFIG, system=replace(CONFIG.system, source="averages"))
    assert TASK.problem(averages, dataset).symmetries is None


def test_the_networks_learn_the_difference(dataset):
    problem = TASK.problem(CONFIG, dataset)
    given, truth = TASK.pairs(CONFIG, dataset.train)
    assert len(problem.train) == 64 * TASK.samples_per_trajectory(CONFIG) == 128
    np.testing.assert_allclose(problem.train + problem.condition["coarse"], truth, atol=1e-5)
    np.testing.assert_array_equal(problem.condition["coarse"], given)


def compared(dataset, sample):
    """The comparison's section for a generator of differences."""
    trained = SimpleNamespace(sample=sample)
    comparison, figures = TASK.compare(CONFIG, dataset, trained, {}, lambda *said: None)
    return comparison.need(AgainstTruth), figures


def test_a_generator_that_knows_the_truth_is_ahead_of_all_and_one_that_adds_nothing_is_the_interpolation(dataset):
    given, truth = TASK.pairs(CONFIG, dataset.test)
    rng = np.random.default_rng(1)

    def knowing(key, count, condition):
        which = np.argmin(((condition["coarse"][:, None] - given[None]) ** 2).sum(axis=(2, 3)), axis=1)
        return truth[which] - given[which] + 1e-3 * rng.standard_normal((count, FINE, 1))

    best, figures = compared(dataset, knowing)
    names = {"interpolation", "other_differences", "analogues", "fine_solver_0.25", "fine_solver_0.5", "fine_solver_1"}
    assert set(best.rows) == names | {"fine_solver_ensemble"}
    assert best.generator.values["crps"] < 0.005
    assert {"interpolation", "other_differences", "analogues"} <= set(best.behind)
    assert {"samples/given", "samples/generator", "samples/solver"} <= figures.keys()
    idle, _ = compared(dataset, lambda key, count, condition: np.zeros((count, FINE, 1), np.float32))
    assert idle.generator.values["crps"] == pytest.approx(idle.rows["interpolation"].values["crps"], rel=1e-5)
    # The longer the fine solver has, the nearer it comes.
    errors = [idle.rows[f"fine_solver_{share:g}"].values["error"] for share in (0.25, 0.5, 1.0)]
    assert errors[0] > errors[2] and errors[2] < idle.rows["interpolation"].values["error"]
    # Its members differ by what is unknown at the start, which is worth more than one solve.
    many, one = (idle.rows[name].values for name in ("fine_solver_ensemble", "fine_solver_1"))
    assert many["crps"] < one["crps"] and one["spread_skill"] < 0.01 < many["spread_skill"]
    # What interpolation leaves out is missing in the spectrum and in the gradients.
    blurred = idle.rows["interpolation"].values
    assert blurred["log_spectral_distance"] > 5 * one["log_spectral_distance"]
    assert blurred["gradient_crps"] > one["gradient_crps"]


def test_fields_of_other_cases_are_also_moved_by_symmetries(dataset):
    bank = stored_fields(TASK, CONFIG, dataset.train[:8])
    before, given, after = bank.before, bank.given, bank.after
    assert len(before) == len(given) == len(after) == 4 * 16
    np.testing.assert_array_equal(after[:16], TASK.pairs(CONFIG, dataset.train[:8])[1])
    # A moved field has the spectrum of its original, and is another field.
    power = np.abs(np.fft.rfft(after[..., 0], axis=1)).reshape(4, 16, -1)
    np.testing.assert_allclose(power[1:], np.broadcast_to(power[0], power[1:].shape), atol=1e-2)
    assert np.abs(after[16:32] - after[:16]).max() > 1.0
    # The three move together.
    np.testing.assert_allclose(TASK.coarse_fields(CONFIG, before[16:], after[16:]), given[16:], atol=0.05)


def test_a_users_own_coarse_field_is_interpolated_and_what_does_not_fit_is_refused(dataset, key):
    trained = SimpleNamespace(sample=lambda key, count, given: 0 * given["coarse"], step=3)
    draw = TASK.sampler(CONFIG, dataset, trained)
    x = np.arange(16) * 2 * np.pi / 16
    drawn = draw(3, key=key, coarse_fields=np.sin(x)[:, None])
    assert drawn.dims == ("sample", "x", "channel")
    np.testing.assert_allclose(drawn.values[2, :, 0], np.sin(np.arange(32) * 2 * np.pi / 32), atol=1e-5)
    assert draw(30, key=key).shape == (30, FINE, 1)
    with pytest.raises(UserError, match=r"must have the shape \(16, 1\)"):
        draw(3, key=key, coarse_fields=np.zeros((32, 1)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"data.snapshots": "1"}, "leaves no time for a coarse run"),
        ({"system.factor": "5"}, "--system.factor 5 leaves no whole grid"),
        ({"system.factor": "16"}, "--system.factor 16 leaves no whole grid"),
        ({"compare.cases": "4000"}, "--compare.cases 4000 needs as many independent test trajectories"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_in_one_sentence(changes, expected):
    experiment = catalog.load("smoke_plume")
    with pytest.raises(UserError) as caught:
        experiment.check(experiment.presets["smoke"].with_overrides(changes))
    assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_a_coarse_solver_that_blows_up_is_one_sentence(dataset):
    config = replace(CONFIG, system=replace(CONFIG.system, coarse_dt=1.0), data=replace(CONFIG.data, stride=200.0))
    wild = 1e3 * dataset.test
    with pytest.raises(UserError, match=r"does not stay finite with --system\.coarse_dt 1"):
        TASK.pairs(config, wild)


def test_the_nearest_fields_are_those_of_the_least_distance_in_units_of_each_channel():
    known = np.array([[[0.0, 0.0]], [[1.0, 0.0]], [[0.0, 100.0]], [[1.0, 100.0]]])
    # The second channel is a hundred times as large, and counts as much.
    wanted = np.array([[[0.2, 90.0]], [[0.9, 60.0]]])
    np.testing.assert_array_equal(nearest(known, wanted, 2), [[2, 3], [3, 1]])
