"""The command ``advise``: a pilot of a small preset, and what it refuses before it spends anything."""

import math
from dataclasses import replace

import numpy as np
import pytest

from experiments import catalog
from experiments.advising.advise import advisable, advise
from experiments.advising.clock import Clock
from experiments.advising.pilot import Pilot
from experiments.cli import main
from experiments.cli.advise import posterior_table, table
from experiments.errors import UserError
from experiments.evaluation import advice, posterior_advice
from experiments.evaluation.advice import GeneratorPrice, Once
from experiments.evaluation.entries import Timing
from experiments.evaluation.posterior_advice import PosteriorAdvice, SamplerPrice
from experiments.reporting import silent

NAME = "kuramoto_sivashinsky"


@pytest.mark.slow
def test_the_pilot_of_a_chaotic_system(tmp_path):
    path = tmp_path / "advice.json"
    options = ["--preset", "smoke", "--budget-seconds", "60", "--fields", "100000", "--json", str(path)]
    # What takes long to compile in a training step is left out: its price is measured all the same.
    options += ["--training.devices", "1", "--game.r1", "0", "--game.r2", "0"]
    assert main(["advise", NAME, *options, "--training.steps", "1000"]) == 0
    found = advice.read(path)
    _check_times(found.times)
    _check_thickness(found.thickness)
    _check_prices(found)
    rows = dict(table(found))
    assert rows["numbers left to a generator"].startswith("12 of the longest waves")
    assert "per field" in rows["a step of the solver"] and "1000 updates" in rows["spent once"]
    assert "measured on 256 trajectories" in rows["solver time to an independent field"]


def _check_times(times):
    # By the published data sets, 38.8 time units at L = 22.
    assert 25 < times.stride < 60
    assert times.source == "measured on 256 trajectories"
    assert times.spin_up > 5 * times.stride


def _check_thickness(thick):
    # Six waves are enough, as docs/joint_law.md found by classifiers.
    assert thick.with_solver == 12 and thick.parts == "waves" and not thick.skipped
    assert thick.without_solver == 18
    assert thick.variance_99 == 10 and 12 <= thick.variance_999 <= 14
    assert thick.numbers == 32


def _check_prices(found):
    spin_up, stride = (one for one in found.solvers if one.correlation == "none")
    assert spin_up.seconds > 3 * stride.seconds
    # On 16 points the solver is unstable with such steps: what is left is the whole grid.
    others = {one.way: one.correlation for one in found.solvers if one.correlation != "none"}
    assert others["a stride of 20 by steps of 0.5 on 32 points"] == "little"
    assert others["a stride of 5 by steps of 0.5 on 32 points"] == "some"
    assert not any("16 points" in way for way in others)
    assert found.generator.sample.seconds > 0 and found.generator.network.seconds > 0
    assert found.generator.evaluations == 1
    assert found.once.updates == 1000 and found.once.update_seconds > 0
    # The configured spin-up of 100 and one stride of 10, and the ten steps of the check for steadiness.
    steps = (100.0 + 10.0) / 0.1 + 10
    assert found.once.data_seconds == pytest.approx((128 + 64 + 256) * steps * found.times.step_seconds)
    assert found.fields == 100_000 and found.stored == 256


def test_parameters_that_vary_go_with_their_fields():
    one = pilot("kolmogorov_flow")
    rng = np.random.default_rng(0)
    values = {name: np.full(6, np.sqrt(low * high)) for name, (low, high) in zip(one.varying.names, one.varying.ranges)}
    fields = rng.standard_normal((6, 1, 16, 16, 1)).astype(np.float32)
    thick = one.thickness(replace(pilot_data(one, fields), values=values))
    # Viscosity damps the short waves of white noise.
    assert thick.with_solver is not None
    assert thick.without_solver is None or thick.with_solver < thick.without_solver


def pilot(name=NAME, preset="smoke", **changes):
    experiment = catalog.load(name)
    config = experiment.presets[preset].with_overrides(changes)
    return Pilot(advisable(experiment), config, Clock(1000.0), silent)


def test_where_there_is_no_solver_layer_nothing_is_said_of_what_the_solver_makes():
    one = pilot(**{"solver_layer.tau": "0"})
    fields = np.random.default_rng(0).standard_normal((8, 2, 32, 1)).astype(np.float32)
    thick = one.thickness(pilot_data(one, fields))
    assert "no solver layer" in thick.skipped and thick.with_solver is None


def pilot_data(one, fields):
    from experiments.advising.pilot_data import PilotData

    return PilotData(fields, np.arange(fields.shape[1]), one.dt, one.system.grid, {})


def test_a_pilot_is_repeated_where_a_batch_takes_more():
    one = pilot()
    fields = np.arange(3 * 2 * 32, dtype=np.float32).reshape(3, 2, 32, 1)
    longer = pilot_data(one, fields).repeated(7)
    assert longer.fields.shape == (7, 2, 32, 1)
    np.testing.assert_array_equal(longer.fields[3:6], fields)
    assert pilot_data(one, fields).repeated(2).fields.shape == fields.shape


def test_times_that_cannot_be_measured_in_time_are_asked_for():
    experiment = catalog.load(NAME)
    config = experiment.presets["smoke"]
    config = replace(config, data=replace(config.data, spin_up=None, stride=None))
    clock = Clock(0.0)
    with pytest.raises(UserError, match="--budget-seconds 0 does not suffice to measure the decorrelation time"):
        Pilot(advisable(experiment), config, clock, silent).times()


def test_times_that_are_set_serve_where_there_is_no_time_to_measure():
    experiment = catalog.load(NAME)
    times, plan = Pilot(advisable(experiment), experiment.presets["smoke"], Clock(0.0), silent).times()
    assert (times.spin_up, times.stride) == (100.0, 10.0) and times.source.startswith("as set")
    assert plan.measured == {} and math.isclose(plan.times[-1], 110.0)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("burgers", "known only from its comparison"),
        ("smoke_plume", "no reference of equal quality"),
        ("gaussians", "no solver makes its samples"),
        ("dirac", "a study without a generator"),
        ("own_data", "the fields come from a file"),
        ("virtual_experiment", "no solver makes the runs"),
    ],
)
def test_other_tasks_are_refused_with_the_names_of_those_that_do(name, why, capsys):
    assert main(["advise", name, "--preset", "smoke"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert why in line and all(name in line for name in (NAME, "kolmogorov_flow", "burgers_inverse"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fields", "0"], "--fields must be at least 1"),
        (["--budget-seconds", "none"], "--budget-seconds"),
        (["--json", "nowhere/advice.json"], "there is no folder nowhere"),
        (["--json", "."], "is a folder"),
        (["--preset", "dem"], "did you mean demo"),
        (["--data.pionts", "32"], "--data.pionts is not an option of advise; did you mean --data.points"),
        (["--training.batch", "100000"], "--training.batch 100000 takes 100000 samples"),
    ],
)
def test_bad_input_is_one_sentence(options, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["advise", NAME, *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not list(tmp_path.iterdir())


def test_the_help_says_what_is_measured(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["advise", "--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert "--budget-seconds" in said and "how long trajectories remember" in said and "examples:" in said


def test_a_study_has_nothing_to_advise_on():
    with pytest.raises(UserError, match="study"):
        advise(catalog.load("dirac"), "smoke", catalog.load("dirac").presets["smoke"])


def posterior(**changes):
    """Advice on a posterior whose generator pays from 100 / (1e-3 - 5e-4) samples on."""
    cheap = SamplerPrice({"sampler": "ensemble_smoother", "steps": 4}, 1e-5, 4.0, 0.8)
    good = SamplerPrice({"sampler": "tempered", "steps": 40}, 1e-3, 200.0, 0.03)
    dear = SamplerPrice({"sampler": "tempered", "steps": 80}, 2e-3, 400.0, 0.0)
    values = {
        "experiment": "mine",
        "preset": "demo",
        "unknowns": 17,
        "cases": 4,
        "members": 128,
        "call_seconds": 5e-6,
        "agreement": 1.01,
        "samplers": (cheap, good, dear),
        "generator": GeneratorPrice(Timing(5e-4, 4e-4, 6e-4, 3), Timing(4e-4, 3e-4, 5e-4, 3), 6),
        "once": Once(40.0, 1000, 0.06),
        "fields": None,
        "device": "1 x cpu",
        "seconds": 60.0,
    }
    return PosteriorAdvice(**{**values, **changes})


def test_a_posteriors_rival_is_the_cheapest_sampler_that_is_as_good():
    found = posterior()
    assert found.rival is found.samplers[1] and found.kind == "may pay"
    assert found.pays_from == pytest.approx(200_000, abs=1)
    assert "from about 2e+05 samples on" in found.verdict and "2 times as much" in found.verdict
    assert posterior(fields=1000).kind == "does not pay" and "for 1000 samples" in posterior(fields=1000).verdict
    rows = posterior_table(found)
    assert [name for name, _ in rows].count("the cheapest that is as good") == 1
    assert ("pays against the cheapest", "from about 2e+05 samples on") in rows


def test_where_a_smoother_is_as_good_a_generator_does_not_pay():
    smoother = SamplerPrice({"sampler": "ensemble_smoother", "steps": 4}, 1e-5, 4.0, 0.01)
    found = posterior(samplers=(smoother, *posterior().samplers))
    assert found.kind == "does not pay" and found.pays_from is None and "ensemble_smoother" in found.verdict


@pytest.mark.parametrize(
    ("changes", "why"), [({"agreement": 1.5}, "do not agree"), ({"samplers": ()}, "none of the 0")]
)
def test_without_a_sampler_that_is_known_to_be_good_nothing_is_said(changes, why, tmp_path):
    found = posterior(**changes)
    assert found.kind == "cannot say" and why in found.verdict
    posterior_advice.write(found, tmp_path / "advice.json")
    assert '"kind": "cannot say"' in (tmp_path / "advice.json").read_text()


@pytest.mark.slow
def test_the_pilot_of_a_posterior(tmp_path, monkeypatch):
    monkeypatch.setenv("SOLVERGAN_CACHE", str(tmp_path))
    experiment = catalog.load("burgers_inverse")
    config = experiment.presets["smoke"]
    found = advise(experiment, "smoke", config)
    assert found.unknowns == 7 and found.generator.evaluations == config.game.evaluations
    by_name = {(one.setting["sampler"], one.setting["steps"], one.setting["order"]): one for one in found.samplers}
    # One solver call for the prior's members, and one for each iteration.
    assert by_name["ensemble_smoother", 4, 4].calls == pytest.approx(5, abs=1)
    # More moves cost more and come nearer to the long runs, which a single linear update does not.
    assert by_name["tempered", 40, 4].seconds > by_name["tempered", 1, 4].seconds
    assert by_name["tempered", 40, 4].excess < min(0.1, by_name["ensemble_smoother", 1, 4].excess)
    assert found.once.update_seconds > 0 and found.verdict
