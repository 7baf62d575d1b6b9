"""The study of data assimilation: its model, its cycles on a problem with a known answer, and its page."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import Lorenz96

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def modules(monkeypatch):
    """The modules of the benchmark: cycles, generator and study."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import data_assimilation
    import ring_generator
    import window_cycles

    with jax.enable_x64(False):
        yield window_cycles, ring_generator, data_assimilation


def test_the_model_is_the_classical_runge_kutta_method(modules):
    window_cycles, _, _ = modules
    system, dt = Lorenz96(), window_cycles.STEP
    x = 2.3 + 3.6 * jax.random.normal(jax.random.key(0), (40,))

    def slope(x):
        return system.vector_field(0.0, x[:, None])[:, 0]

    k1 = slope(x)
    k2 = slope(x + dt / 2 * k1)
    k3 = slope(x + dt / 2 * k2)
    k4 = slope(x + dt * k3)
    expected = x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    np.testing.assert_allclose(window_cycles.model_step(x), expected, rtol=1e-5, atol=1e-5)


def test_the_climate_whitens_states(modules):
    window_cycles, _, _ = modules
    states = window_cycles.attractor(1024)
    climate = window_cycles.Climate.of(states)
    unknowns = climate.unknowns(states)
    np.testing.assert_allclose(climate.states(unknowns[:8]), states[:8], atol=1e-3)
    np.testing.assert_allclose((unknowns**2).mean(), 1.0, rtol=0.02)
    np.testing.assert_allclose(climate.root @ climate.root, climate.covariance, atol=1e-6)


@pytest.mark.parametrize("tangent", [False, True])
def test_a_window_of_a_linear_model_has_the_analysis_of_the_kalman_smoother(modules, monkeypatch, tangent):
    """Damping alone: from a normal prior the mean at the end of a window is a linear function of the observations."""
    window_cycles, _, _ = modules
    monkeypatch.setattr(window_cycles, "model_step", lambda x: 0.9 * x)
    climate = window_cycles.Climate.of(window_cycles.attractor(1024))
    window = window_cycles.Window(0.1, 3, 4, "value", noise=0.7)
    finishing = replace(window_cycles.Finishing(), members=4000, tangent=tangent)
    observed = np.random.default_rng(0).standard_normal((2, 3, 10)).astype(np.float32) + climate.mean

    def proposals(first):
        return np.zeros((2, 3, 40), np.float32)

    members, modes = window_cycles.assimilate(window, climate, observed, proposals, jax.random.key(1), finishing)
    assert members.shape == (2, 1, 4000, 40) and np.allclose(modes, 1.0)
    picked = np.eye(40)[::4]
    rows = np.concatenate([0.9 ** (2 * k) * picked for k in (1, 2, 3)])
    gain = climate.covariance @ rows.T @ np.linalg.inv(rows @ climate.covariance @ rows.T + 0.49 * np.eye(30))
    mean = climate.mean + (observed.reshape(2, 30) - climate.mean * rows.sum(axis=1)) @ gain.T
    spread = np.sqrt(np.diag(climate.covariance - gain @ rows @ climate.covariance))
    np.testing.assert_allclose(members[:, 0].mean(axis=1), 0.9**6 * mean, atol=0.15)
    np.testing.assert_allclose(members[:, 0].std(axis=1), 0.9**6 * np.tile(spread, (2, 1)), rtol=0.08)


def test_the_generator_commutes_with_a_shift_by_a_group(modules):
    window_cycles, ring_generator, _ = modules
    window = window_cycles.Window(0.2, 3, 4, "magnitude")
    parameters = ring_generator.start_parameters(window, jax.random.key(0))
    x, seen = (jax.random.normal(jax.random.key(k), (2, 10, n)) for k, n in ((1, 4), (2, 3)))
    time = jnp.array([0.2, 0.7])
    found = ring_generator.velocity(parameters, x, time, seen)
    shifted = ring_generator.velocity(parameters, jnp.roll(x, 1, 1), time, jnp.roll(seen, 1, 1))
    np.testing.assert_allclose(shifted, jnp.roll(found, 1, 1), atol=1e-5)
    assert np.abs(found - jnp.roll(found, 1, 1)).max() > 1e-3


@pytest.mark.slow
def test_parameters_are_read_back_and_a_short_training_learns(modules, tmp_path):
    window_cycles, ring_generator, _ = modules
    window = window_cycles.Window(0.05, 1, 4, "value", noise=0.1)
    climate = window_cycles.Climate.of(window_cycles.attractor())
    parameters, spent = ring_generator.train(window, climate, 600.0, say=lambda _: None, most=384)
    ring_generator.save(tmp_path / "trained.npz", parameters)
    read = ring_generator.load(tmp_path / "trained.npz", window)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(read), jax.tree.leaves(parameters), strict=True))
    # Without learning the velocity's mean square is that of data and noise together.
    assert spent["loss"] < 1.8 and spent["updates"] == 384


def test_scores_of_members_that_are_the_truth_with_known_errors(modules):
    _, _, study = modules
    truth = np.random.default_rng(0).standard_normal((50, 40)).astype(np.float32)
    offset = np.array([-2.0, 0.0, 2.0] * 8, np.float32)[:, None]
    found = study.scores(truth[:, None] + offset, truth)
    assert found["rmse"] == pytest.approx(0.0, abs=1e-5) and found["coverage_90"] == pytest.approx(1.0)
    moved = study.scores(truth[:, None] + offset + 1.0, truth)
    assert moved["rmse"] == pytest.approx(1.0, abs=1e-5) and moved["crps"] > found["crps"]


def test_the_truth_is_observed_with_the_noise_of_the_case(modules):
    _, _, study = modules
    case = study.CASES["0.2-4-magnitude"]
    path, seen = study.truth(case, 3, 20)
    states = study.true_states(case, path, 20)
    assert seen.shape == (case.settled + 20, 10) and states.shape == (20, 40)
    errors = seen[-20:] - np.abs(states[:, ::4])
    assert errors.std() == pytest.approx(1.0, abs=0.15) and abs(errors.mean()) < 0.25
    assert not np.array_equal(path, study.truth(case, 4, 20)[0])


def test_what_the_page_finds_is_in_the_result_file(modules):
    """Every statement of the section "What was found", from the file."""
    study = json.loads(modules[2].RESULTS.read_text())
    rows = {name: case["rows"] for name, case in study["cases"].items()}
    arms = set(study["arms"])

    def values(case: str, row: str, key: str = "crps") -> np.ndarray:
        return np.array([rows[case][row]["seeds"][seed][key] for seed in ("1", "2", "3")])

    def rivals(case: str) -> list[str]:
        return [name for name, row in rows[case].items() if name not in arms and len(row["seeds"]) == 3]

    own = "generator, finished, carried"
    for case, arm in (("0.05-4-magnitude", f"{own}, tangent"), ("0.2-4-magnitude", own)):
        assert all((values(case, arm) < values(case, rival)).all() for rival in rivals(case))
        assert min(rivals(case), key=lambda name: values(case, name).mean()) == "LETKF"
    nearest = values("0.05-4-magnitude", "LETKF", "rmse")
    assert nearest.max() > 3 * nearest.min()
    lead = values("0.2-4-magnitude", "LETKF") / values("0.2-4-magnitude", own)
    assert sorted(lead)[1] < 1.06
    late = "0.4-4-magnitude"
    ours = [name for name in rows[late] if name in arms]
    for rival in ("LETKF", "optimal interpolation"):
        assert all(values(late, rival).mean() < values(late, arm).mean() for arm in ours)
    for case in ("0.05-4-magnitude", "0.2-4-magnitude", late):
        assert values(case, own).mean() < values(case, own.replace("generator", "prior")).mean()
    for case in ("0.2-4-magnitude", late):
        assert 0.85 < values(case, "generator").mean() / values(case, "climatology").mean() < 1
        assert values(case, f"{own}, tangent", "coverage_90").max() < 0.8
        assert values(case, own).mean() < values(case, f"{own}, tangent").mean()
    for case in ("0.05-4-value", "0.2-4-value"):
        assert all((values(case, f"{own}, tangent") < values(case, rival)).all() for rival in rivals(case))
    ours = [name for name in rows["0.4-4-value"] if name in arms]
    assert all((values("0.4-4-value", arm) > values("0.4-4-value", "LETKF")).all() for arm in ours)
    for case in rows.values():
        searched = [row["seconds"] for name, row in case.items() if name in arms and "finished" in name]
        assert all(one > case["LETKF"]["seconds"] for one in searched)
    tangent = "prior, finished, carried, tangent"
    assert values("0.2-1-value", tangent, "rmse").max() < 0.37
    for case in ("0.2-1-value", "0.05-1-value"):
        assert (values(case, "iEnKS") < values(case, tangent)).all()
        assert values(case, tangent, "coverage_90").mean() == pytest.approx(0.9, abs=0.03)


def test_the_page_holds_what_the_result_file_says():
    command = [sys.executable, str(ROOT / "benchmarks" / "data_assimilation.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
