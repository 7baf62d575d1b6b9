"""Tasks: what cannot work is refused before anything is made, and conditions are what was asked for."""

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from experiments import catalog, pipeline
from experiments.config import DataConfig
from experiments.errors import UserError
from experiments.options import settings
from experiments.tasks.advance import ByValue, evolution, refiner
from experiments.tasks.gaussian_posterior import GaussianPosterior
from experiments.tasks.observations import Observed, condition, observe
from experiments.tasks.solver_task import dataset_spec
from physics import Burgers, Grid, Heat, Lorenz96, SeismicWave, solve


@pytest.mark.parametrize("name", list(catalog.names()))
def test_every_preset_passes_its_own_checks(name):
    if name == "digits":
        pytest.importorskip("sklearn")
    experiment = catalog.load(name)
    for config in experiment.presets.values():
        # What learns from a user's file has none of its own.
        with pytest.raises(UserError, match=r"--system\.file") if name == "own_data" else nullcontext():
            experiment.check(config)


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("kuramoto_sivashinsky", {"training.batch": "40000"}, "--training.batch 40000 takes 40000 samples"),
        (
            "kuramoto_sivashinsky",
            {"compare.fields": "5000"},
            "need 10000 test trajectories, but --data.trajectories makes 8192",
        ),
        ("kuramoto_sivashinsky", {"compare.separations": "1,64"}, "--compare.separations 64 is no distance on 64"),
        (
            "kuramoto_sivashinsky",
            {"compare.draws": "100"},
            "9 distances tested at --compare.level 0.05 need at least 180",
        ),
        ("kuramoto_sivashinsky", {"compare.members": "8"}, "--compare.members 8 has no effect"),
        ("kuramoto_sivashinsky", {"compare.cases": "8"}, "--compare.cases 8 has no effect"),
        ("kuramoto_sivashinsky", {"compare.refined": "5000"}, "need 10000 test trajectories"),
        ("kuramoto_sivashinsky", {"compare.tested": "30000"}, "training fields, but --data.trajectories and"),
        (
            "kuramoto_sivashinsky",
            {"compare.refined": "512"},
            "is more than twice --compare.refined 512",
        ),
        ("burgers", {"training.batch": "20000"}, "makes only 16384 to train on"),
        ("burgers", {"compare.cases": "600"}, "makes 512: make more, or compare fewer cases."),
        ("burgers", {"solver_layer.tau": "1"}, "--solver_layer.tau 1 has no effect, because burgers does not use it"),
        ("burgers", {"compare.refine": "0,1"}, "--compare.refine 0,1 has no effect"),
        ("burgers", {"compare.projections": "64"}, "--compare.projections 64 has no effect"),
        ("burgers", {"compare.draws": "50"}, "need at least 60"),
        ("burgers", {"system.observations": "65"}, "more than the 64 grid points"),
        ("burgers", {"data.snapshots": "1"}, "keep at least 2 times"),
        ("burgers", {"data.points": "8,8", "data.extent": "1,1"}, "--data.points has 2 axes"),
        ("burgers", {"system.parameter": "0.5,0.1"}, "--system.parameter must be a lower and a higher value"),
        ("burgers", {"system.outside": "0.3"}, "--system.outside must hold values below 0.1 or above 0.5, found 0.3."),
        ("burgers", {"compare.level": "0.001"}, "need at least 3000"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence_before_anything_is_made(name, changes, expected):
    experiment = catalog.load(name)
    with pytest.raises(UserError) as caught:
        experiment.check(experiment.presets["demo"].with_overrides(changes))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        (
            "kuramoto_sivashinsky",
            {"network.waves": "16"},
            "network.waves = 16 are more than 32 points along an axis can hold",
        ),
        ("kuramoto_sivashinsky", {"training.batch": "15"}, "training.batch = 15 does not divide over 4 devices"),
        ("kuramoto_sivashinsky", {"training.devices": "5"}, "only 4 are visible"),
        ("kuramoto_sivashinsky", {"optimizer.scheme": "competitive"}, "two losses do not add up to zero"),
        ("kuramoto_sivashinsky", {"game.critic_steps": "2", "optimizer.scheme": "simultaneous"}, "critic_steps = 2"),
        ("kuramoto_sivashinsky", {"game.ensemble_weight": "1"}, "set it to 0 for an unconditional task"),
        ("kuramoto_sivashinsky", {"game.transport": "1"}, "set network.latent to 0"),
        ("burgers", {"network.levels": "9"}, "network.levels = 9 does not fit a grid of shape (32,)"),
        ("burgers", {"network.constraint": "divergence_free"}, "two velocity channels"),
        (
            "burgers",
            {"game.objective": "flow_matching", "game.ensemble_weight": "0"},
            "the penalties defect could judge",
        ),
        (
            "gaussians",
            {"network.kind": "residual", "network.latent_signs": "false", "network.fourier": "0"},
            "choose mlp or residual_mlp, and none",
        ),
    ],
)
def test_a_recipe_that_cannot_be_trained_is_refused_before_there_are_data(name, changes, expected):
    experiment = catalog.load(name)
    with pytest.raises(ValueError) as caught:
        pipeline.check(experiment, experiment.presets["smoke"].with_overrides(changes))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_flow_matching_without_penalties_passes():
    experiment = catalog.load("burgers")
    changes = {"game.objective": "flow_matching", "game.ensemble_weight": "0", "system.terms": "none"}
    pipeline.check(experiment, experiment.presets["smoke"].with_overrides(changes))


@pytest.mark.parametrize(("terms", "expected"), [("none", ()), ("defect,resolve", ("defect", "resolve"))])
def test_a_forecast_names_the_penalties_that_its_problem_has(terms, expected):
    from experiments.tasks.forecast import Forecast

    experiment = catalog.load("burgers")
    config = experiment.presets["smoke"].with_overrides({"system.terms": terms})
    task = experiment.learnt()
    assert isinstance(task, Forecast)
    assert task.penalties(config) == expected


def test_the_data_sets_specification_is_the_section_of_the_configuration():
    data = DataConfig(trajectories=(5, 2, 3), snapshots=7, spin_up=1.5, stride=0.5, dt=0.25, chunk=4, seed=9)
    system = Lorenz96.example()
    spec = dataset_spec(data, system, keep_initial=True)
    for name in ("trajectories", "snapshots", "spin_up", "stride", "dt", "chunk", "seed"):
        assert getattr(spec, name) == getattr(data, name)
    assert spec.name == system.name and spec.keep_initial
    # What a system states of its own certificate holds for every data set of it.
    assert spec.limits.horizon == system.default_dataset["horizon"]


def test_observations_are_the_field_at_different_points_with_noise_of_the_given_size():
    rng = np.random.default_rng(0)
    fields = rng.standard_normal((500, 16, 1)).astype(np.float32)
    cases = observe(fields, np.full(500, 0.2), 6, 0.1, rng)
    assert all(len(set(points)) == 6 for points in cases.points)
    errors = cases.values - np.take_along_axis(fields[..., 0], cases.points, axis=1)
    assert errors.std() == pytest.approx(0.1, rel=0.05)
    fixed = observe(fields, np.full(500, 0.2), 4, 0.1, rng, sensors=True)
    assert (fixed.points == [0, 4, 8, 12]).all()
    with pytest.raises(ValueError, match="more than the 16 grid points"):
        observe(fields, 1.0, 17, 0.1, rng)


def test_the_networks_see_values_where_they_were_observed_and_the_logarithm_of_the_parameter():
    cases = Observed(np.array([[1, 3]]), np.array([[0.5, -2.0]], np.float32), np.array([np.e]))
    seen = condition(cases, 4, "viscosity")
    np.testing.assert_array_equal(seen["observed"][0], [[0, 0], [0.5, 1], [0, 0], [-2, 1]])
    np.testing.assert_allclose(seen["log_viscosity"], [[1.0]])


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


def test_an_initial_field_of_the_generator_becomes_a_forecast_by_the_solver_of_its_parameter(key):
    experiment = catalog.load("burgers")
    changes = {"system.generates": "initial", "system.terms": "none", "system.sensors": "true"}
    config = experiment.presets["smoke"].with_overrides(changes)
    experiment.check(config)
    x = np.arange(32) * 2 * np.pi / 32
    waves = np.sin(x)[None, :, None].repeat(2, axis=0).astype(np.float32)
    trained = SimpleNamespace(sample=lambda key, count, seen: waves[:count], step=0)
    draw = experiment.task.sampler(config, SimpleNamespace(times=np.array([0.25, 0.5]), dt=0.025), trained)
    given = draw(2, key=key, points=x[::8], values=[0.0, 1.0, 0.0, -1.0], viscosity=0.3)
    direct = solve(Burgers(Grid((32,), (2 * np.pi,)), 0.3), waves[0], np.array([0.25, 0.5]), dt=0.025)
    np.testing.assert_allclose(given.values, np.stack([direct, direct]), atol=1e-5)
    with pytest.raises(UserError, match=r"points must be those of the sensors, in this order: 0, 1\.571"):
        draw(2, key=key, points=x[1::8], values=[0.0, 1.0, 0.0, -1.0], viscosity=0.3)


@pytest.mark.parametrize(
    ("given", "expected"),
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
def test_half_a_condition_is_refused(draw, key, given, expected):
    with pytest.raises(UserError, match=expected):
        draw(2, key=key, **given)


@pytest.fixture(scope="module")
def posterior():
    """The posterior of the smoke preset's system, and three observed fields."""
    experiment = catalog.load("burgers")
    config, task = experiment.presets["smoke"], experiment.task
    rng = np.random.default_rng(0)
    with jax.enable_x64(False):
        solved = GaussianPosterior(partial(task.system, config), task.prior(config), 0.1, np.array([0.25, 0.5]), 0.025)
        initial = solved.prior_fields(3, 1, jax.random.key(0))
    return solved, observe(initial[:, 0], np.array([0.2, 0.3, 0.4]), 4, 0.1, rng)


def test_draws_of_the_posterior_pass_near_what_was_observed(posterior, key):
    solved, seen = posterior
    drawn = solved.draw(seen, 200, key)
    at = np.take_along_axis(drawn[..., 0], seen.points[:, None], axis=2)
    # Prior and error are independent: the posterior at an observed point is narrower than the error alone.
    assert np.all(np.abs(at.mean(axis=1) - seen.values) < 0.4)
    assert np.all(at.std(axis=1) < 0.12)
    assert solved.prior_fields(2, 200, key).std(axis=1).mean() == pytest.approx(1.0, abs=0.1)


def test_the_search_begins_with_the_reference_and_offers_cheaper_solvers(posterior, key):
    solved, seen = posterior
    tried = solved.candidates(seen, 2, key)
    assert tried[0].setting == {"points": 32, "dt": 0.025, "order": 4}
    settings = [one.setting for one in tried]
    assert len({tuple(sorted(one.items())) for one in settings}) == len(tried)
    assert all(one["points"] < 32 or one["dt"] > 0.025 or one["order"] < 4 for one in settings[1:])
    # All of them carry the same draws, and interpolate to the reference's grid.
    reference, half = tried[0].make(), next(one for one in tried if one.setting["points"] == 16).make()
    assert reference.shape == half.shape == (3, 2, 2, 32, 1)
    np.testing.assert_allclose(half, reference, atol=0.15)


def test_trajectories_of_the_solver_have_no_defect(posterior, key):
    solved, seen = posterior
    trajectories = solved.solve(solved.draw(seen, 2, key), seen.parameter)
    assert solved.defects(trajectories, seen.parameter).max() < 1e-4
    assert solved.defects(trajectories * 1.1, seen.parameter).min() > 1e-3


@pytest.mark.parametrize("name", list(catalog.names()))
def test_no_preset_sets_what_its_task_does_not_use(name):
    """Such a setting would be refused from one preset and accepted from another."""
    experiment = catalog.load(name)
    first, *others = experiment.presets.values()
    unread = (experiment.task or experiment.study).unread
    for other in others:
        for (option, _, value, _), (_, _, also, _) in zip(settings(first), settings(other)):
            if option in unread or option.partition(".")[0] in unread:
                assert value == also, option


def test_fields_that_blow_up_in_the_defect_penalty_count_as_zero_and_poison_nothing():
    """An untrained generator's: without the guard a Burgers training ended at its fourth update."""
    experiment = catalog.load("burgers")
    config, task = experiment.presets["smoke"], experiment.task
    rng = np.random.default_rng(0)
    calm = rng.standard_normal((4, config.data.snapshots, *config.data.points, 1)).astype(np.float32)
    known = SimpleNamespace(times=np.arange(3) * config.data.stride, train=calm)
    penalty = task.physics_terms(config, known).penalty("defect")
    condition = {f"log_{task.parameter}": np.full((4, 1), np.log(0.3), np.float32)}
    value, gradient = jax.jit(jax.value_and_grad(penalty))(calm, condition)
    wild = calm.copy()
    wild[2] *= 1e6
    guarded, after = jax.jit(jax.value_and_grad(penalty))(wild, condition)
    assert 0.0 < guarded < value
    gradient, after, others = np.asarray(gradient), np.asarray(after), [0, 1, 3]
    np.testing.assert_allclose(after[others], gradient[others], rtol=1e-5)
    assert np.all(after[2] == 0.0) and np.any(gradient[2] != 0.0)


def test_systems_that_are_alike_share_their_programs_though_they_hold_arrays():
    def one(speed):
        return SeismicWave(Grid((8,), (1.0,)), np.full(8, speed))

    assert one(1.0) is not one(1.0) and ByValue(one(1.0)) == ByValue(one(1.0))
    assert hash(ByValue(one(1.0))) == hash(ByValue(one(1.0)))
    assert ByValue(one(1.0)) != ByValue(one(2.0)) and ByValue(Heat(one(1.0).grid)) != ByValue(one(1.0))


@pytest.mark.parametrize("count", [1, 5, 20, 70])
def test_any_number_of_fields_is_advanced_as_one_is(count, key):
    system = Heat(Grid((8,), (2 * np.pi,)), 0.3)
    fields = np.asarray(jax.random.normal(key, (count, 8, 1)))
    advanced = refiner(system, 0.1)(fields, 0.25)
    assert advanced.shape == fields.shape
    expected = [solve(system, one, np.array([0.25]), dt=0.25 / 3)[0] for one in fields[[0, -1]]]
    np.testing.assert_allclose(advanced[[0, -1]], expected, atol=1e-6)


@pytest.mark.parametrize(("points", "frames"), [((8,), 201), ((8, 8), 4)])
def test_a_picture_of_a_plane_follows_as_many_moments_as_are_shown(points, frames):
    system = Heat(Grid(points, (2 * np.pi,) * len(points)), 0.3)
    times, fields = evolution(lambda u, time: u + time, np.zeros((2, *points, 1)), system)
    assert fields.shape == (2, frames, *points, 1) and times[0] == 0.0
    np.testing.assert_allclose(fields[:, -1], times[-1], rtol=1e-6)


def test_fresh_test_data_take_the_place_of_the_test_split_alone(monkeypatch):
    experiment = catalog.load("kuramoto_sivashinsky")
    config, task = experiment.presets["smoke"], experiment.task
    made = []

    def trajectories(value, dt):
        """Data whose arrays hold one value."""
        by_split = {split: np.full(2, value) for split in ("train", "validation", "test")}
        return SimpleNamespace(
            path=Path("data"),
            description={},
            times=np.arange(2.0),
            dt=dt,
            grid=task.system(config).grid,
            parameters={split: {"viscosity": array} for split, array in by_split.items()},
            initial=by_split,
            **by_split,
        )

    def data(self, asked, report):
        made.append(asked)
        return trajectories(2.0, 0.2)

    monkeypatch.setattr(type(task), "data", data)
    own = trajectories(1.0, 0.1)
    asked, held = task.with_fresh_test(config, own, 99, lambda done, total, what: None)
    (fresh,) = made
    assert fresh.data.seed == asked.data.seed == 99
    assert fresh.data.trajectories[2] == config.data.trajectories[2] and sum(fresh.data.trajectories[:2]) < 100
    # Nothing but the seed of the data is another: batch, networks and sizes are those of the run.
    assert asked.with_overrides({"data.seed": str(config.data.seed)}) == config
    assert held.dt == 0.1 and held.train is own.train and held.validation is own.validation
    assert held.test.mean() == 2.0
    for split, value in (("train", 1.0), ("validation", 1.0), ("test", 2.0)):
        assert held.parameters[split]["viscosity"].mean() == held.initial[split].mean() == value
