"""Virtual runs: tables, worth and tests against closed forms, rivals and apparatuses against what is known of them."""

import math

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ellipk, erf

import experiments
from experiments import cli
from experiments.errors import UserError
from experiments.evaluation.results import Baselines
from experiments.evaluation.run_rivals import RIVALS
from experiments.evaluation.virtual_runs import (
    Held,
    Pairs,
    Trial,
    crps,
    law_figures,
    plan_figures,
    planned_runs,
    rejected,
    trial_figures,
    welch_power,
)
from experiments.evaluation.worth import energy_parts, runs_worth
from experiments.own_data.tables import Factor, read_table, split_by_setting
from experiments.tasks.apparatus import APPARATUSES, fitted_equation

SPREAD = 2 / math.sqrt(math.pi)
"""Mean distance of two standard normal numbers."""


def squared_distance(shift):
    """Squared energy distance of N(shift, 1) and N(0, 1): the mean of |N(shift, 2)| in closed form."""
    return 2 * (SPREAD * math.exp(-(shift**2) / 4) + shift * erf(shift / 2) - SPREAD)


def normal(seed, *shape):
    """Standard normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
def test_the_energy_distance_of_two_normal_laws_is_the_closed_form(shift):
    found = np.array([energy_parts(normal(s, 1000, 1) + shift, normal(s + 100, 1000, 1)) for s in range(20)])
    standard_error = found.std(axis=0) / np.sqrt(len(found))
    assert found[:, 0].mean() == pytest.approx(squared_distance(shift), abs=4 * standard_error[0])
    assert found[:, 1].mean() == pytest.approx(SPREAD, abs=4 * standard_error[1])


@pytest.mark.parametrize("runs", [2, 6, 20])
def test_an_empirical_law_of_n_runs_is_worth_n(runs):
    """Its squared distance from the true law, pairs of a run with itself counted, is E|Y - Y'| / n in expectation."""
    truth, found = normal(0, 1500, 2) * [1.0, 3.0], []
    for seed in range(200):
        few = normal(1000 + seed, runs, 2) * [1.0, 3.0]
        unbiased, spread = energy_parts(few, truth)
        # From pairs of different runs to all pairs: the law of the few is what stands at their places.
        inner = np.linalg.norm(few[:, None] - few[None], axis=-1).sum()
        found.append((unbiased + inner / (runs * (runs - 1)) - inner / runs**2) / spread)
    assert 1 / np.mean(found) == pytest.approx(runs, rel=4 * np.std(found) / np.mean(found) / np.sqrt(len(found)))


def test_a_generator_with_a_known_bias_is_worth_what_the_closed_form_says():
    shift, places = 0.4, 40
    held = Held(np.zeros((places, 1)), list(normal(1, places, 1500, 1)), np.ones((places, 1)))
    made = law_figures(lambda at, count: normal(2, len(at), count, 1) + shift, held, 1500)
    assert made["worth"] == pytest.approx(SPREAD / squared_distance(shift), rel=0.1)
    # Of a perfect one no bias is seen: the draws at hand bound what can be shown.
    assert runs_worth(np.array([-0.1, 0.05]), np.ones(2), 1500) == 1500
    # E CRPS of a law about itself is half the mean distance of two runs (Gneiting and Raftery 2007).
    exact = np.mean([crps(normal(s, 500, 1), normal(s + 50, 500, 1)) for s in range(30)])
    assert exact == pytest.approx(SPREAD / 2, rel=0.02)
    assert made["crps"] - exact == pytest.approx(squared_distance(shift) / 2, abs=0.01)


@given(st.floats(0.01, 100), st.lists(st.floats(0.001, 10), min_size=1, max_size=8))
def test_worth_does_not_depend_on_the_unit(unit, distances):
    distances = np.array(distances)
    one, other = (runs_worth(c * distances, c * np.ones_like(distances), 1e9) for c in (1.0, unit))
    assert one == pytest.approx(other, rel=1e-9)


def test_the_power_of_the_test_is_that_of_many_repetitions_and_of_the_known_table():
    # Cohen (1988): 17 runs in each group for a difference of one standard deviation, 64 for a half, at 80%.
    sides = normal(0, 2, 400_000)
    assert planned_runs(sides[0], sides[1] + 1.0) == 17
    assert abs(planned_runs(sides[0], sides[1] + 0.5) - 64) <= 1
    assert planned_runs(np.zeros((3, 10)) + np.arange(10.0), np.zeros((3, 10)) + np.arange(10.0)).tolist() == [1e5] * 3
    power = power_of(1.0, 1.0, 2.0, 14.0)
    first, second = normal(3, 20_000, 14), 2 * normal(4, 20_000, 14) + 1.0
    assert rejected(first, second).mean() == pytest.approx(power, abs=0.012)
    assert power_of(0.0, 1.0, 1.0, 14.0) == pytest.approx(0.05, abs=1e-6)
    assert power_of(500.0, 1.0, 1.0, 14.0) == pytest.approx(1.0)


def power_of(*numbers):
    """`welch_power` of one test."""
    return welch_power(*(np.array([float(one)]) for one in numbers))[0]


def pairs(count, gap, seed):
    """Pairs of normal laws whose means differ, one response."""
    at = np.zeros((count, 1))
    real = normal(seed, 2, count, 4000, 1)
    return Pairs(at, at + 1.0, real[0], real[1] + gap, np.ones((count, 1), bool))


@pytest.mark.parametrize("bias", [0.0, 0.2])
def test_what_pooling_does_to_a_test_is_the_closed_form(bias):
    """Groups of n real and m virtual runs: the means differ by what the virtual ones say, times m / (n + m)."""
    real, virtual = 12, 60
    trial = Trial(pairs(60, 0.0, 5), pairs(60, 1.0, 6), real, virtual, 100)
    alone = trial_figures(None, trial, 0)
    assert alone["false_alarms"] == pytest.approx(0.05, abs=0.012)
    expected = power_of(1.0, 1.0, 1.0, float(real))
    assert alone["power_known"] == pytest.approx(expected, abs=0.04)
    assert alone["power_new"] == pytest.approx(expected, abs=0.04)

    draws = iter(range(100, 200))
    sample = trial.virtual_runs(lambda at, count: normal(next(draws), len(at), count, 1) + bias * at[:, None])
    made = trial_figures(sample, trial, 0)
    total = float(real + virtual)

    def power(difference, mixed):
        # Two means in one group widen it.
        inner = np.sqrt(1 + mixed**2 * real * virtual / total**2)
        return power_of(difference, 1.0, inner, total)

    assert made["false_alarms"] == pytest.approx(power(bias * virtual / total, bias), abs=0.03)
    assert made["power_new"] == pytest.approx(power((bias * virtual + real) / total, 1 - bias), abs=0.05)
    if bias:
        # Virtual runs make false alarms, and a real difference is all but lost: they hold no new units.
        assert made["false_alarms"] > 2.5 * alone["false_alarms"] and made["power_new"] < alone["power_new"]


def test_a_plan_is_judged_by_the_runs_that_are_needed_and_its_true_power():
    known = pairs(3, 1.0, 7)
    exact = plan_figures(known.real_first, known.real_second, known)
    assert exact["plan_factor"] == 1.0 and exact["plan_power"] == pytest.approx(0.8, abs=0.03)
    # Virtual runs that say twice the difference plan about a quarter of the runs.
    twice = plan_figures(known.real_first, known.real_second + 1.0, known)
    assert twice["plan_factor"] == pytest.approx(17 / 6, rel=0.15) and twice["plan_power"] < 0.45


# Tables.

FACTORS, RESPONSES = ("length", "operator"), ("period", "height")


def lines(replicates=3, levels=6):
    """A table of runs as the lines of a .csv."""
    rng, found = np.random.default_rng(0), ["length,operator,period,height"]
    for level in range(levels):
        for operator in ("Ann", "Bob"):
            for _ in range(replicates):
                period, height = 1 + 0.3 * level + 0.1 * rng.standard_normal(), 2 + 0.1 * rng.standard_normal()
                found.append(f"{0.5 + 0.1 * level:.1f},{operator},{period:.4f},{height:.4f}")
    return found


def table_of(path, text, factors=FACTORS, responses=RESPONSES, logs=()):
    """Write a table and read it."""
    path.write_text("\n".join(text) + "\n")
    return read_table(path, factors, responses, logs)


def test_a_table_is_read_from_every_format(tmp_path):
    import h5py

    table = table_of(tmp_path / "runs.csv", lines())
    assert table.settings.shape == (36, 2) and table.values.shape == (36, 2)
    assert table.factors == (Factor("length"), Factor("operator", ("Ann", "Bob")))
    assert "36 runs at 12 settings" in table.sentence()
    text = [one.split(",") for one in lines()[1:]]
    columns = {name: np.array(column) for name, column in zip((*FACTORS, *RESPONSES), zip(*text))}
    numbers = {name: one.astype(float) if name != "operator" else one for name, one in columns.items()}
    np.savez(tmp_path / "runs.npz", **numbers)
    with h5py.File(tmp_path / "runs.h5", "w") as file:
        for name, one in numbers.items():
            file.create_dataset(name, data=one.astype("S") if name == "operator" else one)
    import xarray

    whole = {name: ("run", one) for name, one in numbers.items() if name != "operator"}
    whole["operator"] = ("run", (columns["operator"] == "Bob").astype(float))
    xarray.Dataset(whole).to_netcdf(tmp_path / "runs.nc", engine="scipy")
    for name in ("runs.npz", "runs.h5", "runs.nc"):
        other = read_table(tmp_path / name, FACTORS, RESPONSES)
        np.testing.assert_allclose(other.settings, table.settings, rtol=1e-6)
        np.testing.assert_allclose(other.values, table.values, rtol=1e-6)
    logs = read_table(tmp_path / "runs.csv", FACTORS, RESPONSES, ("period",))
    np.testing.assert_allclose(logs.physical(logs.values), table.values)
    assert not np.allclose(logs.values, table.values)


def changed(line, text):
    """The table with another line."""
    return [text if place == line else one for place, one in enumerate(lines())]


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        (changed(4, "0.5,Ann,1.0"), {}, "line 5 has 3 columns and the first has 4"),
        (changed(4, "0.5,Ann,,2.0"), {}, "period is missing or not finite in run 4 (1 in all)"),
        (changed(4, "inf,Ann,1.0,2.0"), {}, "length is missing or not finite in run 4"),
        (changed(4, "0.5,,1.0,2.0"), {}, "the factor operator is missing in run 4"),
        (changed(4, "0.5,Ann,one,2.0"), {}, "the response period has 'one' in run 4"),
        (changed(4, "0.5,Ann,-1.0,2.0"), {"logs": ("period",)}, "period: it is -1 in run 4, which has no logarithm"),
        (lines(replicates=1), {}, "one run for each setting"),
        (lines(levels=2), {}, "has 4 settings of length, operator: at least 5"),
        ([one.replace("Bob", "Ann") for one in lines()], {}, "the factor operator has one level, Ann"),
        (["a,b", *["1,2"] * 20], {"factors": ("a",), "responses": ("b",)}, "the factor a has one level, 1"),
        (["a,b", *[f"{n % 6},2" for n in range(20)]], {"factors": ("a",), "responses": ("b",)}, "b is 2 in all runs"),
        (["a", "1", "2"], {"factors": ("a",), "responses": ("b",)}, "is it damaged, or of another format?"),
        (["length,operator,period,height"], {}, "it needs a line of names and lines of numbers"),
        (lines(), {"factors": ("lenght",)}, "no column lenght; did you mean length?"),
        (lines(), {"factors": ()}, "--system.factors is not given"),
        (lines(), {"responses": ()}, "--system.responses is not given"),
        (lines(), {"responses": ("length",)}, "length is a factor and a response"),
        (lines(), {"logs": ("height", "width")}, "--system.logs width is no response"),
    ],
)
def test_a_fault_of_a_table_is_one_sentence(tmp_path, text, columns, said):
    with pytest.raises(UserError) as caught:
        table_of(tmp_path / "runs.csv", text, **columns)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_label_for_every_run_is_refused(tmp_path):
    numbered = [lines()[0], *[one.replace("Ann", f"s{n}").replace("Bob", f"s{n}") for n, one in enumerate(lines()[1:])]]
    with pytest.raises(UserError, match="36 labels"):
        table_of(tmp_path / "runs.csv", numbered)


@given(st.integers(0, 1000), st.integers(5, 12), st.integers(2, 4))
@settings(deadline=None, max_examples=30)
def test_a_split_is_of_whole_settings(tmp_path_factory, seed, levels, replicates):
    table = table_of(tmp_path_factory.mktemp("t") / "runs.csv", lines(replicates, levels))
    parts = split_by_setting(table, (0.7, 0.1, 0.2), seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(table)))
    places = [{tuple(one) for one in table.settings[rows]} for rows in parts]
    assert all(places) and sum(map(len, places)) == len(set.union(*places))


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=20))
def test_levels_come_back_from_their_numbers(labels):
    factor = Factor("unit", ("a", "b", "c"))
    encoded = factor.encoded(labels)
    assert encoded.shape == (len(labels), factor.width)
    assert [factor.labels[int(one)] for one in encoded @ np.arange(1, 3)] == labels


# Rivals.


def linear(seed, replicates=30):
    """Settings on a line, and two responses whose noise grows and is correlated."""
    places = np.repeat(np.linspace(0.0, 1.0, 9), replicates)[:, None]
    noise = normal(seed, len(places), 2) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    return places, np.stack([places[:, 0], -2 * places[:, 0]], axis=1) + (0.1 + 0.2 * places) * noise


@pytest.mark.parametrize("name", ["interpolated_bootstrap", "gaussian_process"])
def test_rivals_interpolate_mean_spread_and_dependence(name):
    asked = np.array([[0.1875], [0.8125]])
    made = RIVALS[name][1](*linear(1, 60), 0)(asked, 4000)
    spread = 0.1 + 0.2 * asked
    np.testing.assert_allclose(made.mean(axis=1), np.concatenate([asked, -2 * asked], axis=1), atol=0.04)
    np.testing.assert_allclose(made.std(axis=1), np.repeat(spread, 2, axis=1), rtol=0.25)
    assert all(abs(np.corrcoef(one.T)[0, 1] - 0.8) < 0.12 for one in made)


def test_the_copula_is_exact_where_all_is_normal():
    at = normal(2, 4000, 1)
    values = 0.6 * at + 0.8 * normal(3, 4000, 1)
    made = RIVALS["gaussian_copula"][1](at, values, 0)(np.array([[-1.0], [1.0]]), 4000)
    np.testing.assert_allclose(made.mean(axis=1).ravel(), [-0.6, 0.6], atol=0.06)
    np.testing.assert_allclose(made.std(axis=1).ravel(), 0.8, atol=0.05)


def test_the_bootstrap_draws_replicates_of_the_nearest_setting_alone():
    places, values = linear(4, 5)
    made = RIVALS["bootstrap"][1](places, values, 0)(np.array([[0.26]]), 200)[0]
    there = {tuple(one) for one in values[np.isclose(places[:, 0], 0.25)]}
    assert {tuple(one) for one in made} == there


def test_settings_without_a_spline_are_a_reason_and_no_traceback():
    places = np.repeat(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0]]), 3, axis=0)
    with pytest.raises(ValueError, match="do not vary independently"):
        RIVALS["interpolated_bootstrap"][1](places, normal(5, 15, 1), 0)


# Apparatuses.


def one_run(name, setting, **population):
    """The responses of a unit at the middle of its population, read without noise."""
    apparatus = APPARATUSES[name]
    hidden = {**apparatus.population, **population}
    zero = np.zeros((1, apparatus.normals), np.float32)
    return apparatus.responses_of(np.array([[*setting, 0.0]], np.float32), zero, hidden)[0]


@pytest.mark.parametrize("release", [0.5, 1.5, 2.5])
def test_the_pendulum_has_the_exact_period(release):
    exact = 4 * np.sqrt(0.7 / 9.81) * ellipk(np.sin(release / 2) ** 2)
    period, height = one_run("pendulum", (0.7, release), friction=1e-9)
    assert period == pytest.approx(exact, abs=2e-3) and height == pytest.approx(release, abs=2e-3)


def test_the_epidemic_ends_at_the_final_size():
    ill, _ = one_run("epidemic", (0.0, 0.3))
    start = (1 - 1e-3) * (1 - 0.8 * 0.3)
    left = start + 1e-3 - np.exp(ill)
    assert left == pytest.approx(start * np.exp(-3.0 * (start + 1e-3 - left)), abs=2e-3)


def test_the_reaction_begins_at_its_rate_and_slows_when_cold():
    early = 1 - one_run("reaction", (60.0, 1e-2))[0]
    assert early == pytest.approx(0.04 * 1e-2, rel=0.02)
    assert one_run("reaction", (40.0, 10.0))[0] > one_run("reaction", (80.0, 10.0))[0] + 0.1


@pytest.mark.parametrize("name", list(APPARATUSES))
def test_the_operator_has_no_effect_and_every_setting_a_finite_law(name):
    apparatus = APPARATUSES[name]
    where = np.concatenate([apparatus.design(), apparatus.between(), apparatus.outside()])
    runs = apparatus.runs(where, 50, np.random.default_rng(0))
    assert np.isfinite(runs).all() and (runs.std(axis=1) > 0).all()
    other = where.copy()
    other[:, -1] = 1 - other[:, -1]
    np.testing.assert_array_equal(runs, apparatus.runs(other, 50, np.random.default_rng(0)))


def test_the_fitted_equation_beats_its_wrong_version():
    apparatus = APPARATUSES["pendulum"]
    table = apparatus.measured(2, np.random.default_rng(1))
    at = apparatus.between()
    truth = apparatus.runs(at, 400, np.random.default_rng(2))
    held = Held(at, list(truth), truth.std(axis=1))
    right, wrong = (
        law_figures(fitted_equation(apparatus, table, 0, simplified=wrong), held, 400)["worth"]
        for wrong in (False, True)
    )
    assert right > 10 > 1 > wrong


# Runs.


def test_a_table_of_ones_own_is_trained_on_compared_reported_and_sampled(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs.csv").write_text("\n".join(lines()) + "\n")
    words = [
        "train-on",
        "runs.csv",
        "--factors",
        "length,operator",
        "--responses",
        "period,height",
        "--preset",
        "smoke",
    ]
    assert cli.main([*words, "--logs", "period"]) == 0
    assert "36 runs at 12 settings" in capsys.readouterr().out
    (folder,) = (tmp_path / "runs" / "virtual_experiment").iterdir()
    run = experiments.load_run(folder)
    section = run.comparison.need(Baselines)
    named = {"generator": section.generator, **section.rows}
    assert set(RIVALS) < set(named) and "real_runs_alone" not in named
    assert all(row.failed is None and row.values["worth_held_out"] > 0 for row in named.values())
    assert (
        "The generator is worth" in run.comparison.verdict
        and "<h2>Baselines</h2>" in (folder / "report.html").read_text()
    )
    made = run.sample(7, key=jax.random.key(0), length=0.75, operator="Bob")
    assert made.shape == (7, 2) and (np.asarray(made)[:, 0] > 0).all()
    assert made.coordinates["operator"].tolist() == [1.0] * 7 and made.coordinates["length"][0] == np.float32(0.75)
    for levels, said in (
        ({"length": 0.5}, "operator is not set"),
        ({"length": 0.5, "operator": "Cem"}, "operator has no level 'Cem'"),
        ({"length": "long", "operator": "Ann"}, "length is set to numbers"),
        ({"length": 0.5, "operator": "Ann", "hight": 1}, "hight is no factor"),
        ({"length": [0.5, 0.6], "operator": "Ann"}, "one level, or one for each of the 7 runs"),
    ):
        with pytest.raises(UserError, match=said):
            run.sample(7, key=jax.random.key(0), **levels)
    assert cli.main(["compare", str(folder), "--fresh", "5"]) == 2
    assert "a file has no other held-out runs" in " ".join(capsys.readouterr().err.split())
    assert cli.main(["train-on", "runs.csv", "--factors", "length", "--periodic", "x"]) == 2
    assert "--periodic is for fields" in capsys.readouterr().err


@pytest.mark.slow
def test_a_smoke_run_of_an_apparatus_has_every_row(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "virtual_experiment", "--preset", "smoke", "--seed", "3"]) == 0
    (folder,) = (tmp_path / "runs" / "virtual_experiment").iterdir()
    section = experiments.load_run(folder).comparison.need(Baselines)
    wanted = {"fitted_equation", "fitted_wrong_equation", "true_law", "real_runs_alone", "pilot_of_16", *RIVALS}
    assert wanted <= set(section.rows)
    truth, alone = section.rows["true_law"].values, section.rows["real_runs_alone"].values
    assert truth["worth_between"] > section.generator.values["worth_between"]
    # The test keeps its level where pooled runs are of the true law, and with real runs alone.
    assert truth["false_alarms"] == pytest.approx(0.05, abs=0.03)
    assert alone["false_alarms"] == pytest.approx(0.05, abs=0.03)
    # A difference that virtual runs cannot know is lost in them, even in those of the true law.
    assert truth["power_new"] < alone["power_new"] / 2
