"""The verdict's sentences: true of what was measured, and plain about losing."""

import pytest

from experiments.comparison import verdict


def entry(ratio, inside):
    return {"ratio": ratio, "inside": inside}


def forecast(**more):
    return {
        "n": 32,
        "cases": 64,
        "distances": {"crps_divergence": entry(2.0, False), "spectrum": entry(1.0, True)},
        "scores": {"crps": {"value": 0.6, "target": 0.4, "null": [0.39, 0.41]}},
        **more,
    }


def test_a_forecast_says_how_far_it_is_from_the_exact_posterior_inside_and_outside():
    outside = {
        "distances": {"crps_divergence": entry(6.0, False), "spectrum": entry(1.0, True)},
        "scores": {"crps": {"value": 0.3, "target": 0.2}},
    }
    said = verdict.forecast_verdict(forecast(regions={"viscosity 0.8": outside}))
    assert "by 1 of 2 distances: CRPS divergence (2.0 times the floor)" in said
    assert "Over 32 members in each of 64 cases" in said
    assert "The generator's CRPS is 0.6 standard deviations where the exact posterior has 0.4 (+50%)." in said
    assert (
        "Outside the range of training, at viscosity 0.8, its CRPS is 0.3 where the exact posterior has 0.2 (+50%), "
        "and 1 of 2 distances tells it from the solver."
    ) in said


def curves(generator, gaussian):
    times = [0.0, 8.0, 16.0, 32.0]
    return {
        "carry_time": 4.0,
        "refinement": {
            "generator": {"time": times, "enters_all": generator},
            "gaussian": {"time": times, "enters_all": gaussian},
        },
    }


@pytest.mark.parametrize(
    ("generator", "gaussian", "expected"),
    [
        (8.0, 16.0, "The generator needs 50% of the Gaussian start's solver time and saves 8 of it."),
        (8.0, None, "The generator saves more than 24 of solver time against the Gaussian start."),
        (None, 16.0, "The Gaussian start, which needs no training, gets there and the generator does not."),
        (None, None, "Neither the generator nor the Gaussian start gets there in the time measured."),
        (16.0, 8.0, "The generator saves no solver time against the Gaussian start."),
    ],
)
def test_refinement_names_what_the_generator_saves(generator, gaussian, expected):
    said = verdict.refinement_sentence(curves(generator, gaussian))
    assert said.endswith(expected)
    assert "(its carry of 4 counted)" in said


def cost(**more):
    return {
        "generator_seconds_per_sample": 1e-4,
        "cheapest": {"points": 32, "dt": 0.1 + 0.2, "seconds_per_sample": 4e-4, "error": 1.25},
        "search": [{}, {}],
        "data_seconds": 100.0,
        "training_seconds": 200.0,
        "break_even": 1_000_000,
        **more,
    }


def test_the_cost_is_said_against_the_setting_that_was_found_with_its_error():
    first, second = verdict.cost_sentences(cost())
    assert "(points 32, dt 0.3; median ratio 1.25) costs 400 µs: the generator is 4 times cheaper." in first
    assert second == "With 300 s of data and training counted, it pays off from 1,000,000 samples on."
    dear = cost(generator_seconds_per_sample=8e-4, break_even=None)
    assert "2 times dearer" in (said := " ".join(verdict.cost_sentences(dear))) and "it never pays off" in said


def test_without_a_search_the_reference_is_what_it_is_held_against():
    said = verdict.cost_sentences(cost(search=[], cheapest={"setting": "reference", "seconds_per_sample": 4e-4}))[0]
    assert said.endswith(
        "the reference solver costs 400 µs: the generator is 4 times cheaper (no cheaper solver was searched)."
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(3e-7, "300 ns"), (2.5e-5, "25 µs"), (0.012, "12 ms"), (452.3, "452 s"), (1500.0, "25 min"), (14400.0, "4 h")],
)
def test_times_have_a_unit_that_suits_them(value, text):
    assert verdict.seconds(value) == text
