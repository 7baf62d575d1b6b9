"""The study of neural posterior estimation: its densities, its judge, its arms, and its tables."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def modules():
    """The study, its arms and its tables."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        names = ("neural_posteriors", "neural_posterior_arms", "neural_posteriors_tables")
        yield tuple(importlib.import_module(name) for name in names)
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def program(modules):
    return modules[1]


@pytest.fixture(scope="module")
def study(program):
    return program.Study("burgers_inverse", "smoke")


def test_the_density_of_the_velocity_that_makes_a_normal_distribution_is_its_own(program):
    mean, spread = jnp.array([0.5, -1.0, 0.2]), jnp.array([0.3, 1.5, 0.8])

    def velocity(params, network_state, x, time, condition):
        t = time[:, None]
        middle = t * mean + condition["observed"]
        slope = (t * spread**2 - (1 - t)) / ((1 - t) ** 2 + (t * spread) ** 2)
        return mean + slope * (x - middle)

    scale, shift = jnp.array([2.0, 0.5, 1.0]), jnp.array([1.0, 0.0, -3.0])
    normalizer = SimpleNamespace(std=scale, normalize=lambda x: (x - shift) / scale)
    networks = SimpleNamespace(velocity=velocity, normalizer=normalizer)
    x = np.random.default_rng(0).standard_normal((5, 3)) * np.asarray(spread * scale) + np.asarray(mean * scale + shift)
    found = program.log_density(networks, ({}, {}), x.astype(np.float32), np.zeros((5, 3), np.float32))
    away = ((x - np.asarray(mean * scale + shift)) / np.asarray(spread * scale)) ** 2
    expected = -0.5 * away.sum(axis=1) - np.log(np.asarray(spread * scale)).sum() - 1.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_other_members_of_the_long_runs_are_at_the_floor_and_the_prior_is_not(program, study):
    def measures(unknowns):
        return study.judged(program.Ensembles(unknowns.astype(np.float32), None, None, {}))

    others = study.long_runs[1]
    assert others.shape == (study.cases, study.members, study.true.shape[1])
    both = np.concatenate(study.long_runs, axis=1)
    assert all(len(np.unique(one, axis=0)) == both.shape[1] for one in both)
    exact, prior = measures(others), measures(np.random.default_rng(0).standard_normal(others.shape))
    # With so few cases and members the prior is less than twice the floor away.
    assert exact["fields"]["crps_divergence"] < 1.5 < prior["fields"]["crps_divergence"]
    assert exact["unknowns"]["crps"] < prior["unknowns"]["crps"]
    assert exact["not_finite"] == prior["not_finite"] == 0


@pytest.mark.parametrize("arm", ["flow matching", "fair CRPS", "game and fair CRPS"])
def test_an_arm_makes_the_updates_that_its_seconds_allow_and_can_be_judged(program, study, arm):
    made = program.own_arm(study, arm, 1, 0.5, 0.1)
    assert made.about["updates"] == 5
    assert made.about["seconds"] > 0
    found = study.judged(made)
    assert np.isfinite(found["fields"]["crps"])
    assert ("log_density" in found) == ("effective" in found) == (arm == "flow matching")


def test_samples_from_which_the_solver_cannot_go_are_counted(program, study):
    unknowns = study.long_runs[1].astype(np.float32).copy()
    unknowns[1, 3] = np.nan
    found = study.judged(program.Ensembles(unknowns, None, None, {}))
    assert found["not_finite"] == 1
    assert np.isfinite(found["fields"]["crps"])


def test_tables_show_the_range_over_the_seeds_and_the_best_of_the_pilot(modules):
    main, _, tables = modules

    def seed(crps):
        scores = {"crps": crps, "energy_score": 0.5, "coverage_90": 0.9, "crps_divergence": 2.04}
        return {"updates": 1500, "fields": scores, "unknowns": scores, "log_density": -10.0}

    kept = {"rows": {"60": {"flow matching": {"1": seed(0.25), "2": seed(0.31)}}}, "c2st": {"flow matching": 0.6}}
    tried = [
        {"settings": {"model": "nsf", **main.DEFAULT}, "updates": 10, "validation_loss": 20.0},
        {"settings": {"model": "nsf", **main.DEFAULT, "batch": 512}, "updates": 9, "validation_loss": 19.0},
    ]
    found = {"arms": main.ARMS, "experiments": {"one": kept}, "pilot": {"sbi NPE": tried}}
    marks = ("truth one 60", "reference one 60", "pilot")
    page = tables.filled("".join(f"<!-- posteriors: {one} -->\nold\n<!-- end -->\n" for one in marks), found)
    assert "old" not in page
    assert "| flow matching | 0.250 to 0.310 | 0.500 | 90.0% | 0.250 to 0.310 | 0.500 | 90.0% |" in page
    assert "| flow matching | 2 | 1,500 | 2.0 | 0.600 | -10.00 |  |  |" in page
    assert "| sbi NPE | nsf | sbi's default | 512 | 0.0005, constant | 9 | **19** |" in page
