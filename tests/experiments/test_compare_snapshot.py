"""A snapshot comparison end to end on Gaussian fields with a made-up solver that relaxes to their law."""

import json

import numpy as np
import pytest

from experiments.comparison.cost import CostInputs
from experiments.comparison.refinement import gaussian_fields
from experiments.comparison.snapshot import RefinementInputs, Sizes, compare_snapshot, finite_fields
from experiments.files import write_arrays, write_json
from gan.augmentation import Reflection, Symmetries

POINTS, SET = 16, 100
SYMMETRIES = Symmetries((0,), (Reflection(0, (-1.0,)),))


def fields(rng, count):
    """Skewed waves: a non-Gaussian law with shifts, so that a Gaussian start differs from it."""
    x = 2 * np.pi * np.arange(POINTS) / POINTS
    phase, size = rng.uniform(0, 2 * np.pi, (2, count, 1)), rng.normal(1, 0.2, (count, 1))
    second, third = rng.normal(0.5, 0.1, (count, 1)), rng.normal(0.2, 0.1, (count, 1))
    wave = size * np.cos(x + phase[0]) + second * np.cos(2 * (x + phase[0]) + 1)
    wave += third * np.cos(3 * x + phase[1])
    return wave.astype(np.float32)[..., None]


def relax(rng):
    """A solver that replaces each field by one of the stationary law after an exponential time of mean 1."""

    def refine(state, duration):
        replaced = rng.uniform(size=len(state)) < 1 - np.exp(-duration)
        return np.where(replaced[:, None, None], fields(rng, len(state)), state)

    return refine


@pytest.fixture(scope="module")
def outcome():
    rng = np.random.default_rng(0)
    samples = fields(rng, SET + 5)
    samples[3, 2] = np.nan
    samples[:20] *= 1.6
    solver = relax(rng)

    def make(setting, n):
        if setting["step"] > 1:
            raise ValueError("unstable at this step")
        return fields(rng, n) * (1 + setting["step"]), setting["seconds"]

    return compare_snapshot(
        samples,
        fields(rng, 4 * SET),
        fields(rng, 300),
        channels=("u",),
        extent=(22.0,),
        units={"u": "1", "time": "1"},
        symmetries=SYMMETRIES,
        carry_time=0.5,
        sizes=Sizes(n=SET, draws=200, resamples=50, separations=(1, 4)),
        refinement=RefinementInputs(solver, (0.0, 1.0, 6.0, 8.0, 9.0), initial=0.1 * fields(rng, SET)),
        cost=CostInputs(
            draw=lambda count: np.sqrt(np.ones((count, 100))),
            data_seconds=10.0,
            training_seconds=20.0,
            reference_seconds_per_sample=0.5,
            settings=(
                {"step": 0.0, "seconds": 20.0},
                {"step": 0.6, "seconds": 10.0},
                {"step": 2.0, "seconds": 1.0},
            ),
            make_solver_fields=make,
            count=10,
        ),
        residuals={"residual": (np.full(SET, 2.0), rng.uniform(0.9, 1.1, 4 * SET))},
        evolve=lambda pair: (np.arange(3.0), np.repeat(pair[:, None], 3, axis=1)),
    )


def test_every_distance_has_floor_band_ratio_interval_and_verdict(outcome):
    comparison, _ = outcome
    assert comparison["n"] == SET and comparison["draws"] == 200 and comparison["task"] == "snapshot"
    assert set(comparison["distances"]) == {
        "spectrum", "values", "increments_1", "increments_4", "quantiles", "correlation", "sliced", "kernel"
    }  # fmt: skip
    for name, entry in comparison["distances"].items():
        assert entry["ratio"] == pytest.approx(entry["value"] / entry["floor"])
        assert entry["ratio_ci"][0] <= entry["ratio"] <= entry["ratio_ci"][1]
        assert entry["floor"] < entry["null95"] and 0 < entry["p_value"] <= 1
        assert name in comparison["definitions"]
    assert not comparison["distances"]["values"]["inside"]


def test_scores_name_value_target_and_the_solvers_own_band(outcome):
    scores = outcome[0]["scores"]
    assert {"diversity", "memorising", "amplitude", "invalid", "residual"} <= set(scores)
    assert scores["invalid"]["value"] == pytest.approx(1 / (SET + 5))
    assert scores["residual"]["value"] == 2.0 > scores["residual"]["null"][1]
    assert scores["residual"]["target"] == pytest.approx(1.0, abs=0.02)
    assert scores["amplitude"]["value"] > scores["amplitude"]["null"][1]
    assert scores["amplitude"]["null"][0] < 1 < scores["amplitude"]["null"][1]


def test_every_start_is_measured_at_equal_solver_times_and_the_carry_counts(outcome):
    curves = outcome[0]["refinement"]
    assert curves["generator"]["time"] == [0.5, 1.0, 6.0, 8.0, 9.0]
    assert curves["gaussian"]["time"] == curves["initial"]["time"] == [0.0, 0.5, 1.0, 6.0, 8.0, 9.0]
    for name, entry in outcome[0]["distances"].items():
        assert curves["generator"][name][0] == pytest.approx(entry["ratio"], rel=1e-6)
        # The band of a whole curve is wider than that of one time.
        assert outcome[0]["refinement_null"][name] > entry["null95"] / entry["floor"]
    # After six relaxation times 0.2% of the fields are still those of the start.
    assert curves["generator"]["enters_all"] is not None
    assert curves["initial"]["values"][0] > 5 > curves["initial"]["values"][-1]
    baselines = outcome[0]["baselines"]
    assert baselines["initial"]["values"] == curves["initial"]["values"][0]
    assert baselines["gaussian_carried_on_for_0.5"]["values"] == curves["gaussian"]["values"][1]


def test_the_cheapest_solver_that_is_as_good_is_the_one_to_beat_and_failures_stay_in_the_table(outcome):
    cost = outcome[0]["cost"]
    exact, coarse, unstable = cost["search"]
    assert exact["reaches"] and exact["seconds_per_sample"] == pytest.approx(0.2)
    assert not coarse["reaches"] and coarse["error"] > exact["error"]
    assert not unstable["reaches"] and "unstable" in unstable["failed"]
    assert cost["cheapest"]["step"] == 0.0
    gain = 0.2 - cost["generator_seconds_per_sample"]
    assert cost["break_even"] == pytest.approx(30.0 / gain, abs=1)


def test_the_verdict_says_by_what_the_samples_can_be_told(outcome):
    verdict = outcome[0]["verdict"]
    assert "can be told from the solver by" in verdict and "values" in verdict
    assert "pays off from" in verdict and "Residual is 2" in verdict


def test_figures_are_densities_with_bands_and_the_outcome_survives_the_disk(outcome, tmp_path):
    comparison, figures = outcome
    for prefix in ("histogram/u", "increments/1.38", "increments/5.5"):
        centers = figures[f"{prefix}/centers"]
        for who in ("generator", "solver"):
            assert figures[f"{prefix}/{who}"].sum() * (centers[1] - centers[0]) == pytest.approx(1, abs=0.02)
        assert np.all(figures[f"{prefix}/low"] <= figures[f"{prefix}/high"])
    assert len(figures["spectrum/wavenumber"]) == len(figures["spectrum/generator"]) == POINTS // 2
    assert figures["correlation/solver"][0] == pytest.approx(1.0)
    assert figures["evolution/generator"].shape == (3, POINTS, 1)
    write_json(tmp_path / "comparison.json", comparison)
    write_arrays(tmp_path / "figures.npz", figures)
    read = json.loads((tmp_path / "comparison.json").read_text())
    assert read["distances"]["values"]["ratio"] == comparison["distances"]["values"]["ratio"]
    with np.load(tmp_path / "figures.npz") as archive:
        assert set(archive) == set(figures)


def test_too_few_finite_samples_are_refused():
    samples = np.zeros((10, POINTS, 1), np.float32)
    samples[:4] = np.inf
    assert finite_fields(samples, 6)[1] == pytest.approx(0.4)
    with pytest.raises(ValueError, match="only 6 of 10 samples are finite"):
        finite_fields(samples, 7)


def test_gaussian_start_has_the_spectra_and_cross_spectra_of_the_data():
    rng = np.random.default_rng(1)
    shape = (8, 6)
    noise = np.fft.rfft2(rng.standard_normal((4000, *shape, 2)), axes=(1, 2))
    k = np.hypot(np.fft.fftfreq(8, 1 / 8)[:, None], np.fft.rfftfreq(6, 1 / 6)[None])[..., None]
    data = np.fft.irfft2(noise * np.exp(-k / 2), s=shape, axes=(1, 2)) + np.array([3.0, 0.0])
    data[..., 1] = 0.8 * np.roll(data[..., 0], 2, axis=1) + 0.3 * data[..., 1]
    made = gaussian_fields(data.astype(np.float32), 4000, seed=2)
    assert made.shape == (4000, *shape, 2)
    np.testing.assert_allclose(made.mean(axis=(0, 1, 2)), data.mean(axis=(0, 1, 2)), atol=0.05)

    def second_moments(x):
        hat = np.fft.rfft2(x - x.mean(axis=(0, 1, 2)), axes=(1, 2))
        return np.einsum("nabc,nabd->abcd", hat, hat.conj()) / len(x)

    theirs, ours = second_moments(data), second_moments(made)
    np.testing.assert_allclose(ours, theirs, atol=0.08 * np.abs(theirs).max())
    assert abs(ours[1, 1, 0, 1]) > 0.5 * np.sqrt(ours[1, 1, 0, 0] * ours[1, 1, 1, 1]).real
