"""Snapshots of a system whose parameters vary: each field with its own, in training, comparison and sampling."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import experiments
from experiments import catalog, cli, runs
from experiments.errors import UserError
from experiments.evaluation.results import Cost, Distances, Refinement, Tests
from experiments.evaluation.varying import joined, parted
from experiments.tasks.advance import initial_fields, refiner, solver_layer
from experiments.tasks.equation import equation
from experiments.tasks.solvers import Solvers, SolverSetting
from experiments.tasks.varying import Varying
from physics import advance, with_parameters

NAMES = ("viscosity", "forcing")
DT = 0.05


@pytest.fixture(scope="module")
def smoke():
    experiment = catalog.load("kolmogorov_flow")
    config = experiment.presets["smoke"]
    system, varying = experiment.task.system(config), experiment.task.parameters(config)
    asked = varying.draw(4, 0)
    fields = initial_fields(system, 4, jax.random.key(0))
    return SimpleNamespace(
        experiment=experiment, config=config, system=system, varying=varying, asked=asked, fields=fields
    )


@pytest.fixture(scope="module")
def one_by_one(smoke):
    """Every field advanced for 0.2 under the system of its own parameters, by itself."""
    return np.stack([np.asarray(advance(own(smoke, i), smoke.fields[i], DT, 4)) for i in range(4)])


def own(smoke, i):
    return with_parameters(smoke.system, dict(zip(NAMES, np.exp(smoke.asked[i]))))


def test_every_sample_passes_through_the_solver_of_its_own_parameters(smoke, one_by_one):
    layer = jax.jit(solver_layer(smoke.system, 4, NAMES))
    samples, valid = layer(jnp.asarray(smoke.fields), smoke.varying.condition(smoke.asked), 4 * DT)
    assert valid.all()
    np.testing.assert_allclose(samples, one_by_one, atol=2e-5)
    assert np.abs(one_by_one - np.asarray(advance(smoke.system, smoke.fields[0], DT, 4))).max() > 1e-2


def test_every_field_is_advanced_and_described_under_its_own_parameters(smoke, one_by_one):
    joint = joined(smoke.fields, smoke.asked)
    refine = refiner(smoke.system, DT, parameters=NAMES, chunk=4)
    later, logarithms = parted(refine(joint, 4 * DT), 2)
    np.testing.assert_allclose(later, one_by_one, atol=2e-5)
    np.testing.assert_array_equal(logarithms, smoke.asked)
    known = equation(smoke.system, refine, NAMES)
    assert known.parameters == NAMES and known.joint_symmetries.moves[1].signs == (-1.0, 1.0, 1.0)
    rates = [own(smoke, i).vector_field(0.0, jnp.asarray(smoke.fields[i])) for i in range(4)]
    np.testing.assert_allclose(known.tendency(joint), rates, atol=1e-4)
    spent = [own(smoke, i).budgets(jnp.asarray(smoke.fields[i]))["energy"]["dissipation"] for i in range(4)]
    np.testing.assert_allclose(known.budgets(joint)["energy, dissipation"], spent, rtol=1e-4)


def made_up(smoke, fields, logarithms):
    """A data set of these training fields and their parameters."""
    parameters = {name: np.exp(logarithms[:, i]) for i, name in enumerate(NAMES)}
    return SimpleNamespace(train=fields[:, None], parameters={"train": parameters}, dt=DT)


@pytest.mark.parametrize("start", ["bank", "initial", "gaussian"])
def test_cheap_solvers_make_fields_of_the_parameters_that_are_asked_for(smoke, start):
    fields = np.asarray(initial_fields(smoke.system, 64, jax.random.key(1)))
    dataset = made_up(smoke, fields, smoke.varying.draw(64, 5))
    solvers = Solvers(smoke.experiment.task.system, smoke.config, dataset, smoke.varying)
    made = solvers.fields(SolverSetting(start, None, DT, 4, 0.0), 16)
    assert made.shape == (16, 16, 16, 3) and np.isfinite(made).all()
    found, asked = parted(made, 2)[1], smoke.varying.draw(16, smoke.config.compare.seed + 1)
    np.testing.assert_allclose(found[np.argsort(found[:, 0])], asked[np.argsort(asked[:, 0])], atol=1e-6)


def test_along_a_trajectory_every_field_has_the_parameters_that_are_asked_for_next(smoke, monkeypatch):
    monkeypatch.setattr("experiments.tasks.solvers.TRAJECTORIES", 4)
    dataset = made_up(smoke, smoke.fields, smoke.asked)
    solvers = Solvers(smoke.experiment.task.system, smoke.config, dataset, smoke.varying)
    setting = SolverSetting("initial", None, DT, 4, 0.0, 4 * DT)
    made, logarithms = parted(solvers.fields(setting, 8), 2)
    asked = smoke.varying.draw(8, smoke.config.compare.seed + 1)
    assert {tuple(row) for row in logarithms.tolist()} == {tuple(row) for row in asked.tolist()}
    # The second field of the first trajectory is the first one, advanced under the second one's parameters.
    values = with_parameters(smoke.system, dict(zip(NAMES, np.exp(logarithms[4]))))
    np.testing.assert_allclose(made[4], advance(values, made[0], DT, 4), atol=2e-5)
    # Further ones cost a stride each, from where the first ones are.
    again = parted(solvers.further(setting)(8), 2)[0]
    assert len(again) == 8
    np.testing.assert_array_equal(again[:4], made[4:])
    assert not np.allclose(again[4:], again[:4])
    assert solvers.further(replace(setting, stride=None)) is None


def test_parameters_fill_their_ranges_and_those_given_are_kept(smoke):
    (low, high), _ = smoke.varying.ranges
    drawn = np.exp(smoke.varying.draw(2000, 3))
    assert low <= drawn[:, 0].min() < 1.01 * low and 0.99 * high < drawn[:, 0].max() <= high * 1.000001
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.1
    asked = smoke.varying.asked(3, jax.random.key(0), {"viscosity": 0.25})
    np.testing.assert_allclose(np.exp(asked[:, 0]), 0.25, rtol=1e-6)
    assert len(set(asked[:, 1].tolist())) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"drag": 0.1}, "drag is no condition; a condition is viscosity or forcing"),
        ({"forcing": -1.0}, "forcing must be one positive value, or 3 of them"),
        ({"forcing": [1.0, 2.0]}, "forcing must be one positive value, or 3 of them"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(smoke, given, message):
    with pytest.raises(UserError, match=message):
        smoke.varying.asked(3, jax.random.key(0), given)


def test_a_generator_without_conditions_takes_none():
    with pytest.raises(UserError, match="viscosity is no condition; this generator has none"):
        Varying((), ()).asked(3, jax.random.key(0), {"viscosity": 0.1})


@pytest.mark.parametrize("ends", ["0.3,0.2", "0.2,0.2"])
def test_a_range_that_is_none_is_refused(smoke, ends):
    config = smoke.config.with_overrides({"system.viscosity": ends})
    with pytest.raises(UserError, match=r"--system\.viscosity .*: give a lower and a higher positive value"):
        smoke.experiment.task.check(config)


@pytest.mark.slow
def test_from_data_to_samples_at_given_parameters(smoke, tmp_path, monkeypatch):
    monkeypatch.setenv("SOLVERGAN_CACHE", str(tmp_path / "cache"))
    with jax.enable_x64(False):
        command = ["run", "kolmogorov_flow", "--preset", "smoke", "--runs-dir", str(tmp_path / "runs")]
        assert cli.main([*command, "--compare.baselines", "true"]) == 0
        (folder,) = (tmp_path / "runs" / "kolmogorov_flow").iterdir()
        comparison = runs.open_folder(folder).comparison()
        for section in (Tests, Distances, Refinement, Cost):
            assert comparison.get(section) is not None
        run = experiments.load_run(folder)
        fields = run.sample(3, key=jax.random.key(0), refine=0.1, viscosity=0.3, forcing=[0.9, 1.0, 1.1])
        assert fields.values.shape == (3, 16, 16, 1)
        np.testing.assert_allclose(fields.values.mean(axis=(1, 2)), 0.0, atol=1e-5)
        np.testing.assert_allclose(fields.coordinates["forcing"], [0.9, 1.0, 1.1], rtol=1e-6)
