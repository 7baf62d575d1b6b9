"""Tasks: what cannot work is refused before anything is made, and conditions are what was asked for."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from experiments import catalog, pipeline
from experiments.config import DataConfig
from experiments.errors import UserError
from experiments.tasks import ensemble_cost
from experiments.tasks.observations import Cases, condition, observe
from experiments.tasks.task import dataset_spec


@pytest.mark.parametrize("name", list(catalog.names()))
def test_every_preset_passes_its_own_checks(name):
    if name == "digits":
        pytest.importorskip("sklearn")
    experiment = catalog.load(name)
    for config in experiment.presets.values():
        experiment.task.check(config)


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("kuramoto_sivashinsky", {"training.batch": "40000"}, "--training.batch 40000 takes 40000 samples"),
        ("kuramoto_sivashinsky", {"compare.fields": "5000"}, "makes 8192: make 10000, or compare fewer fields."),
        ("kuramoto_sivashinsky", {"compare.separations": "1,64"}, "--compare.separations 64 is no distance on 64"),
        (
            "kuramoto_sivashinsky",
            {"compare.draws": "100"},
            "9 distances tested at --compare.level 0.05 need at least 180",
        ),
        ("kuramoto_sivashinsky", {"compare.draws": "200"}, "refinement curves over 11 times"),
        ("burgers", {"training.batch": "20000"}, "makes only 16384 to train on"),
        ("burgers", {"compare.cases": "600"}, "makes 512: make more, or compare fewer cases."),
        ("burgers", {"carry.tau": "1"}, "--carry.tau 1: a forecast is for fixed times"),
        ("burgers", {"system.observations": "65"}, "more than the 64 grid points"),
        ("burgers", {"data.snapshots": "1"}, "keep at least 2 times"),
        ("burgers", {"data.points": "8,8", "data.extent": "1,1"}, "--data.points has 2 axes"),
        ("burgers", {"system.parameter": "0.5,0.1"}, "--system.parameter must be a lower and a higher value"),
        ("burgers", {"system.outside": "0.3"}, "--system.outside must hold values below 0.1 or above 0.5, found 0.3."),
        ("burgers", {"compare.level": "0.001"}, "need at least 3000"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence_before_anything_is_made(name, changes, told):
    experiment = catalog.load(name)
    with pytest.raises(UserError) as caught:
        experiment.task.check(experiment.presets["demo"].with_overrides(changes))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("kuramoto_sivashinsky", {"network.levels": "9"}, "network.levels = 9 does not fit a grid of shape (32,)"),
        ("kuramoto_sivashinsky", {"training.batch": "15"}, "training.batch = 15 does not divide over 4 devices"),
        ("kuramoto_sivashinsky", {"training.devices": "5"}, "only 4 are visible"),
        ("kuramoto_sivashinsky", {"optimizer.play": "competitive"}, "two losses do not add up to zero"),
        ("kuramoto_sivashinsky", {"game.critic_steps": "2", "optimizer.play": "simultaneous"}, "critic_steps = 2"),
        ("kuramoto_sivashinsky", {"game.ensemble_weight": "1"}, "set it to 0 for an unconditional task"),
        ("kuramoto_sivashinsky", {"game.transport": "1"}, "set network.latent to 0"),
        ("burgers", {"network.levels": "9"}, "network.levels = 9 does not fit a grid of shape (32,)"),
        ("burgers", {"network.constraint": "divergence_free"}, "two velocity channels"),
        (
            "gaussians",
            {"network.kind": "residual", "network.latent_signs": "false", "network.fourier": "0"},
            "choose mlp and none",
        ),
    ],
)
def test_a_recipe_that_cannot_be_trained_is_refused_before_there_are_data(name, changes, told):
    experiment = catalog.load(name)
    with pytest.raises(ValueError) as caught:
        pipeline.check(experiment, experiment.presets["smoke"].with_overrides(changes))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_data_sets_specification_is_the_section_of_the_configuration():
    data = DataConfig(trajectories=(5, 2, 3), snapshots=7, spin_up=1.5, stride=0.5, dt=0.25, chunk=4, seed=9)
    spec = dataset_spec("waves", data, keep_initial=True)
    for name in ("trajectories", "snapshots", "spin_up", "stride", "dt", "chunk", "seed"):
        assert getattr(spec, name) == getattr(data, name)
    assert spec.name == "waves" and spec.keep_initial


def test_observations_are_the_field_at_different_points_with_noise_of_the_given_size():
    rng = np.random.default_rng(0)
    fields = rng.standard_normal((500, 16, 1)).astype(np.float32)
    cases = observe(fields, np.full(500, 0.2), 6, 0.1, rng)
    assert all(len(set(points)) == 6 for points in cases.points)
    errors = cases.values - np.take_along_axis(fields[..., 0], cases.points, axis=1)
    assert errors.std() == pytest.approx(0.1, rel=0.05)
    with pytest.raises(ValueError, match="more than the 16 grid points"):
        observe(fields, 1.0, 17, 0.1, rng)


def test_the_networks_see_values_where_they_were_observed_and_the_logarithm_of_the_parameter():
    cases = Cases(np.array([[1, 3]]), np.array([[0.5, -2.0]], np.float32), np.array([np.e]))
    seen = condition(cases, 4, "viscosity")
    np.testing.assert_array_equal(seen["observed"][0], [[0, 0], [0.5, 1], [0, 0], [-2, 1]])
    np.testing.assert_allclose(seen["viscosity"], [[1.0]])


@pytest.fixture
def draw():
    """The sampler of a forecast whose generator returns the observed values as its only field."""
    experiment = catalog.load("burgers")
    config = experiment.presets["smoke"]
    trained = SimpleNamespace(sample=lambda key, count, seen: seen["observed"][:, None, :, :1], step=0)
    dataset = SimpleNamespace(times=np.array([0.25]))
    return experiment.task.sampler(config, dataset, trained)


def test_a_users_own_observations_are_what_the_generator_is_given(draw, key):
    fields = draw(3, key=key, points=[0.0, 5.1 * 2 * np.pi / 32], values=[0.3, -0.4], viscosity=0.3)
    assert fields.shape == (3, 1, 32, 1)
    np.testing.assert_allclose(fields.values[:, 0, [0, 5], 0], [[0.3, -0.4]] * 3, rtol=1e-6)
    np.testing.assert_allclose(fields.coordinates["viscosity"], 0.3)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"refine": 1.0}, "leave it at 0"),
        ({"viscosity": 0.3}, "give all of them or none"),
        ({"points": [0.1], "values": [1.0]}, "give all of them or none"),
        ({"points": [0.1], "viscosity": 0.3}, "give all of them or none"),
        ({"points": [0.1, 0.2], "values": [1.0], "viscosity": 0.3}, "two lists of one length"),
        ({"points": [0.1], "values": [1.0], "viscosity": -0.3}, "viscosity must be positive"),
        ({"points": [0.1], "values": [1.0], "nu": 0.3}, "nu is no condition"),
    ],
)
def test_half_a_condition_is_refused(draw, key, given, told):
    with pytest.raises(UserError, match=told):
        draw(2, key=key, **given)


def test_the_search_begins_with_the_reference_and_offers_cheaper_solvers():
    tried = ensemble_cost.settings(64, 0.01)
    assert tried[0] == {"points": 64, "dt": 0.01, "order": 4}
    assert len({tuple(sorted(one.items())) for one in tried}) == len(tried)
    assert all(one["points"] < 64 or one["dt"] > 0.01 or one["order"] < 4 for one in tried[1:])


def test_a_solver_ensemble_reaches_the_generator_by_being_as_close_or_inside_and_failures_stay():
    made = {
        "close": (np.zeros(3), {"spectrum": {"value": 1.0, "ratio": 2.0, "inside": False}}),
        "far": (np.ones(3), {"spectrum": {"value": 3.0, "ratio": 6.0, "inside": False}}),
        "inside": (np.full(3, 2.0), {"spectrum": {"value": 3.0, "ratio": 1.0, "inside": True}}),
        "burst": (np.full(3, np.inf), {}),
    }

    def make(setting):
        if setting["solver"] == "refused":
            raise ValueError("the grid is too small")
        return made[setting["solver"]][0], 0.5

    def hold(ensembles):
        return next(found for fields, found in made.values() if np.array_equal(fields, ensembles))

    told = []
    rows = ensemble_cost.search(
        [{"solver": name} for name in [*made, "refused"]],
        make,
        hold,
        {"spectrum": {"value": 2.0}},
        lambda done, total, what: told.append((done, total)),
    )
    assert [row["reaches"] for row in rows] == [True, False, True, False, False]
    assert rows[0]["error"] == rows[0]["worst"] == 2.0 and rows[0]["seconds_per_sample"] == 0.5
    assert rows[3]["failed"] == "the solver's fields are not finite"
    assert rows[4]["failed"] == "the grid is too small" and rows[4]["seconds_per_sample"] is None
    assert told == [(done, 5) for done in range(1, 6)]


def test_fields_that_blow_up_in_the_defect_penalty_count_as_zero_and_poison_nothing():
    """An untrained generator's: without the guard a Burgers training ended at its fourth update."""
    experiment = catalog.load("burgers")
    config, task = experiment.presets["smoke"], experiment.task
    rng = np.random.default_rng(0)
    calm = rng.standard_normal((4, config.data.snapshots, *config.data.points, 1)).astype(np.float32)
    penalty = task._defect_penalty(config, SimpleNamespace(times=np.arange(3) * config.data.stride, train=calm))
    condition = {task.parameter: np.full((4, 1), np.log(0.3), np.float32)}
    value, gradient = jax.jit(jax.value_and_grad(penalty))(calm, condition)
    wild = calm.copy()
    wild[2] *= 1e6
    guarded, after = jax.jit(jax.value_and_grad(penalty))(wild, condition)
    assert 0.0 < guarded < value
    gradient, after, others = np.asarray(gradient), np.asarray(after), [0, 1, 3]
    np.testing.assert_allclose(after[others], gradient[others], rtol=1e-5)
    assert np.all(after[2] == 0.0) and np.any(gradient[2] != 0.0)
