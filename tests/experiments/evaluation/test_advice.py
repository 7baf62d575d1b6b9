"""The verdict of an advice follows from its figures, and its file holds them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.errors import UserError
from experiments.evaluation import advice
from experiments.evaluation.advice import Advice, GeneratorPrice, Once, SolverPrice, SolverTimes, Thickness
from experiments.evaluation.entries import Timing

RESULTS = Path(__file__).resolve().parents[3] / "benchmarks" / "results"
INDEPENDENT = SolverPrice("a stride of 38", 600e-6, "none", True)
APART = SolverPrice("a stride of 20 on 32 points", 40e-6, "little", True)
CLOSE = SolverPrice("a stride of 5 on 32 points", 18e-6, "some", True)


def found(sample=20e-6, solvers=(INDEPENDENT, APART, CLOSE), fields=None):
    timing = Timing(sample, 0.9 * sample, 1.2 * sample, 5)
    return Advice(
        experiment="toy",
        preset="demo",
        times=SolverTimes(0.1, 1e-6, 64, 225.0, 38.0, "measured on 256 trajectories"),
        solvers=solvers,
        generator=GeneratorPrice(timing, timing, 1),
        once=Once(60.0, 6000, 0.09),
        thickness=Thickness(2048, 64, 10, 13, False, "waves", 0.005, 1.0, 18, 12),
        stored=32768,
        fields=fields,
        device="2 x cpu",
        seconds=40.0,
    )


def test_it_may_pay_from_where_the_gain_on_the_cheapest_uncorrelated_field_covers_data_and_training():
    one = found()
    assert one.once.seconds == pytest.approx(600.0)
    assert one.kind == "may pay" and one.rival is APART
    assert one.pays_from(one.rival) == pytest.approx(600.0 / 20e-6, rel=1e-9)
    assert "from about 3e+07 fields on" in one.verdict and "2 times as much" in one.verdict
    assert "It does not pay if correlated fields do for you (a stride of 5 on 32 points)" in one.verdict


def test_no_correlated_field_is_held_against_a_generator_that_is_cheaper_still():
    assert "correlated fields do for you" not in found(sample=10e-6).verdict


def test_it_does_not_pay_where_a_sample_costs_more_than_the_cheapest_uncorrelated_field():
    one = found(sample=100e-6)
    assert one.kind == "does not pay" and one.pays_from(one.rival) is None
    assert one.verdict.startswith("A generator does not pay unless the cheapest solver is not good enough")
    assert "from about 1.2e+06 fields on" in one.verdict


def test_it_cannot_pay_where_a_sample_costs_more_than_an_independent_field():
    one = found(sample=700e-6)
    assert one.kind == "cannot pay"
    assert one.verdict.startswith("A generator cannot pay, because a sample costs 700 µs")


def test_fewer_fields_than_the_break_even_turn_the_verdict():
    few, many = found(fields=1000), found(fields=10**9)
    assert many.kind == "may pay" and few.kind == "does not pay"
    assert "for 1000 fields unless you need more than about 3e+07" in few.verdict
    assert "the 32768 training fields serve as they are" in few.verdict
    assert "serve" not in found(fields=10**6).verdict


def test_without_other_solvers_the_independent_fields_are_the_rival():
    one = found(solvers=(INDEPENDENT,))
    assert one.rival is one.independent is INDEPENDENT and one.closer is None


def test_the_file_gives_back_what_was_written(tmp_path):
    one, path = found(fields=5), tmp_path / "advice.json"
    advice.write(one, path)
    assert advice.read(path) == one
    plain = json.loads(path.read_text())
    assert plain["verdict"] == one.verdict and plain["kind"] == one.kind
    assert plain["pays_from"]["rival"] == one.pays_from(one.rival)


@pytest.mark.parametrize(("preset", "kind"), [("demo", "may pay"), ("convolutional", "does not pay")])
def test_published_advice_agrees_with_the_published_comparisons(preset, kind):
    one = advice.read(RESULTS / f"advice-kuramoto_sivashinsky-{preset}.json")
    costs = published(preset)
    assert one.kind == kind
    paying = [cost["generator"]["seconds"] < cheapest(cost) for cost in costs]
    # The pilot leaves open whether correlated fields do, which are then cheaper; they did at every seed.
    assert one.closer is not None and one.closer.seconds < one.generator.sample.seconds
    assert paying.count(True) == (1 if kind == "may pay" else 0)
    # Within a factor of two of the median of three seeds on the same kind of machine.
    sample = sorted(cost["generator"]["seconds"] for cost in costs)[1]
    assert 0.5 < one.generator.sample.seconds / sample < 2


def test_the_share_of_the_decorrelation_time_that_counts_as_apart_is_that_of_the_published_searches():
    rows = [row for preset in ("demo", "convolutional") for cost in published(preset) for row in cost["search"]]
    judged = [row for row in rows if row["setting"]["stride"] and row["reaches"] is not None]
    apart = [row["reaches"] for row in judged if row["setting"]["stride"] >= advice.ENOUGH * 38.8]
    close = [row["reaches"] for row in judged if row["setting"]["stride"] < advice.ENOUGH * 38.8]
    assert (sum(apart), len(apart), sum(close), len(close)) == (3, 3, 6, 21)
    strides = [
        [row["setting"]["stride"] for row in cost["search"] if row["reaches"] and row["setting"]["stride"]]
        for preset in ("demo", "convolutional")
        for cost in published(preset)
    ]
    assert [min(one) < advice.ENOUGH * 38.8 for one in strides] == [True] * 6


def published(preset):
    content = json.loads((RESULTS / f"kuramoto_sivashinsky-{preset}-sealed.json").read_text())
    return [run["comparison"]["cost"] for run in content["runs"]]


def cheapest(cost):
    return min(row["timing"]["seconds"] for row in cost["search"] if row["reaches"])


@pytest.mark.parametrize("change", [{"format": 2}, {"solvers": [1]}, {"solvers": None}, {"once": {"updates": "few"}}])
def test_a_file_that_is_no_advice_is_refused(tmp_path, change):
    path = tmp_path / "advice.json"
    advice.write(found(), path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match="advise NAME --json"):
        advice.read(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        advice.read(tmp_path / "none.json")


def test_no_gain_never_pays():
    one = found()
    assert replace(one, once=Once(0.0, 0, 0.0)).pays_from(APART) == 1
    assert one.pays_from(replace(APART, seconds=20e-6)) is None
